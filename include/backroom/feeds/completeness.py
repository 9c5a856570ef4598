"""When a store's business day is complete: judged from the ledger of files, never from which runs succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.clock import business_date, business_day_bounds
from backroom.orders.soundness import unsound
from backroom.settings import settings
from backroom.stores.registry import Store, all_stores

WINDOW = timedelta(minutes=15)  # Amazon writes a file every quarter of an hour


@dataclass(frozen=True)
class Coverage:
    """A store's day: the ends (UTC) of the windows that it needs, and of those that are missing."""

    store_id: str
    business_date: date
    needed: int
    missing: tuple[datetime, ...]

    @property
    def spans(self) -> list[tuple[datetime, datetime]]:
        """The missing windows, those that follow each other as one: the ends of its first and its last window."""
        spans: list[tuple[datetime, datetime]] = []
        for end in self.missing:
            if spans and end - spans[-1][1] == WINDOW:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((end, end))
        return spans


def windows(day: date, time_zone: str, *, margin: timedelta) -> list[datetime]:
    """Ends of the windows that a business day needs: 92, 96 or 100 that overlap it, and those of the margin after."""
    start, end = business_day_bounds(day, time_zone)
    count = (end + margin - start) // WINDOW
    return [start + WINDOW * number for number in range(1, count + 1)]


def coverage(connection: Connection, *, store: Store, day: date) -> Coverage:
    """Which windows of the day have been brought in; the same content under another key counts as well."""
    needed = windows(day, store.time_zone, margin=margin())
    there = set(
        connection.execute(
            text(
                "select distinct window_end from feed_file where store_id = :store"
                " and state in ('INGESTED', 'SAME_CONTENT') and window_end between :first and :last"
            ),
            {"store": store.store_id, "first": needed[0], "last": needed[-1]},
        ).scalars()
    )
    return Coverage(store.store_id, day, len(needed), tuple(end for end in needed if end not in there))


def first_day(connection: Connection, store: Store) -> date:
    """The business day on which the store began: of the first file, event or trip of which we heard.

    Of one that nothing was heard of: the first whole day after it was added. What came before was never to come.
    """
    heard = _first_heard(connection, store)
    if heard is not None:
        return business_date(heard, store.time_zone)
    added = connection.execute(
        text("select created_at from store where store_id = :store"), {"store": store.store_id}
    ).scalar_one()
    return business_date(added, store.time_zone) + timedelta(days=1)


def newly_complete_days(connection: Connection, *, now: datetime) -> list[tuple[str, date]]:
    """Release each (store, business day) that has become complete, once.

    A store with files needs every window. One with events alone is complete the margin after its day's end. A day
    with sales that still lacks windows `day_release_cutoff_hours` after its end is released as incomplete, with an
    alert, and once more, as a correction, when the rest has come. A day that was released and that late data has
    changed since is released again as a correction. A day with what must never be (orders/soundness.py) is held, with
    an alert, whichever run brought it.
    """
    released = []
    for store in all_stores(connection):
        for day, before, late in _unreleased_days(connection, store, now):
            if _release(connection, store, day, before, late, now):
                released.append((store.store_id, day))
    return released


def days_released_at(connection: Connection, *, now: datetime) -> list[tuple[str, date]]:
    """What a run of that business time released: what its retry must announce again."""
    rows = connection.execute(
        text("select store_id, business_date from day_release where released_at = :now order by 1, 2"), {"now": now}
    )
    return [(row.store_id, row.business_date) for row in rows]


def margin() -> timedelta:
    """How long after a day's end its last files may come."""
    return timedelta(minutes=settings().day_complete_margin_minutes)


def _first_heard(connection: Connection, store: Store) -> datetime | None:
    heard: datetime | None = connection.execute(
        text(
            "select least((select min(window_end) from feed_file where store_id = :store),"
            " (select min(happened_at) from feed_event where store_id = :store),"
            " (select min(trip_ended_at) from purchase where store_id = :store))"
        ),
        {"store": store.store_id},
    ).scalar_one()
    return heard


