"""Tells the point of sale what moved. An export is written down, exactly as it is told, before it is told.

Each movement belongs to one export, and an export to one key (its id): what is unknown or was not sent is told again,
the same bytes under the same key, until the point of sale says yes or no. Rules: docs/inventory.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, text, update

from backroom.alerts import raise_alert
from backroom.amazon.outcomes import Outcome
from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.inventory.channels import Attempt, Channel
from backroom.inventory.counting import settle_counts
from backroom.inventory.export_body import ToldMovement, as_csv, as_json
from backroom.inventory.posting import post_due
from backroom.inventory.tables import stock_export

_BODIES: Final = {"HTTP": as_json, "FILE": as_csv}
_STATES: Final = {Outcome.SUCCEEDED: "DONE", Outcome.REFUSED: "REFUSED"}
_LATE: Final = timedelta(minutes=30)
_MOST_EXPORTS: Final = 50  # of one store in one run; the next run goes on


@dataclass
class Exported:
    """What a run did for one store: movements told for the first time, and exports by what became of them."""

    movements: int = 0
    done: int = 0
    refused: int = 0
    waiting: int = 0

    def as_json(self) -> dict[str, int]:
        """For a task's result."""
        return asdict(self)


def stores_to_tell(connection: Connection) -> list[str]:
    """The stores with movements that are in no export, or with an export that is not settled."""
    return list(connection.scalars(_STORES))


def export_store(
    engine: Engine, channels: Sequence[Channel], *, store_id: str, now: datetime, most_movements: int
) -> Exported:
    """Tells again what is unsettled, then what is new, at most `most_movements` in one export; `now` is business time.

    While an export of the store waits for its yes or no, no new one is made: a point of sale that is away finds one
    export for the time it was away, not hundreds. Several may run at once; each export is told by one of them.
    """
    result = Exported()
    for _ in range(_MOST_EXPORTS if channels else 0):
        if waiting := _tell_open(engine, channels, store_id, now, result):
            result.waiting = waiting
            break
        with engine.begin() as connection:
            claimed = _claim(connection, channels, store_id, now, most_movements)
        if not claimed:
            break
        result.movements += claimed
    return result


def tell_again(
    engine: Engine, choose: Callable[[str], Sequence[Channel]], *, export_id: int, actor: str, now: datetime
) -> Exported:
    """Tells a refused (or unsettled) export once more, the same bytes under the same key; audited.

    `choose` gives a store's channels. Raises BackroomError where nothing of that export is left to tell, or the
    channel by which it was told is not set up any more.
    """
    with engine.begin() as connection:
        reopened = connection.execute(_REOPEN, {"export_id": export_id}).all()
        if not reopened:
            raise BackroomError(f"export {export_id} is not there or has been taken; see `backroom stock exports`")
        store_id = reopened[0].store_id
        channels = choose(store_id)
        if missing := {row.channel for row in reopened} - {channel.name for channel in channels}:
            raise BackroomError(
                f"export {export_id} was told by {', '.join(sorted(missing))}, which is not set up for {store_id};"
                " see BACKROOM_STOCK_EXPORT"
            )
        trail.record(
            connection, at=now, actor=actor, action="stock.export.again", subject=str(export_id),
            details={"store_id": store_id},
        )  # fmt: skip
    result = Exported()
    result.waiting = _tell_open(engine, channels, store_id, now, result, only=export_id)
    return result


def _tell_open(
    engine: Engine, channels: Sequence[Channel], store_id: str, now: datetime, result: Exported, only: int | None = None
) -> int:
    """One attempt for each unsettled export; how many are unsettled after it (by another's attempt, too)."""
    by_name = {channel.name: channel for channel in channels}
    asked = {"store_id": store_id, "channels": list(by_name), "only": only}
    with engine.connect() as connection:
        still_open = connection.execute(_OPEN, asked).all()
    for export in still_open:
        state = _attempt(engine, by_name[export.channel], export.export_id, now)
        result.done += state == "DONE"
        result.refused += state == "REFUSED"
    with engine.connect() as connection:
        return len(connection.execute(_OPEN, asked).all())


def _attempt(engine: Engine, channel: Channel, export_id: int, now: datetime) -> str | None:
    """The export's state after one attempt; None where another process is at it or has settled it.

    The row stays locked while the point of sale is asked, so that no two tell it at once. Whoever dies in between
    leaves it as it was: intended, to be told again under the same key.
    """
    with engine.begin() as connection:
        row = connection.execute(_LOCK, {"export_id": export_id, "channel": channel.name}).one_or_none()
        if row is None:
            return None
        attempt = channel.tell(export_id, row.store_id, row.body)
        state = _STATES.get(attempt.outcome, "INTENDED")
        connection.execute(
            update(stock_export)
            .where(stock_export.c.export_id == export_id, stock_export.c.channel == channel.name)
            .values(
                state=state,
                attempts=stock_export.c.attempts + 1,
                answer=f"{attempt.outcome.value}: {attempt.answer}",
                settled_at=None if state == "INTENDED" else now,
            )
        )
        _alert(connection, row, attempt, channel, now)
    return state


