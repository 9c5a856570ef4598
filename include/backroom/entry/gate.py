"""Verifies an identity key: looks up, decides, remembers the answer. One transaction, the caller's.

Idempotent by `authEvent.id`: the first answer (200 or 401) is stored and repeated byte for byte, also to copies that
arrive at once. A scan key code serves one `authEvent.id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import insert

from backroom.entry.decision import Decision, GateRules, KnownShopper, Reason, decide
from backroom.entry.scan_code import ScanCode, parse_scan_code
from backroom.entry.tables import gate_decision, scan_code_use
from backroom.reviews.cases import open_case
from backroom.shoppers.registry import key_hash


class UnknownStore(LookupError):
    """The call names a store that is not one of ours, or one that is closed."""


@dataclass(frozen=True)
class GateEvent:
    """A key shown at a gate. `key` is decoded; it is never kept, only its hash is."""

    request_id: str
    store_id: str
    key: bytes
    auth_event_id: str
    at: datetime


@dataclass(frozen=True)
class GateAnswer:
    """What Amazon gets: HTTP status 200 or 401, and the exact body. `reason` is for the log."""

    status: int
    body: bytes
    reason: str


def verify_identity_key(
    connection: Connection, event: GateEvent, raw_body: Mapping[str, Any], *, rules: GateRules, now: datetime
) -> GateAnswer:
    """Answers a gate event. `now`: when it was received; rules go by the event's own time. Raises UnknownStore."""
    code = parse_scan_code(event.key)
    hashed = key_hash(event.key)
    facts = _look_up(connection, event, code, hashed)
    if facts.prior_status is not None:
        return _repeat(connection, event, hashed, facts)
    if not facts.store_active:
        raise UnknownStore(event.store_id)
    decision = decide(
        at=event.at,
        code=code,
        shopper=_known_shopper(facts),
        used_by_another=facts.used_by is not None,
        balance_denies=facts.risk_strategy == "RETAILER_MANAGED",
        rules=rules,
    )
    attempt = connection.begin_nested()
    if decision.admitted and code is not None and not _use_code(connection, code, event, now):
        decision = Decision(Reason.CODE_USED, decision.shopper)
    answer = _answer(decision)
    if _remember(connection, event, hashed, decision, answer, raw_body, now):
        attempt.commit()
        return answer
    attempt.rollback()  # a copy was faster: its answer stands, and a code of ours is not used up
    return _repeat(connection, event, hashed, _look_up(connection, event, code, hashed))


_FACTS = text("""
    select store.active as store_active, store.risk_strategy,
           prior.status as prior_status, prior.key_hash as prior_key_hash, prior.response_body as prior_body,
           known.shopper_id, known.revoked, known.expires_at, shopper.type, shopper.active, shopper.flagged,
           exists (select from debt where debt.shopper_id = known.shopper_id and debt.state = 'OPEN'
                   and debt.amount > debt.paid) as owes,
           used.auth_event_id as used_by
    from (select) as always
    left join store on store.store_id = :store_id
    left join gate_decision as prior on prior.auth_event_id = :auth_event_id
    left join recognition_key as known on known.key_hash = :key_hash and known.kind = :kind
    left join shopper on shopper.shopper_id = known.shopper_id
    left join scan_code_use as used on used.code_hash = :code_hash and used.auth_event_id <> :auth_event_id
""")


def _look_up(connection: Connection, event: GateEvent, code: ScanCode | None, hashed: str) -> Row:
    return connection.execute(
        _FACTS,
        {
            "store_id": event.store_id,
            "auth_event_id": event.auth_event_id,
            "key_hash": hashed if code is None else key_hash(code.token.encode()),
            "kind": "OPAQUE" if code is None else "TOKEN",
            "code_hash": None if code is None else code.code_hash,
        },
    ).one()


def _known_shopper(facts: Row) -> KnownShopper | None:
    if facts.shopper_id is None:
        return None
    return KnownShopper(
        shopper_id=facts.shopper_id,
        type=facts.type,
        active=facts.active,
        flagged=facts.flagged,
        owes=facts.owes,
        key_revoked=facts.revoked,
        key_expires_at=facts.expires_at,
    )


def _use_code(connection: Connection, code: ScanCode, event: GateEvent, now: datetime) -> bool:
    """Whether the code now serves this event. Waits for another gate that shows it at the same moment."""
    connection.execute(
        insert(scan_code_use)
        .values(code_hash=code.code_hash, auth_event_id=event.auth_event_id, used_at=now)
        .on_conflict_do_nothing()
    )
    served = connection.execute(
        text("select auth_event_id from scan_code_use where code_hash = :code_hash"), {"code_hash": code.code_hash}
    ).scalar_one()
    return bool(served == event.auth_event_id)


def _answer(decision: Decision) -> GateAnswer:
    if decision.admitted and decision.shopper is not None:
        visitor = {"id": decision.shopper.shopper_id, "type": decision.shopper.type}
        return GateAnswer(200, _bytes({"visitorDetails": visitor}), decision.reason)
    return GateAnswer(401, _bytes({"errorMsg": "identityKey: invalid or unknown key"}), decision.reason)


def _bytes(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _remember(
    connection: Connection,
    event: GateEvent,
    hashed: str,
    decision: Decision,
    answer: GateAnswer,
    raw_body: Mapping[str, Any],
    now: datetime,
) -> bool:
    """False where a copy of the event has been answered already."""
    made = connection.scalar(
        insert(gate_decision)
        .values(
            auth_event_id=event.auth_event_id,
            request_id=event.request_id,
            store_id=event.store_id,
            key_hash=hashed,
            auth_event_at=event.at,
            status=answer.status,
            reason=decision.reason,
            shopper_id=decision.shopper.shopper_id if decision.shopper else None,
            shopper_type=decision.shopper.type if decision.shopper else None,
            response_body=answer.body,
            raw_body={name: value for name, value in raw_body.items() if name != "identityKey"},
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(gate_decision.c.auth_event_id)
    )
    return made is not None


def _repeat(connection: Connection, event: GateEvent, hashed: str, facts: Row) -> GateAnswer:
    if facts.prior_key_hash != hashed:
        open_case(
            connection,
            kind="DIFFERENT_KEY",
            subject=event.auth_event_id,
            store_id=event.store_id,
            asked_by="entry",
            question="A gate event came again with another identity key; the first answer was given again. Why?",
            known={"first_answer": facts.prior_status, "request_id": event.request_id},
            choices=[("seen", "nothing changes: the first answer stands")],
            now=event.at,
        )
    return GateAnswer(facts.prior_status, bytes(facts.prior_body), "REPEATED")