def _unreleased_days(connection: Connection, store: Store, now: datetime) -> list[tuple[date, int, bool]]:
    """Ended days that may be due: not released as complete, or changed since.

    From the first of which we heard; with their last revision, and whether late data has changed them.
    """
    first = _first_heard(connection, store)
    if first is None:
        return []
    done = {
        row.business_date: (row.revision, row.complete)
        for row in connection.execute(
            text(
                "select distinct on (business_date) business_date, revision, complete from day_release"
                " where store_id = :store order by business_date, revision desc"
            ),
            {"store": store.store_id},
        )
    }
    changed = set(
        connection.execute(
            text("select distinct business_date from feed_file_day where store_id = :store and to_release"),
            {"store": store.store_id},
        ).scalars()
    )
    day, last = min([business_date(first, store.time_zone), *changed]), business_date(now, store.time_zone)
    days = []
    while day < last:
        revision, complete = done.get(day, (0, False))
        late = revision > 0 and day in changed
        if late or not complete:
            days.append((day, revision, late))
        day += timedelta(days=1)
    return days


def _release(connection: Connection, store: Store, day: date, before: int, late: bool, now: datetime) -> bool:
    _, end = business_day_bounds(day, store.time_zone)
    if now < end + margin():
        return False
    missing = coverage(connection, store=store, day=day).missing if "FILES" in store.feeds else ()
    if missing and not late:
        cutoff = end + timedelta(hours=settings().day_release_cutoff_hours)
        wanted = _is_wanted(connection, store, day)
        if before or not (wanted or (now >= cutoff and _has_sales(connection, store, day))):
            return False
        told = "a person wants it released" if wanted else "at the cut-off"
        raise_alert(
            connection,
            key=f"feeds:incomplete:{store.store_id}:{day}",
            severity="critical",
            title=f"{store.store_id}, {day}: {len(missing)} intra-day windows are missing: {told}",
            what_to_do=f"See `backroom feeds gaps --store {store.store_id} --date {day}`; ask Amazon to send them.",
            now=now,
            subject=f"{store.store_id}|{day}",
            store_id=store.store_id,
        )
    if _is_held(connection, store, day, now):
        return False
    recorded = connection.execute(
        text(
            "insert into day_release (store_id, business_date, revision, complete, released_at, missing_windows,"
            " correction) values (:store, :day, :revision, :complete, :now, :missing, :correction)"
            " on conflict do nothing"
        ),
        {
            "store": store.store_id,
            "day": day,
            "revision": before + 1,
            "complete": not missing,
            "now": now,
            "missing": len(missing),
            "correction": before > 0,
        },
    )
    if recorded.rowcount == 0:
        return False
    connection.execute(
        text(
            "update feed_file_day set to_release = false"
            " where store_id = :store and business_date = :day and to_release"
        ),
        {"store": store.store_id, "day": day},
    )
    return True


def _is_held(connection: Connection, store: Store, day: date, now: datetime) -> bool:
    reasons = unsound(connection, store_id=store.store_id, business_date=day)
    if reasons:
        raise_alert(
            connection,
            key=f"feeds:held:{store.store_id}:{day}",
            severity="critical",
            title=f"{store.store_id}, {day} is not released: {'; '.join(reasons)}"[:500],
            what_to_do="Ask Amazon to send these orders again; once they are sound, the next run releases the day.",
            now=now,
            subject=f"{store.store_id}|{day}",
            store_id=store.store_id,
        )
    return bool(reasons)


def _is_wanted(connection: Connection, store: Store, day: date) -> bool:
    """Whether a person wants the day released with the windows that it has (feeds/mending.py)."""
    return bool(
        connection.execute(
            text("select exists (select from day_release_wanted where store_id = :store and business_date = :day)"),
            {"store": store.store_id, "day": day},
        ).scalar_one()
    )


def _has_sales(connection: Connection, store: Store, day: date) -> bool:
    return bool(
        connection.execute(
            text(
                "select exists (select from purchase where store_id = :store and business_date = :day)"
                " or exists (select from amazon_order where store_id = :store and business_date = :day)"
            ),
            {"store": store.store_id, "day": day},
        ).scalar_one()
    )