def _alert(connection: Connection, row: Any, attempt: Attempt, channel: Channel, now: datetime) -> None:
    if attempt.outcome is Outcome.REFUSED:
        raise_alert(
            connection,
            key=f"stock-export-refused:{row.export_id}:{channel.name}",
            severity="critical",
            title=f"{row.store_id}: the point of sale refused stock export {row.export_id}: {attempt.answer}",
            what_to_do=f"mend the cause there, then `backroom stock export --again {row.export_id}`",
            subject=str(row.export_id),
            store_id=row.store_id,
            now=now,
        )
    elif attempt.turned_away or (attempt.outcome is not Outcome.SUCCEEDED and row.created_at <= now - _LATE):
        raise_alert(
            connection,
            key=f"stock-export-waiting:{row.store_id}:{channel.name}",
            severity="warning",
            title=f"{row.store_id}: stock export {row.export_id} is not taken: {attempt.answer}",
            what_to_do="check the point of sale, its URL and secret, or the export's folder or bucket; "
            "it is told again with every run (`backroom stock exports`)",
            subject=str(row.export_id),
            store_id=row.store_id,
            now=now,
        )


def _claim(connection: Connection, channels: Sequence[Channel], store_id: str, now: datetime, most: int) -> int:
    """Puts what is new into an export, one row per channel under one id; how many movements. Tells nothing yet."""
    post_due(connection, store_id=store_id)
    asked = {"store_id": store_id, "counts_of": None, "most": most}
    claimed = list(connection.execute(_CLAIM, asked))
    if not claimed:
        return 0
    # A sale of before a count goes with the count's correction. Settled after the claim: what is claimed is seen.
    skus = {row.item_sku for row in claimed}
    if settle_counts(connection, store_id=store_id, item_skus=skus, now=now):
        known = {_key(row) for row in claimed}
        counts = connection.execute(_CLAIM, {**asked, "counts_of": sorted(skus), "most": None})
        claimed += [row for row in counts if _key(row) not in known]
    movements = [ToldMovement(**row._mapping) for row in claimed]
    export_id: int | None = None
    for channel in channels:
        made = connection.execute(
            insert(stock_export)
            .values(
                store_id=store_id,
                channel=channel.name,
                movements=len(movements),
                body="",
                content_hash="",
                created_at=now,
                **({} if export_id is None else {"export_id": export_id}),
            )
            .returning(stock_export.c.export_id)
        ).scalar_one()
        export_id = int(made)
        body = _BODIES[channel.name](export_id, store_id, now, movements)
        connection.execute(
            update(stock_export)
            .where(stock_export.c.export_id == export_id, stock_export.c.channel == channel.name)
            .values(body=body, content_hash=hashlib.sha256(body.encode()).hexdigest())
        )
    connection.execute(
        _MARK,
        {
            "export_id": export_id,
            "store_id": store_id,
            "item_skus": [movement.item_sku for movement in movements],
            "sources": [movement.source for movement in movements],
            "kinds": [movement.kind for movement in movements],
            "line_numbers": [movement.line_number for movement in movements],
        },
    )
    return len(movements)


def _key(row: Any) -> tuple[str, str, str, int]:
    return row.item_sku, row.source, row.kind, row.line_number


_STORES = text("""
    select store_id from store
    where exists (select from stock_movement as moved where moved.store_id = store.store_id and export_id is null)
       or exists (select from stock_due as due where due.store_id = store.store_id)
       or exists (select from stock_export as export where export.store_id = store.store_id and state = 'INTENDED')
    order by store_id
""")

_OPEN = text("""
    select export_id, channel from stock_export
    where store_id = :store_id and state = 'INTENDED' and channel = any(cast(:channels as text[]))
      and (cast(:only as bigint) is null or export_id = :only)
    order by export_id, channel
""")

_LOCK = text("""
    select export_id, store_id, body, created_at from stock_export
    where export_id = :export_id and channel = :channel and state = 'INTENDED' for update skip locked
""")

_REOPEN = text("""
    update stock_export set state = 'INTENDED', settled_at = null
    where export_id = :export_id and state in ('INTENDED', 'REFUSED') returning store_id, channel
""")

# What is new, or of it the counts of some SKUs.
_CLAIM = text("""
    select item_sku, kind, source, line_number, quantity, unit, happened_at from stock_movement
    where store_id = :store_id and export_id is null
      and (cast(:counts_of as text[]) is null or (kind = 'COUNT' and item_sku = any(cast(:counts_of as text[]))))
    order by recorded_at, item_sku, source, kind, line_number limit cast(:most as bigint) for update skip locked
""")

_MARK = text("""
    update stock_movement as moved set export_id = :export_id
    from unnest(cast(:item_skus as text[]), cast(:sources as text[]), cast(:kinds as text[]),
                cast(:line_numbers as integer[])) as told (item_sku, source, kind, line_number)
    where moved.store_id = :store_id and moved.item_sku = told.item_sku and moved.source = told.source
      and moved.kind = told.kind and moved.line_number = told.line_number
""")
