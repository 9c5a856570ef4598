"""Which of a store's days a run is to go over: their releases say whether their files were all in."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Connection, text

from backroom.reconciliation import late_data, news

LOOK_BACK_DAYS = 31  # longer than a token's life and Amazon's refund window: what is older waits for news


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
    """The store's days that need another run.

    Of the last LOOK_BACK_DAYS those whose newest left trips waiting or breaks open, and those about whose trips or on
    whose date something was booked since; of any age those with an open break, or a write-off in the books, about
    whose trip anything came since, and those of whose breaks a person has decided one.
    """
    first, last = before - timedelta(days=LOOK_BACK_DAYS), before - timedelta(days=1)
    left_over = connection.execute(
        text("""
            select business_date from (
                select distinct on (business_date) business_date, expected + breaks_open as left_over
                from reconciliation_run
                where store_id = :store_id and business_date between :first and :last
                order by business_date, revision desc
            ) newest where left_over > 0
        """),
        {"store_id": store_id, "first": first, "last": last},
    )
    return sorted(
        {
            *late_data.days(connection, store_id=store_id, before=before),
            *news.decided_days(connection, store_id=store_id, first=date.min, last=last),
            *left_over.scalars(),
            *news.days(connection, store_id=store_id, first=first, last=last),
            *news.posted_days(connection, store_id=store_id, first=first, last=last),
        }
    )
