"""backroom reconcile, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

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
    capsys.readouterr()
    assert _run("breaks", "--store", "SHOP-1", "--open", "--json") == 1
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["MISSING_ORDER"]
    assert _run("breaks", "--store", "OTHER") == 0
    capsys.readouterr()
    assert _run("report", "--date", "2026-03-02", "--now", NOW, "--json") == 0
    assert Path(json.loads(capsys.readouterr().out)["html"]).name == "company.html"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("day", "--store", "NOWHERE", "--date", "2026-03-02"), "there is no store NOWHERE"),
        (("day", "--store", "SHOP-1", "--date", "yesterday"), "--date: 'yesterday' is not a day"),
        (("day", "--store", "SHOP-1", "--date", "2026-03-02", "--now", "noon"), "--now: 'noon' is not an instant"),
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
