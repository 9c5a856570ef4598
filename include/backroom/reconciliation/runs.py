"""Reconciles a store's day: judges every trip, keeps the outcome, opens and closes breaks, freezes the figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from backroom.clock import business_day_bounds
from backroom.errors import BackroomError
from backroom.reconciliation import break_keeping, figures, rows
from backroom.reconciliation.matching import judge
from backroom.reconciliation.sides import Deadlines, Trip
from backroom.reconciliation.verdict import Outcome, Verdict
from backroom.settings import Settings, settings

LOOK_BACK_DAYS = 31  # longer than a token's life and Amazon's refund window: what is older is a person's business


@dataclass(frozen=True)
class RunSummary:
    """What one run found. `breaks_open` counts breaks, of which one trip may have several."""

    run_id: int
    store_id: str
    business_date: date
    revision: int
    as_of: datetime
    complete: bool
    trips: int
    matched: int
    expected: int
    breaks_open: int
    breaks_opened: int
    breaks_closed: int

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"business_date": self.business_date.isoformat(), "as_of": self.as_of.isoformat()}


def reconcile_day(
    connection: Connection, *, store_id: str, business_date: date, complete: bool, now: datetime
) -> RunSummary:
    """One run over a store's business day, as of `now` (UTC), in the caller's transaction.

    Run it as often as wanted: outcomes and breaks are brought up to date, a break that is gone is closed, none is
    deleted or opened twice. `complete` says that the day's files are all in. Raises BackroomError for no such store.
    """
    _one_at_a_time(connection, store_id, business_date)
    deadlines = _deadlines(connection, store_id, business_date, settings())
    run_id, revision = _open_run(connection, store_id, business_date, complete=complete, now=now)
    _stage(connection)
    lines = rows.differing_lines(connection, store_id=store_id, business_date=business_date)
    outcomes: Counter[Outcome] = Counter()
    token_life = timedelta(hours=settings().token_life_hours)
    for batch in rows.trips(connection, store_id=store_id, business_date=business_date, token_life=token_life):
        judged = [
            (
                trip,
                judge(trip, lines.get(trip.shopping_trip_id, ()), deadlines=deadlines, complete=complete, now=now),
            )
            for trip in batch
        ]
        outcomes.update(verdict.outcome for _, verdict in judged)
        _copy(connection, judged)
    _keep_trips(connection, run_id, store_id, business_date)
    opened, closed = break_keeping.keep(connection, store_id, business_date, now)
    summary = RunSummary(
        run_id=run_id,
        store_id=store_id,
        business_date=business_date,
        revision=revision,
        as_of=now,
        complete=complete,
        trips=outcomes.total(),
        matched=outcomes[Outcome.MATCHED],
        expected=outcomes[Outcome.EXPECTED],
        breaks_open=_open_breaks(connection, store_id, business_date),
        breaks_opened=opened,
        breaks_closed=closed,
    )
    _close_run(connection, summary)
    return summary


def released_as_complete(connection: Connection, *, store_id: str, business_date: date) -> bool:
    """Whether the newest release of that day says that its files were all in; False where it was never released."""
    found = connection.execute(
        text(
            "select complete from day_release where store_id = :store_id and business_date = :day "
            "order by revision desc limit 1"
        ),
        {"store_id": store_id, "day": business_date},
    ).scalar_one_or_none()
    return bool(found)


def unsettled_days(connection: Connection, *, store_id: str, before: date) -> list[date]:
    """The store's days of the last LOOK_BACK_DAYS whose newest run left trips waiting or breaks open."""
    rows = connection.execute(
        text("""
            select business_date from (
                select distinct on (business_date) business_date, expected + breaks_open as left_over
                from reconciliation_run
                where store_id = :store_id and business_date < :before
                  and business_date >= cast(:before as date) - :days
                order by business_date, revision desc
            ) newest where left_over > 0 order by business_date
        """),
        {"store_id": store_id, "before": before, "days": LOOK_BACK_DAYS},
    )
    return list(rows.scalars())


def _one_at_a_time(connection: Connection, store_id: str, business_date: date) -> None:
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"reconciliation {store_id} {business_date}"},
    )


def _deadlines(connection: Connection, store_id: str, business_date: date, config: Settings) -> Deadlines:
    zone = connection.execute(
        text("select time_zone from store where store_id = :store_id"), {"store_id": store_id}
    ).scalar_one_or_none()
    if zone is None:
        raise BackroomError(f"there is no store {store_id}; `backroom stores list` shows those there are")
    _, end = business_day_bounds(business_date, zone)
    return Deadlines(
        order_due=end + timedelta(hours=config.day_release_cutoff_hours),
        evidence=timedelta(hours=config.capture_evidence_hours),
        booking=timedelta(minutes=config.booking_due_minutes),
    )


