"""The scan key code, and the pattern by which Amazon's portal knows one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.entry.scan_code import EPOCH, LONGEST_CUSTOM_PART, make_scan_code, parse_scan_code, portal_pattern
from backroom.errors import BackroomError
from backroom.stores.commands import app

PUBLISHED = "JWOIMAG18bc0554d045a48b29afa9e2aaac14ae"
PATTERN = re.compile(portal_pattern("IMAG"))
MOMENT = datetime(2026, 3, 22, 17, 10, 1, 234_000, tzinfo=UTC)
CUSTOM = st.text("0123456789ABCxyz", max_size=LONGEST_CUSTOM_PART)


@given(
    st.integers(0, 500 * 31_000_000).map(
        lambda seconds: EPOCH + timedelta(seconds=seconds, microseconds=seconds % 999_999)
    ),
    st.integers(0, 2**84 - 1),
    CUSTOM,
)
@settings(deadline=None, max_examples=100)
def test_every_code_that_is_made_is_read_back_and_passes_amazons_portal(at: datetime, token: int, custom: str) -> None:
    code = make_scan_code("IMAG", at, f"{token:021x}", custom)
    read = parse_scan_code(code.encode())
    assert read is not None
    assert (read.prefix, read.token) == ("IMAG", f"{token:021x}")
    assert timedelta(0) <= at - read.made_at < timedelta(milliseconds=1)
    assert PATTERN.search(code)
    assert code.isalnum()


def test_the_published_sample_passes_and_has_the_layout() -> None:
    assert PATTERN.search(PUBLISHED)
    assert PATTERN.search(PUBLISHED.replace("ae", "AE")), "hex digits in capitals are the same code"
    assert parse_scan_code(PUBLISHED.encode()) is not None


@pytest.mark.parametrize(
    "scanned",
    [
        "",
        PUBLISHED[:-1],
        PUBLISHED[1:],
        f" {PUBLISHED}",
        f"{PUBLISHED} ",
        f"{PUBLISHED}-1",
        f"{PUBLISHED}é",
        PUBLISHED.replace("IMAG", "OTHR"),
        PUBLISHED.replace("JWO", "jwo"),
        PUBLISHED.replace("18bc", "18bg"),
        PUBLISHED + "x" * (LONGEST_CUSTOM_PART + 1),
        f"https://example.test/{PUBLISHED}",
        f"{PUBLISHED}\n{PUBLISHED}",
    ],
)
def test_the_portal_refuses_what_is_no_code_of_ours(scanned: str) -> None:
    assert not PATTERN.search(scanned)


def test_the_pattern_holds_nothing_that_engines_read_differently() -> None:
    assert re.fullmatch(r"\^[A-Z0-9]{7}(\[[0-9a-zA-Z-]+\]\{[0-9,]+\})+\$", portal_pattern("A1B2"))


@pytest.mark.parametrize(
    ("prefix", "at", "token", "custom"),
    [
        ("imag", MOMENT, "a" * 21, ""),
        ("IMAG", MOMENT, "a" * 20, ""),
        ("IMAG", MOMENT, "A" * 21, ""),
        ("IMAG", MOMENT, "a" * 21, "with space"),
        ("IMAG", MOMENT, "a" * 21, "x" * 65),
        ("IMAG", datetime(1969, 12, 31, tzinfo=UTC), "a" * 21, ""),
        ("IMAG", datetime(2600, 1, 1, tzinfo=UTC), "a" * 21, ""),
    ],
)
def test_a_code_of_another_shape_is_not_made(prefix: str, at: datetime, token: str, custom: str) -> None:
    with pytest.raises(ValueError, match="scan key code"):
        make_scan_code(prefix, at, token, custom)


def test_the_command_prints_the_pattern_alone(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values ('STORE-001', 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50,"
                " '{FILES}')"
            )
        )
    runner = CliRunner()
    for arguments in ([], ["--store", "STORE-001"]):
        said = runner.invoke(app, ["scan-pattern", *arguments])
        assert (said.exit_code, said.output) == (0, portal_pattern("IMAG") + "\n")
    unknown = runner.invoke(app, ["scan-pattern", "--store", "STORE-009"])
    assert isinstance(unknown.exception, BackroomError)
    assert "STORE-009" in str(unknown.exception)
