"""Reconciles a store's day: judges every trip, keeps the outcome, opens and closes breaks, freezes the figures."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from backroom.clock import business_day_bounds
from backroom.errors import BackroomError
from backroom.feeds.completeness import windows
from backroom.reconciliation import break_keeping, figures, fingerprint, gathering, judged, rows
from backroom.reconciliation.matching import judge
from backroom.reconciliation.plain import keep_plain
from backroom.reconciliation.sides import Deadlines
from backroom.reconciliation.verdict import Outcome
from backroom.settings import Settings, settings


@dataclass(frozen=True)
class RunSummary:
    """What one run found. `breaks_open` counts breaks, of which one trip may have several.

    `unchanged`: nothing was new, and no deadline passed that would change a verdict; the run before stands.
    """

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
    unchanged: bool = False

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"business_date": self.business_date.isoformat(), "as_of": self.as_of.isoformat()}


def reconcile_day(
    connection: Connection, *, store_id: str, business_date: date, complete: bool, now: datetime
) -> RunSummary:
    """One run over a store's business day, as of `now` (UTC), in the caller's transaction.

    Run it as often as wanted: outcomes and breaks are brought up to date, a break that is gone is closed, none is
    deleted or opened twice, and where nothing is new the run before stands. `complete` says that the day's files are
    all in. Raises BackroomError for no such store.
    """
    _one_at_a_time(connection, store_id, business_date)
    # compiling these statements takes longer than running them, whatever the size of the day
    connection.execute(text(f"set local work_mem = '{settings().reconciliation_work_mem_mb}MB'; set local jit = off"))
    day = _day(connection, store_id, business_date, complete=complete, now=now)
    before = _newest_run(connection, store_id, business_date)
    only = None
    if (
        before is not None
        and before.fingerprint == day.fingerprint
        and not fingerprint.moved(connection, store_id=store_id, business_date=business_date)
    ):
        only = _undecided(connection, store_id, business_date)
    _stage(connection)
    if only != []:
        gathering.gather(connection, store_id=store_id, business_date=business_date, only=only)
        _judge(connection, day)
    break_keeping.compare(connection, store_id, business_date)
    if before is not None and only is not None and not _differs(connection, before):
        return _stands(connection, before, day)
    run_id, revision = _open_run(connection, day)
    judged.keep_trips(connection, run_id, store_id, business_date, all_of_them=only is None)
    opened, closed = break_keeping.keep(connection, store_id, business_date, now, whole=only is None)
    return _close_run(connection, day, run_id, revision, opened=opened, closed=closed)


@dataclass(frozen=True)
class _Day:
    """What a run is about."""

    store_id: str
    business_date: date
    complete: bool
    now: datetime
    deadlines: Deadlines
    fingerprint: str
    read_up_to: int  # all transactions below this number were over before anything was read


def _day(connection: Connection, store_id: str, business_date: date, *, complete: bool, now: datetime) -> _Day:
    store = connection.execute(
        text(
            "select time_zone, cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) as read_up_to"
            " from store where store_id = :store_id"
        ),
        {"store_id": store_id},
    ).one_or_none()
    if store is None:
        raise BackroomError(f"there is no store {store_id}; `backroom stores list` shows those there are")
    zone = store.time_zone
    deadlines = _deadlines(business_date, zone, settings())
    margin = timedelta(minutes=settings().day_complete_margin_minutes)
    seen = fingerprint.of_day(
        connection,
        store_id=store_id,
        business_date=business_date,
        bounds=business_day_bounds(business_date, zone),
        windows=windows(business_date, zone, margin=margin),
        settings=(complete, deadlines, settings().token_life_hours),
    )
    return _Day(store_id, business_date, complete, now, deadlines, seen, store.read_up_to)


def _judge(connection: Connection, day: _Day) -> None:
    """Every gathered trip into judged_trip, and what breaks into found_break."""
    keep_plain(connection)
    lines = rows.differing_lines(connection)
    token_life = timedelta(hours=settings().token_life_hours)
    for batch in rows.trips(connection, token_life=token_life):
        judged.copy(
            connection,
            [
                (
                    trip,
                    judge(
                        trip,
                        lines.get(trip.shopping_trip_id, ()),
                        deadlines=day.deadlines,
                        complete=day.complete,
                        now=day.now,
                    ),
                )
                for trip in batch
            ],
        )


def _one_at_a_time(connection: Connection, store_id: str, business_date: date) -> None:
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"reconciliation {store_id} {business_date}"},
    )


def _deadlines(business_date: date, zone: str, config: Settings) -> Deadlines:
    _, end = business_day_bounds(business_date, zone)
    return Deadlines(
        order_due=end + timedelta(hours=config.day_release_cutoff_hours),
        evidence=timedelta(hours=config.capture_evidence_hours),
        booking=timedelta(minutes=config.booking_due_minutes),
        refund=timedelta(hours=config.refund_evidence_hours),
        payout=timedelta(days=config.payout_due_days),
    )


def _newest_run(connection: Connection, store_id: str, business_date: date) -> Row[Any] | None:
    return connection.execute(
        text("""
            select run_id, store_id, business_date, revision, as_of, complete, trips, matched, expected, breaks_open,
                   -- within one transaction all versions of a row have its number: nothing can be told
                   case when cast(xmin as text) <> cast(cast(pg_current_xact_id() as xid) as text) then fingerprint end
                       as fingerprint
            from reconciliation_run where store_id = :store_id and business_date = :day
            order by revision desc limit 1
        """),
        {"store_id": store_id, "day": business_date},
    ).one_or_none()


def _undecided(connection: Connection, store_id: str, business_date: date) -> list[str]:
    """The trips whose verdict time alone may change, and those of which a person has decided the last open break."""
    found = connection.execute(
        text("""
            select t.shopping_trip_id from reconciliation_trip t
            where t.store_id = :store_id and t.business_date = :day and (t.waits or t.outcome = 'BREAK' and not exists (
                select from reconciliation_break b
                where b.store_id = t.store_id and b.business_date = t.business_date
                  and b.shopping_trip_id = t.shopping_trip_id and b.closed_at is null))
            order by 1
        """),
        {"store_id": store_id, "day": business_date},
    )
    return list(found.scalars())


def _differs(connection: Connection, before: Row[Any]) -> bool:
    """Whether a trip or a break is not as that run left it. What a person decided since, it had open."""
    day = before.store_id, before.business_date
    return (
        before.breaks_open != _open_breaks(connection, *day)
        or judged.differs(connection, *day)
        or break_keeping.differs(connection, *day)
    )


def _stands(connection: Connection, before: Row[Any], day: _Day) -> RunSummary:
    connection.execute(
        text("update reconciliation_run set checked_at = :now, read_up_to = :read_up_to where run_id = :run_id"),
        {"now": day.now, "read_up_to": day.read_up_to, "run_id": before.run_id},
    )
    told = before._asdict()
    del told["fingerprint"]
    return RunSummary(**told, breaks_opened=0, breaks_closed=0, unchanged=True)


def _open_run(connection: Connection, day: _Day) -> tuple[int, int]:
    row = connection.execute(
        text("""
            insert into reconciliation_run
                (store_id, business_date, revision, as_of, complete, trips, matched, expected, breaks_open, figures,
                 fingerprint, read_up_to)
            select cast(:store_id as text), cast(:day as date), coalesce(max(revision), 0) + 1,
                   cast(:now as timestamptz), cast(:complete as boolean), 0, 0, 0, 0, '{}', cast(:fingerprint as text),
                   cast(:read_up_to as bigint)
            from reconciliation_run where store_id = :store_id and business_date = :day
            returning run_id, revision
        """),
        {
            "store_id": day.store_id,
            "day": day.business_date,
            "now": day.now,
            "complete": day.complete,
            "fingerprint": day.fingerprint,
            "read_up_to": day.read_up_to,
        },
    ).one()
    return row.run_id, row.revision


def _stage(connection: Connection) -> None:
    connection.execute(
        text("""
            create temporary table if not exists judged_trip (
                shopping_trip_id text, outcome text, note text, entry_method text, currency text,
                purchase_total numeric, charge_state text, charge_captured numeric, order_total numeric,
                order_captured numeric, ledger_captured numeric, matched_by text, confidence numeric,
                their_trip_id text, reading text, waits boolean) on commit delete rows;
            create temporary table if not exists found_break (
                shopping_trip_id text, line_number integer, kind text, ours text, theirs text, difference numeric,
                currency text, explanation text) on commit delete rows;
            truncate judged_trip, found_break
        """)
    )


def _close_run(
    connection: Connection, day: _Day, run_id: int, revision: int, *, opened: int, closed: int
) -> RunSummary:
    where = {"store_id": day.store_id, "day": day.business_date}
    of = {
        row.outcome: row.trips
        for row in connection.execute(
            text(
                "select outcome, count(*) as trips from reconciliation_trip"
                " where store_id = :store_id and business_date = :day group by 1"
            ),
            where,
        )
    }
    summary = RunSummary(
        run_id=run_id,
        store_id=day.store_id,
        business_date=day.business_date,
        revision=revision,
        as_of=day.now,
        complete=day.complete,
        trips=sum(of.values()),
        matched=of.get(Outcome.MATCHED, 0),
        expected=of.get(Outcome.EXPECTED, 0),
        breaks_open=_open_breaks(connection, day.store_id, day.business_date),
        breaks_opened=opened,
        breaks_closed=closed,
    )
    frozen = figures.of_day(connection, store_id=day.store_id, business_date=day.business_date, now=day.now)
    connection.execute(
        text("""
            update reconciliation_run set trips = :trips, matched = :matched, expected = :expected,
                   breaks_open = :breaks_open, figures = cast(:figures as jsonb)
            where run_id = :run_id
        """),
        {
            "run_id": run_id,
            "trips": summary.trips,
            "matched": summary.matched,
            "expected": summary.expected,
            "breaks_open": summary.breaks_open,
            "figures": json.dumps(frozen),
        },
    )
    return summary


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
