"""backroom receipts, and backroom shoppers on addresses and people's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.cli import main
from backroom.settings import settings
from tests.connector_app.portal.conftest import PRIVACY_KEY
from tests.connector_app.portal.shopping import Shopping, shopping_over


@pytest.fixture(scope="module")
def world(database: Engine, module_patch: pytest.MonkeyPatch) -> Iterator[Shopping]:
    module_patch.setenv("BACKROOM_PRIVACY_KEYS", PRIVACY_KEY)
    settings.cache_clear()
    yield shopping_over(database, settings())
    settings.cache_clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_receipt_is_written_as_pdf_and_sent_again_once_with_a_reason(
    world: Shopping, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trip = world.trip()
    assert run(capsys, "receipts", "pdf", trip, "--out", str(tmp_path / "r.pdf"))[0] == 0
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    assert run(capsys, "receipts", "send", trip, "--reason", " ")[0] == 2
    assert run(capsys, "receipts", "send", trip, "--reason", "the shopper called")[0] == 0
    code, _, said = run(capsys, "receipts", "send", trip, "--reason", "again")
    assert (code, "waits to be sent already" in said) == (2, True)
    listed = json.loads(run(capsys, "receipts", "list", "--trip", trip, "--json")[1])
    assert [(one["kind"], one["state"]) for one in listed] == [("RESEND", "DUE")]
    assert world.rows("select reason from audit_entry where action = 'receipt.send'") == [
        {"reason": "the shopper called"}
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("receipts", "pdf", "no-trip", "--out", "x.pdf"), "there is no trip 'no-trip'"),
        (("receipts", "list", "--state", "LOST"), "--state: one of DUE"),
        (("shoppers", "export", "--id", "nobody", "--reason", "asked"), "no address of shopper 'nobody' is kept"),
        (("shoppers", "set-address", "--id", "ana", "--address", "x", "--reason", "r"), "is malformed"),
        (("shoppers", "set-address", "--id", "none", "--address", "x@y.test", "--reason", "r"), "there is no shopper"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    world: Shopping, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    code, _, said = run(capsys, *arguments)
    assert (code, said.count("\n"), complaint in said) == (2, 1, True), said


def test_an_address_is_set_told_and_asked_to_be_erased(world: Shopping, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--id", "ana", "--reason", "by telephone")
    assert run(capsys, "shoppers", "set-address", "--address", "Ana@New.test", "--language", "es", *asked)[0] == 0
    told = json.loads(run(capsys, "shoppers", "export", *asked)[1])
    assert [(one["address"], one["language"]) for one in told["addresses"]] == [("ana@new.test", "es")]
    link = run(capsys, "shoppers", "sign-in-link", *asked)[1].strip()
    assert link.startswith("http://127.0.0.1:8001/sign-in/")
    assert run(capsys, "shoppers", "erase", *asked)[0] == 0
    assert [one["state"] for one in json.loads(run(capsys, "shoppers", "erasures", "--json")[1])] == ["ASKED"]
    kept = str(world.rows("select * from audit_entry"))
    assert "new.test" not in kept
