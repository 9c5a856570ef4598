"""Airflow's own page of Backroom: the state of each store, what waits, and the latest run of each DAG.

Mounted by the plugin under /backroom. It asks for what Airflow's own pages ask for: nobody sees it without signing in.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote

PREFIX: Final = "/backroom"
# Without a `url_route` the menu opens it as a page of its own: Airflow's frames let no link out of them.
VIEW: Final = {"name": "Backroom", "href": f"{PREFIX}/", "destination": "nav"}
GAP_DAYS: Final = 3
Message = MutableMapping[str, Any]


async def standing_app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The ASGI app; built at its first call, so that tasks and the scheduler, which load plugins too, need not."""
    await _app()(scope, receive, send)


@cache
def _app() -> Any:
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import get_user, requires_access_view
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(title="Backroom", docs_url=None, redoc_url=None, openapi_url=None)
    signed_in = Depends(requires_access_view(AccessView.WEBSITE))

    @app.get("/", dependencies=[signed_in], response_class=HTMLResponse, response_model=None)
    def standing(user: Any = Depends(get_user)) -> Any:  # noqa: B008 - how FastAPI is told
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(page(latest_runs(user), now=datetime.now(UTC), nonce=nonce), headers=_headers(nonce))

    return app


def page(runs: list[dict[str, Any]], *, now: datetime, nonce: str) -> str:
    """The page as HTML; `runs` are links to show, `now` is in UTC."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from backroom.db.engine import engine
    from backroom.feeds import listing
    from backroom.settings import settings
    from backroom.stores import standing

    with engine().connect() as connection:
        known = {
            "waiting": standing.waiting(connection, now=now),
            "stores": standing.stores(connection),
            "gaps": {each.store.store_id: each.missing for each in listing.gaps(connection, now=now, days=GAP_DAYS)},
        }
    templates = Environment(
        loader=PackageLoader("backroom_airflow", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return templates.get_template("standing.html").render(
        **known, runs=runs, now=now, nonce=nonce, gap_days=GAP_DAYS, console=settings().console_url.rstrip("/")
    )


def latest_runs(user: Any) -> list[dict[str, Any]]:
    """The latest run of each DAG that the user may see: dag, run, state, when it began, and its page's path."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    readable = get_auth_manager().get_authorized_dag_ids(user=user)
    order = func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.id.desc()).label("back")
    ranked = (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.start_date, order)
        .where(DagRun.dag_id.in_(readable))
        .subquery()
    )
    with create_session() as session:
        rows = session.execute(select(ranked).where(ranked.c.back == 1).order_by(ranked.c.dag_id)).all()
    return [
        {
            "dag_id": row.dag_id,
            "state": row.state,
            "began": row.start_date,
            "path": f"/dags/{quote(row.dag_id, safe='')}/runs/{quote(row.run_id, safe='')}",
        }
        for row in rows
    ]


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'; frame-ancestors 'none'; base-uri 'none';"
            " form-action 'none'"
        ),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
