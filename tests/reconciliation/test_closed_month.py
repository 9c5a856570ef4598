"""A month of days with breaks planted in Amazon's files and in our own books: all are found, and the month closes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.feeds import judging, staging
from backroom.ledger.book import post_new
from backroom.orders.merge import merge
from backroom.reconciliation import breaks, months, periods, report, scoring
from backroom.reconciliation.breaks import Filter
from backroom.reconciliation.months import CloseRefused
from backroom.reconciliation.runs import reconcile_day
from jwo_sandbox import planting
from jwo_sandbox.reporting import _csv
from tests.benchmarks import retailer_day
from tests.reconciliation.conftest import Books

STORE = "MONTH-1"
FIRST, LAST = date(2026, 2, 1), date(2026, 2, 28)
DAYS = [FIRST + timedelta(days=number) for number in (0, 6, 13, 27)]  # the others had no trips
MARCH = datetime(2026, 3, 5, 9, tzinfo=UTC)
TRIPS = 96
AMAZONS = sorted(planting.KINDS)
OURS = ("MISSING_CHARGE", "LEDGER", "TOTAL", "UNBILLED", "FEEDS")
ROWS = text("""
    select o.order_id, o.shopping_trip_id, o.store_id, o.status, o.entry_method,
           to_char(o.trip_started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           to_char(o.trip_ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           a.line_number, a.item_sku, trim_scale(a.quantity), a.unit, round(a.price, 2), round(p.tax_amount, 2),
           round(a.list_price, 2), round(a.promotion, 2), o.currency, round(t.total, 2), round(o.authorized, 2),
           round(o.captured, 2), round(o.refunded, 2), o.card_brand, o.card_last_four, o.reconciliation_id,
           to_char(o.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    from amazon_order o join amazon_order_line a using (store_id, order_id)
    join purchase t on t.shopping_trip_id = o.shopping_trip_id
    join purchase_line p on p.shopping_trip_id = o.shopping_trip_id and p.line_number = a.line_number
    where o.store_id = :store order by o.shopping_trip_id, a.line_number
""")


@pytest.fixture(scope="module")
def month(database: Engine) -> Iterator[tuple[Connection, list[dict[str, Any]], Decimal]]:
    """(a connection, the truth, what the orders came to before anything was planted), with all days judged."""
    with database.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        for day in DAYS:
            _fill(connection, day)
        orders: dict[str, list[list[str]]] = {}
        for row in connection.execute(ROWS, {"store": STORE}):
            orders.setdefault(row[1], []).append([str(value) for value in row])
        sold = sum((Decimal(rows[0][16]) for rows in orders.values()), Decimal(0))
        connection.execute(text("delete from amazon_order_line"))
        connection.execute(text("delete from amazon_order"))
        truth = _send(connection, orders)
        truth += _bend_our_own(connection, [trip for trip in orders if not any(one["trip"] in trip for one in truth)])
        connection.execute(text("set local session_replication_role = origin"))
        for day in DAYS:
            reconcile_day(connection, store_id=STORE, business_date=day, complete=True, now=MARCH)
        yield connection, truth, sold
        connection.rollback()


def _fill(connection: Connection, day: date) -> None:
    given = {"store": STORE, "day": day.isoformat(), "trips": TRIPS, "lines": 2}
    for statement in (retailer_day.STORE + ";" + retailer_day.DAY).split(";"):
        wanted = {name: value for name, value in given.items() if f":{name}" in statement}
        connection.execute(text(statement), wanted)
    connection.execute(text("drop table made, made_line, made_total"))


def _send(connection: Connection, orders: dict[str, list[list[str]]]) -> list[dict[str, Any]]:
    """One file with all the orders, in one settled trip of a day a break of each kind in turn; the truth."""
    truth, sent, left = [], list[list[str]](), AMAZONS * 2
    for number, (trip, rows) in enumerate(orders.items()):
        kind = left[-1] if left and number % 7 == 0 else None
        bent, planted = rows, None
        if kind is not None:
            bent, planted = planting.plant(rows, kind, day=trip.removeprefix(f"{STORE}-")[:10])
        if planted is not None:
            truth.append(planted.as_json())
            left.pop()
        sent += bent
    assert left == []
    staging.prepare(connection)
    assert staging.stage(connection, io.BytesIO(_csv(sent)), store_id=STORE, currency="USD") == len(sent)
    assert judging.judge(connection, file_id=1, store_id=STORE, currency="USD", keep=True) == 0, _bad(connection)
    merge(connection, file_id=1, window_end=MARCH, sequencer="1", time_zone="America/New_York")
    return truth


def _bad(connection: Connection) -> list[Any]:
    return list(connection.execute(text("select line, column_name, reason, raw from feed_quarantine limit 3")).all())


def _bend_our_own(connection: Connection, trips: list[str]) -> list[dict[str, Any]]:
    """Breaks that only we can make."""
    books = Books(connection, STORE)
    connection.execute(text("create temporary table charge_before on commit drop as select * from charge"))
    captured = connection.execute(
        text("select shopping_trip_id from charge where shopping_trip_id = any(:trips) and state = 'CAPTURED'"
             " and shopping_trip_id not in (select shopping_trip_id from refund) order by 1"),
        {"trips": trips},
    ).scalars()  # fmt: skip
    truth = []
    for kind, trip in zip(OURS, captured, strict=False):
        amount = None
        if kind == "MISSING_CHARGE":
            connection.execute(text("delete from charge where shopping_trip_id = :t"), {"t": trip})
        elif kind == "LEDGER":
            books.post(trip, sales="-1.00", write_off="1.00")
        elif kind == "TOTAL":  # the charge is for less than the purchase, and parked for a person
            books.change("charge", trip, state="PARKED", total=Decimal("0.50"))
        elif kind == "UNBILLED":
            books.insert(
                "unbilled_line", shopping_trip_id=trip, line_number=9, store_id=STORE, item_id="X",
                quantity=Decimal(1), unit="unit", reason="no shelf price", recorded_at=MARCH,
            )  # fmt: skip
        else:
            books.hear(trip, captured="0.01", at=MARCH)
        truth.append({"kind": kind, "trip": trip, "line": 0, "store": STORE,
                      "day": trip.removeprefix(f"{STORE}-")[:10], "amount": amount})  # fmt: skip
    return truth


def _mend_our_own(connection: Connection, truth: list[dict[str, Any]]) -> list[str]:
    """Charges and ledger as they were; the trips' ids."""
    trips = {one["kind"]: one["trip"] for one in truth if one["kind"] in ("MISSING_CHARGE", "LEDGER", "TOTAL")}
    bent = {"trips": list(trips.values())}
    connection.execute(
        text("insert into charge select * from charge_before where shopping_trip_id = any(:trips)"
             " on conflict (shopping_trip_id) do update set state = excluded.state, total = excluded.total"),
        bent,
    )  # fmt: skip
    Books(connection, STORE).post(trips["LEDGER"], sales="1.00", write_off="-1.00")
    return list(trips.values())


def test_every_planted_break_is_found_and_rightly_named_and_nothing_else_is(
    month: tuple[Connection, list[dict[str, Any]], Decimal], tmp_path: Path
) -> None:
    connection, truth, _ = month
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in truth))
    planted = scoring.read_truth(path)
    judged = scoring.score(planted, scoring.found(connection, stores={STORE}, first=FIRST, last=LAST))
    assert (judged.misnamed, judged.missed, judged.invented) == ((), (), ())
    assert len(judged.found) == len(planted) == 2 * len(AMAZONS) + len(OURS)


def test_the_months_totals_are_those_of_the_books_and_tie_to_the_ledger_once_it_is_closed(
    month: tuple[Connection, list[dict[str, Any]], Decimal], tmp_path: Path
) -> None:
    connection, truth, sold = month
    stands = periods.of_store(connection, store_id=STORE, first=FIRST, last=LAST)
    assert Decimal(stands.figures["sales"]["total"]) == sold
    assert sum(Decimal(row["captured"]) + Decimal(row["debt"]) + Decimal(row["rest"]) for row in stands.by_day) > 0
    off = r"be closed: these do not tie: Sold by card.*, Sales at shelf price, Parked, or not charged yet$"
    with pytest.raises(CloseRefused, match=off):
        months.close(connection, store_id=STORE, month=FIRST, by="fay", reason="No", now=MARCH, with_breaks=True)
    mended = _mend_our_own(connection, truth)  # later data: these breaks close by themselves
    for one in breaks.listed(connection, Filter(store_id=STORE, state="OPEN"), now=MARCH):
        if one["shopping_trip_id"] in mended:
            continue
        breaks.write_off(connection, one["break_id"], by="fay", reason="planted", now=MARCH)
    assert post_new(connection, now=MARCH) > 0
    for day in DAYS:
        summary = reconcile_day(connection, store_id=STORE, business_date=day, complete=True, now=MARCH)
        assert (summary.breaks_open, summary.breaks_opened, summary.expected) == (0, 0, 0)
    closed = months.close(connection, store_id=STORE, month=FIRST, by="fay", reason="February", now=MARCH)
    assert closed.trips == len(DAYS) * TRIPS + 2  # two trips that only Amazon knows
    written = report.write_period(connection, [closed], stem=STORE, folder=tmp_path, title="Shop", as_of=MARCH)
    assert "February 2026" in written.html.read_text()
