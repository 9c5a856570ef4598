"""backroom reconcile, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.cli import main
from tests.reconciliation.conftest import DAY, Books, open_store

NOW = "2026-03-03T14:00:00Z"


@pytest.fixture(scope="module")
def shop(database: Engine) -> Books:
    """A store whose second trip lacks its order, kept in the database."""
    with database.begin() as connection:
        books = Books(connection, "SHOP-1")
        open_store(books)
        books.trip()
        books.trip(order=None)
        books.insert(
            "day_release", store_id="SHOP-1", business_date=DAY, revision=1, complete=True, released_at=DAY,
        )  # fmt: skip
    return books


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["reconcile", *arguments])
    return int(ended.value.code or 0)


def test_a_day_with_an_open_break_exits_with_1_and_writes_the_report(
    shop: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("day", "--store", "SHOP-1", "--date", "2026-03-02", "--now", NOW, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["trips"], said["matched"], said["breaks_open"], said["complete"]) == (2, 1, 1, True)
    assert Path(said["html"]).name == "SHOP-1.html"
    assert Path(said["xlsx"]).exists()


def test_breaks_are_listed_and_the_company_report_is_written(shop: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("day", "--store", "SHOP-1", "--date", "2026-03-02", "--now", NOW) == 1
    assert "not all in" not in capsys.readouterr().out
    assert _run("breaks", "--store", "SHOP-1", "--open", "--json") == 1
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["MISSING_ORDER"]
    assert _run("breaks", "--store", "OTHER") == 0
    capsys.readouterr()
    assert _run("report", "--date", "2026-03-02", "--now", NOW, "--json") == 0
    assert Path(json.loads(capsys.readouterr().out)["html"]).name == "company.html"


def test_a_day_whose_files_are_not_all_in_says_so(shop: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("day", "--store", "SHOP-1", "--date", "2026-03-01", "--now", NOW) == 0
    assert "not all in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("day", "--store", "NOWHERE", "--date", "2026-03-02"), "there is no store NOWHERE"),
        (("day", "--store", "SHOP-1", "--date", "yesterday"), "--date: 'yesterday' is not a day"),
        (("day", "--store", "SHOP-1", "--date", "2026-03-02", "--now", "noon"), "--now: 'noon' is not an instant"),
        (("breaks", "--kind", "nonsense"), "no kind of break is called NONSENSE; there are CURRENCY, "),
        (("report", "--date", "2026-03-02", "--store", "NOWHERE"), "NOWHERE was not reconciled from 2026-03-02"),
        (("report", "--date", "2020-01-01"), "no store has been reconciled for 2020-01-01"),
    ],
)
def test_a_users_mistake_is_one_line_and_exits_with_2(
    shop: Books, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    assert _run(*arguments) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_breaks_are_assigned_decided_and_told_of_and_a_month_is_reported(
    shop: Books, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _run("day", "--store", "SHOP-1", "--date", "2026-03-02", "--now", NOW)
    capsys.readouterr()
    _run("breaks", "--store", "SHOP-1", "--json")
    number = str(json.loads(capsys.readouterr().out)[0]["break_id"])
    assert _run("assign", number, "--to", "fay", "--reason", "her store", "--now", NOW) == 0
    assert _run("note", number, "--reason", "asked Amazon", "--now", NOW) == 0
    assert _run("write-off", number, "--reason", "ticket 12", "--by", "fay", "--now", NOW) == 0
    assert _run("force-match", number, "--reason", "again", "--now", NOW) == 2
    assert "was closed on" in capsys.readouterr().err
    assert _run("break", number, "--json", "--now", NOW) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in told["history"]] == ["OPENED", "ASSIGNED", "NOTED", "WRITTEN_OFF"]
    truth = tmp_path / "truth.jsonl"
    row = {"kind": "MISSING_ORDER", "trip": "SHOP-1-T2", "line": 0, "store": "SHOP-1", "day": "2026-03-02"}
    truth.write_text(json.dumps(row))
    assert _run("score", "--truth", str(truth)) == 0
    truth.write_text(json.dumps(row | {"kind": "STATUS"}))
    assert _run("score", "--truth", str(truth), "--json") == 1
    capsys.readouterr()
    assert _run("report", "--from", "2026-03-01", "--to", "2026-03-31", "--json", "--now", NOW) == 0
    assert Path(json.loads(capsys.readouterr().out)["html"]).parent.name == "2026-03-01_2026-03-31"
    assert _run("month", "--store", "SHOP-1", "--month", "2026-03", "--json") == 0
    assert _run("close-month", "--store", "SHOP-1", "--month", "2026-03", "--reason", "x", "--now", NOW) == 2
    assert "it is not over" in capsys.readouterr().err
    assert _run("assign", number, "--to", "fay", "--reason", "  ") == 2


def test_a_closed_months_report_is_the_same_whatever_is_reconciled_after_and_however_it_is_asked_for(
    shop: Books, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        books = Books(connection, "SHOP-2")
        open_store(books)
        books.trip()
        books.reconcile()
    closing = ("--month", "2026-03", "--reason", "all seen", "--now", "2026-04-02T09:00:00Z")
    assert _run("close-month", "--store", "SHOP-2", *closing, "--json") == 0
    page = Path(json.loads(capsys.readouterr().out)["html"])

    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in page.parent.glob("SHOP-2.*")}

    closed = written()
    assert len(closed) == 4
    with database.begin() as connection:
        Books(connection, "SHOP-2", trips=["SHOP-2-T1"]).trip()
        Books(connection, "SHOP-2").reconcile()
    assert _run("report", "--from", "2026-03-01", "--to", "2026-03-31", "--store", "SHOP-2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["html"] == str(page)
    assert written() == closed
    page.write_text("lost")
    assert _run("month", "--store", "SHOP-2", "--month", "2026-03") == 0
    assert written() == closed
    with database.begin() as connection:
        connection.execute(text("update closed_month_file set content = 'x' where name = 'SHOP-2.xlsx'"))
    assert _run("month", "--store", "SHOP-2", "--month", "2026-03") == 2
    assert "SHOP-2.xlsx of March 2026 is not what was kept when the month was closed" in capsys.readouterr().err
    assert written() == closed
    assert _run("months", "--month", "2026-03", "--now", "2026-04-02T09:00:00Z", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert [(one["store_id"], one["state"]) for one in said] == [("SHOP-1", "OPEN"), ("SHOP-2", "CLOSED")]
    assert _run("close-month", "--all-stores", *closing) == 2
    assert "no store was closed: March 2026 of SHOP-1 can't be closed: " in capsys.readouterr().err
    assert _run("close-month", *closing) == _run("close-month", "--store", "SHOP-2", "--all-stores", *closing) == 2
    assert _run("months", "--month", "2026-03") == 1
    capsys.readouterr()
    assert _run("report", "--from", "2026-03-01", "--to", "2027-03-31") == 2
    assert "366 days at most" in capsys.readouterr().err
