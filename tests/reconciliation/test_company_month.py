"""The company's month: what is in the way at each store, and all stores closed at once or none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.reconciliation import company_month, on_demand, periods
from backroom.reconciliation.months import CloseRefused
from tests.reconciliation.conftest import DAY, Books, open_store

APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


@pytest.fixture
def shops(database: Engine) -> Iterator[list[Books]]:
    """Two stores with a reconciled trip each, a third that nobody reconciled, a test store; all rolled back."""
    with database.connect() as connection:
        made = [Books(connection, store_id) for store_id in ("EAST", "NORTH", "SOUTH", "TRIAL")]
        for books in made:
            open_store(books)
            books.trip()
        for books in made[:2]:
            books.reconcile()
        connection.execute(text("update store set test = true where store_id = 'TRIAL'"))
        yield made
        connection.rollback()


def _close(books: Books) -> list[str]:
    return company_month.close(books.connection, month=DAY, by="fay", reason="all seen", now=APRIL)


def _standing(books: Books) -> dict[str, tuple[str, str]]:
    found = company_month.standing(books.connection, month=DAY, now=APRIL)
    return {one.store_id: (one.state, "; ".join(one.in_the_way)) for one in found}


def test_a_store_that_stands_in_the_way_keeps_every_store_open_and_is_named(shops: list[Books]) -> None:
    _, north, south, _ = shops
    north.change("amazon_order", north.trips[0], captured=9)
    north.reconcile()
    assert _standing(south) == {
        "EAST": ("READY", ""),
        "NORTH": ("OPEN", "1 breaks are open (mend or decide them, or close with them)"),
        "SOUTH": ("OPEN", "no day of SOUTH from 2026-03-01 to 2026-03-31 was reconciled; `backroom reconcile day`"),
    }
    with pytest.raises(CloseRefused, match=r"^no store was closed: March 2026 of NORTH can't .* \| no day of SOUTH"):
        _close(south)
    assert _standing(south)["EAST"] == ("READY", "")
    audited = south.connection.execute(text("select count(*) from audit_entry where action = 'month.close'"))
    assert audited.scalar_one() == 0


def _company(books: Books, folder: Path) -> dict[str, bytes]:
    """The files of the company's report of the month, as somebody gets them who asks."""
    last = periods.last_of_month(DAY)
    written = on_demand.write(books.connection, store_id=None, first=DAY.replace(day=1), last=last, folder=folder)
    return {path.name: path.read_bytes() for path in written.all}


def test_what_is_open_is_closed_at_once_and_what_was_closed_is_left(shops: list[Books], tmp_path: Path) -> None:
    *_, south, _ = shops
    south.reconcile()
    assert _close(south) == ["EAST", "NORTH", "SOUTH"]
    assert {state for state, _ in _standing(south).values()} == {"CLOSED"}
    with pytest.raises(CloseRefused, match="March 2026: no store is left to close"):
        _close(south)
    closed = _company(south, tmp_path)
    assert sorted(closed) == [f"company.{kind}" for kind in ("figures.csv", "figures.parquet", "html", "xlsx")]
    south.change("amazon_order", south.trip(), captured=9)
    south.reconcile(now=APRIL)
    assert _company(south, tmp_path / "again") == closed
