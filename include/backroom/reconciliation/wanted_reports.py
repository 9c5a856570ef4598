"""Reports of any days that staff want stored and announced: asked for in the console, which reaches no AWS itself.

The next run of the DAG `reconciliation` writes and delivers them. One that fails is made up for by the run after; what
went wrong is kept with it. Where the run's settings name no place for reports, what is wanted waits until they do. What
is not wanted any more is withdrawn, and stays in the list.
Only the run knows its settings, so it leaves word of them for whoever asks (`Destination`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, insert, select, text, update

from backroom.audit import trail
from backroom.db.keyset import Order, Page, page
from backroom.errors import BackroomError
from backroom.reconciliation import delivery, on_demand
from backroom.reconciliation.delivery import Clients, Delivered
from backroom.reconciliation.tables import report_destination, report_wanted

LONGEST_FAILURE: Final = 500
_TELL: Final = text("""
    insert into report_destination (told_at, stores, announces) values (:now, :stores, :announces)
    on conflict (only_row) do update
    set told_at = excluded.told_at, stores = excluded.stores, announces = excluded.announces
    where report_destination.told_at <= excluded.told_at
""")
# A failure that is older than the settings' last word is told all the same: no run has made up for it.
_LISTED: Final = """
    select w.wanted_id, w.store_id, w.first_day, w.last_day, w.wanted_by, w.wanted_at, w.delivered_at, w.failed_at,
           w.failure, w.withdrawn_at, w.withdrawn_by,
           case when w.delivered_at is not null then 'DELIVERED'
                when w.withdrawn_at is not null then 'WITHDRAWN'
                when exists (select from report_destination d where not d.stores and not d.announces)
                     then 'WAITS_FOR_SETTINGS'
                when w.failed_at is not null then 'FAILED'
                else 'WAITS_FOR_RUN' end as state
    from report_wanted w
"""
_NEWEST: Final = Order({"wanted_id": "bigint"}, descending=True)


@dataclass(frozen=True)
class Wanted:
    """A report that is still to be delivered; `store_id` None: all stores."""

    wanted_id: int
    store_id: str | None
    first: date
    last: date


@dataclass(frozen=True)
class Destination:
    """What the run of the reconciliation at `told_at` (business time, UTC) found in its settings."""

    told_at: datetime
    stores: bool
    announces: bool

    @property
    def is_none(self) -> bool:
        """Whether reports go nowhere, so that what is wanted waits."""
        return not self.stores and not self.announces


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


def withdraw(connection: Connection, wanted_id: int, *, by: str, now: datetime) -> None:
    """No run tries it any more; `now` in UTC. Audited. Raises BackroomError where it does not wait for one.

    A run that has begun with it meanwhile goes on.
    """
    table = report_wanted.c
    row = connection.execute(
        update(report_wanted)
        .where(table.wanted_id == wanted_id, table.delivered_at.is_(None), table.withdrawn_at.is_(None))
        .values(withdrawn_at=now, withdrawn_by=by)
        .returning(table.store_id, table.first_day, table.last_day)
    ).one_or_none()
    if row is None:
        raise BackroomError(f"report {wanted_id} does not wait: it was delivered or withdrawn, or was never asked for")
    trail.record(
        connection,
        at=now,
        actor=by,
        action="report.withdraw",
        subject=f"{row.store_id or on_demand.COMPANY} {row.first_day} {row.last_day}",
        reason="not to be stored and announced any more",
    )


def listed(connection: Connection, *, after: str = "", size: int = 10) -> Page:
    """What was asked for, the newest first, and the `state` of each.

    DELIVERED; WITHDRAWN; WAITS_FOR_SETTINGS: the newest run knew no place for reports; FAILED: the next run tries it
    again; WAITS_FOR_RUN.
    """
    return page(connection, _LISTED, {}, _NEWEST, after=after, size=size)


def destination(connection: Connection) -> Destination | None:
    """Where the newest run said that reports go; None: no run has said so yet."""
    columns = report_destination.c
    row = connection.execute(select(columns.told_at, columns.stores, columns.announces)).one_or_none()
    return None if row is None else Destination(*row)


def due(connection: Connection, *, now: datetime) -> list[Wanted]:
    """What is still to be delivered, the oldest first; nothing where the settings name no place for reports.

    Leaves word of the settings; `now` (UTC) is the run's time.
    """
    to_store, to_announce = delivery.wanted_by_settings()
    connection.execute(_TELL, {"now": now, "stores": to_store, "announces": to_announce})
    if not to_store and not to_announce:
        return []
    table = report_wanted.c
    query = select(table.wanted_id, table.store_id, table.first_day, table.last_day)
    undelivered = query.where(table.delivered_at.is_(None), table.withdrawn_at.is_(None))
    rows = connection.execute(undelivered.order_by(table.wanted_id))
    return [Wanted(*row) for row in rows]


def deliver(engine: Engine, aws: Clients, wanted: Wanted, *, folder: Path, now: datetime) -> Delivered | None:
    """Writes that report into `folder`, stores and announces it; `now` in UTC. As delivery.deliver.

    Nothing of it where it was withdrawn meanwhile. What goes wrong is kept with what is wanted, and raised.
    """
    try:
        with engine.begin() as connection:
            if not _still(connection, wanted):
                return None
            written = on_demand.write(
                connection, store_id=wanted.store_id, first=wanted.first, last=wanted.last, folder=folder
            )
        delivered = delivery.deliver(engine, aws, page=written.html, now=now)
    except Exception as error:
        _keep(engine, wanted, failed_at=now, failure=_in_words(error))
        raise
    if delivered is not None:
        _keep(engine, wanted, delivered_at=now, failed_at=None, failure=None)
    return delivered


def _still(connection: Connection, wanted: Wanted) -> bool:
    table = report_wanted.c
    query = select(table.withdrawn_at.is_(None)).where(table.wanted_id == wanted.wanted_id)
    return bool(connection.execute(query).scalar_one())


def _in_words(error: Exception) -> str:
    """Our own errors are written to be read; of another its kind is told, and the log has the rest."""
    if isinstance(error, BackroomError):
        return str(error)[:LONGEST_FAILURE]
    return f"{type(error).__name__}; the log of the task deliver_months says more"


def _keep(engine: Engine, wanted: Wanted, **values: datetime | str | None) -> None:
    with engine.begin() as connection:
        this = report_wanted.c.wanted_id == wanted.wanted_id
        connection.execute(update(report_wanted).where(this).values(**values))