def _open_run(
    connection: Connection, store_id: str, business_date: date, *, complete: bool, now: datetime
) -> tuple[int, int]:
    row = connection.execute(
        text("""
            insert into reconciliation_run
                (store_id, business_date, revision, as_of, complete, trips, matched, expected, breaks_open, figures)
            select cast(:store_id as text), cast(:day as date), coalesce(max(revision), 0) + 1,
                   cast(:now as timestamptz), cast(:complete as boolean), 0, 0, 0, 0, '{}'
            from reconciliation_run where store_id = :store_id and business_date = :day
            returning run_id, revision
        """),
        {"store_id": store_id, "day": business_date, "now": now, "complete": complete},
    ).one()
    return row.run_id, row.revision


def _stage(connection: Connection) -> None:
    connection.execute(
        text("""
            create temporary table if not exists judged_trip (
                shopping_trip_id text, outcome text, note text, entry_method text, currency text,
                purchase_total numeric, charge_state text, charge_captured numeric, order_total numeric,
                order_captured numeric, ledger_captured numeric) on commit delete rows;
            create temporary table if not exists found_break (
                shopping_trip_id text, line_number integer, kind text, ours text, theirs text, difference numeric,
                currency text, explanation text) on commit delete rows;
            truncate judged_trip, found_break
        """)
    )


def _copy(connection: Connection, judged: Iterable[tuple[Trip, Verdict]]) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy("copy judged_trip from stdin") as copy:
        for trip, verdict in judged:
            purchase, charge, order = trip.purchase, trip.charge, trip.order
            side = purchase or order
            copy.write_row(
                (
                    trip.shopping_trip_id,
                    verdict.outcome.value,
                    verdict.note,
                    side.entry_method if side else None,
                    trip.currency,
                    purchase.total if purchase else None,
                    charge.state if charge else None,
                    charge.captured if charge else None,
                    order.total if order else None,
                    order.captured if order else None,
                    trip.booked.captured if trip.booked else None,
                )
            )
    with driver.cursor() as cursor, cursor.copy("copy found_break from stdin") as copy:
        for trip, verdict in judged:
            for found in verdict.findings.values():
                copy.write_row(
                    (
                        trip.shopping_trip_id,
                        found.line_number,
                        found.kind.value,
                        found.ours,
                        found.theirs,
                        found.difference,
                        trip.currency,
                        found.explanation,
                    )
                )


def _keep_trips(connection: Connection, run_id: int, store_id: str, business_date: date) -> None:
    connection.execute(
        text("""
            insert into reconciliation_trip as kept
                (store_id, business_date, shopping_trip_id, run_id, outcome, note, entry_method, currency,
                 purchase_total, charge_state, charge_captured, order_total, order_captured, ledger_captured)
            select cast(:store_id as text), cast(:day as date), shopping_trip_id, cast(:run_id as bigint),
                   outcome, note, entry_method, currency,
                   purchase_total, charge_state, charge_captured, order_total, order_captured, ledger_captured
            from judged_trip
            on conflict (store_id, business_date, shopping_trip_id) do update set
                run_id = excluded.run_id, outcome = excluded.outcome, note = excluded.note,
                entry_method = excluded.entry_method, currency = excluded.currency,
                purchase_total = excluded.purchase_total, charge_state = excluded.charge_state,
                charge_captured = excluded.charge_captured, order_total = excluded.order_total,
                order_captured = excluded.order_captured, ledger_captured = excluded.ledger_captured
        """),
        {"store_id": store_id, "day": business_date, "run_id": run_id},
    )


def _open_breaks(connection: Connection, store_id: str, business_date: date) -> int:
    return int(
        connection.execute(
            text(
                "select count(*) from reconciliation_break "
                "where store_id = :store_id and business_date = :day and closed_at is null"
            ),
            {"store_id": store_id, "day": business_date},
        ).scalar_one()
    )


def _close_run(connection: Connection, summary: RunSummary) -> None:
    frozen = figures.of_day(
        connection, run_id=summary.run_id, store_id=summary.store_id, business_date=summary.business_date
    )
    connection.execute(
        text("""
            update reconciliation_run set trips = :trips, matched = :matched, expected = :expected,
                   breaks_open = :breaks_open, figures = cast(:figures as jsonb)
            where run_id = :run_id
        """),
        {
            "run_id": summary.run_id,
            "trips": summary.trips,
            "matched": summary.matched,
            "expected": summary.expected,
            "breaks_open": summary.breaks_open,
            "figures": json.dumps(frozen),
        },
    )
