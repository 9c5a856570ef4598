"""An answer that is given once and then repeated byte for byte: resolve scan and get shopper.

Kept are 200 and 401, by operation and the id that Amazon repeats a call with. Copies that arrive at once have one
effect and get equal answers. The same id with another key gets the first answer, and a case is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from backroom.amazon import exact_json
from backroom.reviews.cases import open_case
from backroom.settings import settings
from backroom.shoppers.registry import key_hash
from backroom.shoppers.sealing import seal_of


@dataclass(frozen=True)
class Answer:
    """HTTP status 200 or 401 and the exact body. `reason` is for the log, `shopper_id` for whoever looks it up.

    `sealed`: the body as it is kept, where it names a loyalty account; None: as it is.
    """

    status: int
    body: bytes
    reason: str
    shopper_id: str | None = None
    sealed: str | None = None


@dataclass(frozen=True)
class Call:
    """What a repeat is known by. `key` is never kept, only its hash; `raw_body` is the call without it."""

    operation: str
    idempotency_key: str
    store_id: str
    key: bytes
    raw_body: Mapping[str, Any]
    at: datetime


def answer_once(connection: Connection, call: Call, decide: Callable[[], Answer], *, now: datetime) -> Answer:
    """The answer that the call got before, else what `decide` says, kept. One transaction, the caller's."""
    prior = _prior(connection, call)
    if prior is not None:
        return _repeat(connection, call, prior)
    attempt = connection.begin_nested()
    answer = decide()
    if _keep(connection, call, answer, now):
        attempt.commit()
        return answer
    attempt.rollback()  # a copy was faster: its answer stands, and a scan key code of ours is not used up
    kept = _prior(connection, call)
    assert kept is not None  # what stood in the way is committed
    return _repeat(connection, call, kept)


def body_of(value: object) -> bytes:
    """An answer's body."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _prior(connection: Connection, call: Call) -> Row | None:
    return connection.execute(_PRIOR, {"operation": call.operation, "key": call.idempotency_key}).one_or_none()


def _keep(connection: Connection, call: Call, answer: Answer, now: datetime) -> bool:
    made = connection.execute(
        _KEEP,
        {
            "operation": call.operation,
            "key": call.idempotency_key,
            "store_id": call.store_id,
            "key_hash": key_hash(call.key),
            "status": answer.status,
            "reason": answer.reason,
            "shopper_id": answer.shopper_id,
            "body": answer.body if answer.sealed is None else answer.sealed.encode(),
            "raw_body": exact_json.dumps(call.raw_body),
            "now": now,
        },
    ).one_or_none()
    return made is not None


_PRIOR = text(
    "select status, key_hash, response_body from identity_answer"
    " where operation = :operation and idempotency_key = :key"
)
_KEEP = text(
    "insert into identity_answer (operation, idempotency_key, store_id, key_hash, status, reason, shopper_id,"
    " response_body, raw_body, received_at) values (:operation, :key, :store_id, :key_hash, :status, :reason,"
    " :shopper_id, :body, cast(:raw_body as jsonb), :now) on conflict do nothing returning operation"
)


def _repeat(connection: Connection, call: Call, prior: Row) -> Answer:
    if prior.key_hash != key_hash(call.key):
        open_case(
            connection,
            kind="DIFFERENT_KEY",
            subject=call.idempotency_key,
            store_id=call.store_id,
            asked_by="entry",
            question="A call came again with another key; the first answer was given again. Why?",
            known={"operation": call.operation, "first_answer": prior.status},
            choices=[("seen", "nothing changes: the first answer stands")],
            now=call.at,
        )
    body = bytes(prior.response_body)
    if not body.startswith(b"{"):
        body = seal_of(settings()).open(body.decode()).encode()
    return Answer(prior.status, body, "REPEATED")
