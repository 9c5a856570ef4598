"""Batches to Amazon: the intent is written already, here come the call and its outcome.

A batch is claimed before its call, for longer than every time-out inside. Whoever finds a claim that has run out does
not know whether the call was made: the batch is UNKNOWN, and goes again only after news may have told what became of it
(notifications.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import LONGEST_CALL, CatalogClient, Written, is_final, names_a_bad_store
from backroom.amazon.outcomes import Answer, CallFailed, Outcome, Problem
from backroom.catalog.difference import NOT_REFUSED
from backroom.settings import settings

MAX_TRIES: Final = 8
_LONGEST_PAUSE = 300  # seconds between tries, unless Amazon asks for more
_NO_ANSWER: Final = (Problem.TIMED_OUT, Problem.CONNECTION_LOST, Problem.UNINTELLIGIBLE)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Batch:
    """A batch as it stands. `store_id` is None for an archive, which is for all stores.

    `link` is that of the report, where it is known and has not expired.
    """

    batch_id: int
    run_id: int
    kind: str
    store_id: str | None
    ingestion_id: str | None
    tries: int
    link: str | None = None
    in_doubt: bool = False  # an earlier try may have arrived


def pause_after(tries: int) -> int:
    """Seconds until the next try, where Amazon does not say."""
    return min(2**tries, _LONGEST_PAUSE)


def send_due(engine: Engine, client: CatalogClient, *, run_id: int, now: datetime) -> list[int]:
    """Sends what is due of this run and of earlier ones, several at once; returns the ids of those that Amazon took."""
    _give_up_claims(engine)
    due = _due(engine, run_id)
    if not due:
        return []
    with ThreadPoolExecutor(min(settings().catalog_concurrency, len(due)), thread_name_prefix="catalog") as pool:
        sent = list(pool.map(lambda batch_id: _claim_and_send(engine, client, batch_id, now), due))
    return [batch_id for batch_id, taken in zip(due, sent, strict=True) if taken]


def _claim_and_send(engine: Engine, client: CatalogClient, batch_id: int, now: datetime) -> bool:
    with engine.begin() as connection:
        row = connection.execute(_CLAIM, {"batch": batch_id, "lease": LONGEST_CALL}).one_or_none()
    if row is None:
        return False  # another worker has it
    batch = Batch(**row._mapping)
    try:
        ingestion_id = _call(engine, client, batch)
    except CallFailed as error:
        _log.warning("catalog_batch_not_sent", batch_id=batch.batch_id, tries=batch.tries, reason=str(error))
        _record_failure(engine, batch, error, now)
        return False
    if ingestion_id is None:
        return False
    with engine.begin() as connection:
        connection.execute(_SENT, {"batch": batch.batch_id, "ingestion": ingestion_id, "now": now})
    return True


def _call(engine: Engine, client: CatalogClient, batch: Batch) -> str | None:
    """None where nothing of the batch is as it was planned any more: a later run has it."""
    with engine.begin() as connection:
        connection.execute(_BY_INDEX)
        if batch.kind == "UPLOAD":
            told: Written | list[str] = Written(*connection.execute(_RECORDS, {"batch": batch.batch_id}).one())
            cart = connection.scalar(
                text("select store_type = 'DASH_CART' from store where store_id = :s"), {"s": batch.store_id}
            )
        else:
            told = list(connection.execute(_SKUS, {"batch": batch.batch_id}).scalars())
            stores = list(connection.execute(_STORES).scalars())
        if not told:
            connection.execute(_OVERTAKEN, {"batch": batch.batch_id, "in_doubt": batch.in_doubt})
            return None
    return client.upload(told, cart=bool(cart)) if isinstance(told, Written) else client.archive(told, stores)


def _record_failure(engine: Engine, batch: Batch, error: CallFailed, now: datetime) -> None:
    answer = error.answer
    turned_away = answer.outcome is Outcome.NOT_SENT and answer.problem is Problem.THROTTLED  # by our own limit
    over = is_final(answer) or (batch.tries >= MAX_TRIES and not turned_away)
    pause = float(answer.retry_after if answer.retry_after is not None else pause_after(batch.tries))
    if answer.outcome is Outcome.UNKNOWN and answer.problem in _NO_ANSWER:
        pause = max(pause, settings().catalog_unknown_minutes * 60)
    with engine.begin() as connection:
        recorded = connection.execute(
            _FAILED,
            {
                "batch": batch.batch_id,
                "state": _state_after(batch, answer),
                "reason": str(error),
                "tries": batch.tries - (1 if turned_away else 0),
                "claimed": batch.tries,
                "over": over,
                "now": now,
                "pause": pause,
                "bad_store": names_a_bad_store(answer),
            },
        )
        if over and recorded.rowcount:
            _alert(connection, batch, error, now)


def _state_after(batch: Batch, answer: Answer) -> str:
    """A no to this try says nothing about an earlier one that may have arrived."""
    if is_final(answer):
        return "REFUSED"
    return "UNKNOWN" if batch.in_doubt or answer.outcome is Outcome.UNKNOWN else "INTENT"


def _alert(connection: Connection, batch: Batch, error: CallFailed, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"catalog:batch:{batch.batch_id}",
        severity="critical",
        title=f"Catalog batch {batch.batch_id} ({batch.kind}) is not at Amazon: {error}"[:500],
        what_to_do="Correct what the answer names (store, rights) and run `backroom catalog sync`; nothing is lost.",
        now=now,
        subject=str(batch.batch_id),
        store_id=batch.store_id,
    )


def _give_up_claims(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(_LOST_CLAIMS, {"pause": settings().catalog_unknown_minutes * 60})


def _due(engine: Engine, run_id: int) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(_DUE, {"run": run_id}).scalars())


_DUE = text(
    "select batch_id from catalog_batch where settled_at is null and run_id <= :run and state in ('INTENT', 'UNKNOWN')"
    " and coalesce(not_before, '-infinity') <= clock_timestamp() order by batch_id"
)
# The claim is also the mark that the call may have been made: it is durable before the call.
_CLAIM = text(
    """
    update catalog_batch b set state = 'CALLING', tries = b.tries + 1, called_at = clock_timestamp(),
        claimed_until = clock_timestamp() + make_interval(secs => :lease)
    from (
        select batch_id, state from catalog_batch
        where batch_id = :batch and settled_at is null and state in ('INTENT', 'UNKNOWN')
            and coalesce(not_before, '-infinity') <= clock_timestamp()
        for update skip locked) free
    where b.batch_id = free.batch_id
    returning b.batch_id, b.run_id, b.kind, b.store_id, b.ingestion_id, b.tries, free.state = 'UNKNOWN' as in_doubt
    """
)
_LOST_CLAIMS = text(
    "update catalog_batch set state = 'UNKNOWN', claimed_until = null,"
    " reason = 'whoever was sending it ended before the answer was recorded',"
    " not_before = called_at + make_interval(secs => :pause)"
    " where state = 'CALLING' and claimed_until < clock_timestamp() and settled_at is null"
)
# An answer that comes after its claim is still the batch's id; an id that is there already stands.
_SENT = text(
    "update catalog_batch set state = 'SENT', ingestion_id = :ingestion, sent_at = :now, reason = null,"
    " claimed_until = null, not_before = null"
    " where batch_id = :batch and settled_at is null and ingestion_id is null"
)
_FAILED = text(
    "update catalog_batch set state = :state, reason = :reason, tries = :tries, claimed_until = null,"
    " bad_store = :bad_store, settled_at = case when :over then cast(:now as timestamptz) end,"
    " not_before = clock_timestamp() + make_interval(secs => :pause)"
    " where batch_id = :batch and state = 'CALLING' and tries = :claimed"
)
_OVERTAKEN = text(
    "update catalog_batch set state = 'SUPERSEDED', claimed_until = null, settled_at = clock_timestamp(),"
    " called_at = case when :in_doubt then called_at end, reason = 'superseded: each of its items has changed since'"
    " where batch_id = :batch"
)
# A batch is read by its index, and each of its items by one look-up (`limit 1`), whatever the planner believes of a
# table that has grown by a million rows a moment ago: the whole catalog must not be read for each batch of it.
_BY_INDEX = text("select set_config('enable_seqscan', 'off', true)")
_RECORDS = text(
    """
    select count(*), coalesce(string_agg(i.record::text, ','), '') from catalog_batch_item b
    cross join lateral (
        select record, content_hash, gone from catalog_item c
        where c.store_id = b.store_id and c.item_sku = b.item_sku limit 1) i
    where b.batch_id = :batch and i.content_hash = b.content_hash and not i.gone
    """
)
# What is back in a store since must not be taken off its shelves by an archive that goes late.
_SKUS = text(
    """
    select distinct b.item_sku from catalog_batch_item b
    where b.batch_id = :batch and not exists (
        select from catalog_item i join store s using (store_id)
        where i.item_sku = b.item_sku and s.store_type = 'JWO' and not i.gone)
    order by b.item_sku
    """
)
_STORES = text(
    f"select s.store_id from store s where s.store_type = 'JWO' and {NOT_REFUSED} order by s.store_id"  # noqa: S608
)
