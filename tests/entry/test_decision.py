"""The gate's decision and the scan key code, as pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backroom.entry.decision import Decision, GateRules, KnownShopper, Reason, decide
from backroom.entry.scan_code import parse_scan_code

AT = datetime(2026, 3, 22, 17, tzinfo=UTC)
RULES = GateRules("IMAG", timedelta(seconds=60))
ANA = KnownShopper("ana", "SHOPPER", True, False, False, False, None)
SAMPLE = b"JWOIMAG18bc0554d045a48b29afa9e2aaac14ae"


def decided(shopper: KnownShopper | None = ANA, **changes: Any) -> Decision:
    facts = {"code": None, "used_by_another": False, "balance_denies": True, **changes}
    return decide(at=AT, shopper=shopper, rules=RULES, **facts)


def test_the_published_sample_is_read() -> None:
    code = parse_scan_code(SAMPLE)
    assert code is not None
    assert (code.prefix, code.token) == ("IMAG", "5a48b29afa9e2aaac14ae")
    assert code.made_at == datetime(2023, 11, 11, 21, 41, 37, 668000, tzinfo=UTC)


@pytest.mark.parametrize(
    "key",
    [
        b"valid_shopper_key",
        SAMPLE[:-1],
        SAMPLE.replace(b"I", b"i"),
        SAMPLE + b"-",
        SAMPLE + b"\n",
        b"",
        b"\xff" * 39,
    ],
)
def test_a_key_of_another_shape_is_no_scan_code(key: bytes) -> None:
    assert parse_scan_code(key) is None


def test_case_and_custom_part_make_no_second_code_of_one() -> None:
    code = parse_scan_code(SAMPLE)
    assert code is not None
    for disguised in (SAMPLE + b"Gate7", SAMPLE[:7] + SAMPLE[7:].upper()):
        found = parse_scan_code(disguised)
        assert found is not None
        assert found.code_hash == code.code_hash


def test_a_shopper_in_good_standing_comes_in() -> None:
    assert decided() == Decision(Reason.ADMITTED, ANA)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, Reason.SHOPPER_INACTIVE),
        ({"flagged": True}, Reason.SHOPPER_FLAGGED),
        ({"owes": True}, Reason.BALANCE_OUTSTANDING),
        ({"key_revoked": True}, Reason.KEY_REVOKED),
        ({"key_expires_at": AT}, Reason.KEY_EXPIRED),
        ({"key_expires_at": AT + timedelta(seconds=1)}, Reason.ADMITTED),
    ],
)
def test_each_fact_counts(change: dict[str, Any], reason: Reason) -> None:
    assert decided(replace(ANA, **change)).reason is reason


def test_a_debt_counts_only_where_the_balance_is_our_business() -> None:
    assert decided(replace(ANA, owes=True), balance_denies=False).admitted


def test_nobody_is_admitted_without_a_shopper() -> None:
    assert decided(None) == Decision(Reason.UNKNOWN_KEY)


@pytest.mark.parametrize(
    ("age", "reason"),
    [(0, None), (60, None), (60.001, Reason.CODE_STALE), (-60, None), (-60.001, Reason.CODE_FROM_THE_FUTURE)],
)
def test_a_code_lives_as_long_as_the_setting_says(age: float, reason: Reason | None) -> None:
    made = int((AT - timedelta(seconds=age)).timestamp() * 1000)
    code = parse_scan_code(b"JWOIMAG%011x%s" % (made, b"a" * 21))
    assert decided(code=code).reason is (reason or Reason.ADMITTED)


def test_a_used_code_does_not_open_again_but_an_opaque_key_does() -> None:
    made = int(AT.timestamp() * 1000)
    code = parse_scan_code(b"JWOIMAG%011x%s" % (made, b"a" * 21))
    assert decided(code=code, used_by_another=True).reason is Reason.CODE_USED
    assert decided(code=None, used_by_another=True).admitted
