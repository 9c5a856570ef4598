"""Today at a glance: what waits, what is owed, how each store stands, what was warned of."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template

from backroom.db.engine import engine
from backroom.feeds import listing as feeds
from backroom.reviews.listing import cases
from backroom.staff.permissions import Permission
from backroom.stores import standing
from connector_app.console.access import needs
from connector_app.console.doing import now

blueprint = Blueprint("today", __name__)
GAP_DAYS = 3


@blueprint.get("/")
@needs(Permission.SEE_TODAY)
def today() -> str:
    """The first page."""
    moment = now()
    with engine().connect() as connection:
        gaps = feeds.gaps(connection, now=moment, days=GAP_DAYS)
        return render_template(
            "today.html",
            waiting=standing.waiting(connection, now=moment),
            owed=standing.owed(connection),
            stores=standing.stores(connection),
            gaps={each.store.store_id: each.missing for each in gaps},
            gap_days=GAP_DAYS,
            urgent=cases(connection, size=5).rows,
            alerts=standing.alerts(connection, since=moment - timedelta(days=1), size=8),
        )
