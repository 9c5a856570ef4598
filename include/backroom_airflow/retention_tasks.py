"""Tasks of the DAG retention: wishes for erasure, then what has been kept long enough."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def erase(**context: Any) -> dict[str, int]:
    """Carries out what shoppers asked for; a dry run only counts what waits."""
    from sqlalchemy import text

    from backroom.db.engine import engine
    from backroom.shoppers.privacy import erase_asked

    if _dry(context):
        with engine().connect() as connection:
            waits = connection.execute(text("select count(*) from privacy_request where state <> 'DONE'")).scalar_one()
        return {"would be looked at": waits}
    return dict(erase_asked(engine(), now=business_time.of(context)))


def keep_no_longer(**context: Any) -> dict[str, int]:
    """Takes out what has been kept long enough; how many of each kind."""
    from backroom.db.engine import engine
    from backroom.settings import settings
    from backroom.shoppers.retention import apply

    return dict(apply(engine(), settings(), now=business_time.of(context), dry_run=_dry(context)))


def _dry(context: Any) -> bool:
    return bool(context["params"]["dry_run"])
