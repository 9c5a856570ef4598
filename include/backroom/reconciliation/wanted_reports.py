"""Reports of any days that staff want stored and announced: asked for in the console, which reaches no AWS itself.

The next run of the DAG `reconciliation` writes and delivers them. One that fails is made up for by the run after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from backroom.audit import trail
from backroom.reconciliation import delivery, on_demand
from backroom.reconciliation.delivery import Clients, Delivered
from backroom.reconciliation.tables import report_wanted


@dataclass(frozen=True)
class Wanted:
    """A report that is still to be delivered; `store_id` None: all stores."""

    wanted_id: int
    store_id: str | None
    first: date
    last: date


def want(connection: Connection, *, store_id: str | None, first: date, last: date, by: str, now: datetime) -> None:
    """Asks for it; `now` in UTC. Audited. Raises BackroomError for days that no report can be about."""
    on_demand.chosen_stores(connection, store_id=store_id, first=first, last=last)
    row = {"store_id": store_id, "first_day": first, "last_day": last, "wanted_by": by, "wanted_at": now}
    connection.execute(insert(report_wanted).values(row))
    trail.record(
        connection,
        at=now,
        actor=by,
        action="report.want",
        subject=f"{store_id or on_demand.COMPANY} {first} {last}",
        reason="to be stored and announced",
    )


def due(connection: Connection) -> list[Wanted]:
    """What is still to be delivered, the oldest first; nothing where the settings name no place for reports."""
    if not delivery.is_wanted():
        return []
    table = report_wanted.c
    query = select(table.wanted_id, table.store_id, table.first_day, table.last_day)
    rows = connection.execute(query.where(table.delivered_at.is_(None)).order_by(table.wanted_id))
    return [Wanted(*row) for row in rows]


def deliver(engine: Engine, aws: Clients, wanted: Wanted, *, folder: Path, now: datetime) -> Delivered | None:
    """Writes that report into `folder`, stores and announces it; `now` in UTC. As delivery.deliver."""
    with engine.begin() as connection:
        written = on_demand.write(
            connection, store_id=wanted.store_id, first=wanted.first, last=wanted.last, folder=folder
        )
    delivered = delivery.deliver(engine, aws, page=written.html, now=now)
    with engine.begin() as connection:
        this = report_wanted.c.wanted_id == wanted.wanted_id
        connection.execute(update(report_wanted).where(this).values(delivered_at=now))
    return delivered
