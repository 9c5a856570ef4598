"""Aging: how old each open debt is, in whole days of its store's calendar, and in which bucket that puts it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Bucket:
    """Ages from `first` to `last` days, both included; the last bucket has no end."""

    name: str
    first: int
    last: int | None


BUCKETS: Final = (Bucket("0-30", 0, 30), Bucket("31-60", 31, 60), Bucket("61-90", 61, 90), Bucket("90+", 91, None))


def age_days(opened_on: date, on: date) -> int:
    """Whole days since the day on which the debt was opened, which counts 0. Raises ValueError for a day before it."""
    if on < opened_on:
        raise ValueError(f"a debt of {opened_on} has no age on {on}")
    return (on - opened_on).days


def bucket_of(age: int) -> str:
    """The bucket's name for an age in days."""
    return next(bucket.name for bucket in reversed(BUCKETS) if age >= bucket.first)


_AGE: Final = text(
    """
    with aged as (
        select d.shopping_trip_id, a.on_day, a.on_day - a.opened_on as days
        from debt d join store s using (store_id)
        cross join lateral (select (d.opened_at at time zone s.time_zone)::date as opened_on,
                            coalesce(cast(:on as date), (:now at time zone s.time_zone)::date) as on_day) a
        where d.state = 'OPEN' and a.on_day >= a.opened_on and (d.aged_on is null or d.aged_on <= a.on_day)
    )
    update debt d set age_days = aged.days, aged_on = aged.on_day, bucket = b.name
    from aged
    join unnest(cast(:names as text[]), cast(:firsts as int[]), cast(:lasts as int[])) as b (name, first, last)
         on aged.days >= b.first and aged.days <= coalesce(b.last, aged.days)
    where d.shopping_trip_id = aged.shopping_trip_id
    """
)
_SUMMARY: Final = text(
    """
    select store_id, currency, bucket, count(*) as debts, sum(outstanding) as outstanding
    from debt where state = 'OPEN' and bucket is not null
    group by 1, 2, 3 order by 1, 2, 3
    """
)


@dataclass(frozen=True)
class AgedDebts:
    """Open debts of one store in one bucket; `outstanding` in `currency`."""

    store_id: str
    currency: str
    bucket: str
    debts: int
    outstanding: Decimal


def age_debts(connection: Connection, *, now: datetime, on: date | None = None) -> list[AgedDebts]:
    """Ages every open debt and returns what is open, by store and bucket. Safe to run again.

    As of the day `on`; without it, of each store's own day at `now` (business time). A debt that was aged on a later
    day keeps that age; one opened after the day is not aged yet.
    """
    connection.execute(
        _AGE,
        {
            "on": on,
            "now": now,
            "names": [bucket.name for bucket in BUCKETS],
            "firsts": [bucket.first for bucket in BUCKETS],
            "lasts": [bucket.last for bucket in BUCKETS],
        },
    )
    return [AgedDebts(*row) for row in connection.execute(_SUMMARY)]
