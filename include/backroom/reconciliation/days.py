"""Which of a store's days a run is to go over: their releases say whether their files were all in."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Connection, text

from backroom.reconciliation import news

LOOK_BACK_DAYS = 31  # longer than a token's life and Amazon's refund window: what is older is a person's business


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
    """The store's days of the last LOOK_BACK_DAYS that need another run.

    Their newest left trips waiting or breaks open, or something was booked about them since.
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
    return sorted({*left_over.scalars(), *news.days(connection, store_id=store_id, first=first, last=last)})
