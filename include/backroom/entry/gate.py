"""Verifies an identity key: a decision, and the answer that is remembered.

Whom nothing speaks against is admitted by one statement, together with others who come at the same moment. Anyone else
(a copy of the call, an unknown key, a denied shopper) is looked up first.

Idempotent by `authEvent.id`: the first answer (200 or 401) is stored and repeated byte for byte, also to copies that
arrive at once. A scan key code serves one `authEvent.id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg import Error as DriverError
from psycopg.errors import UniqueViolation
from sqlalchemy import Engine

from backroom.amazon import exact_json
from backroom.db.serving import Statement, is_lost, transaction
from backroom.db.together import Together
from backroom.entry.decision import (
    NOTHING_DENIES,
    OUTSTANDING_HERE,
    Decision,
    GateRules,
    KnownShopper,
    Reason,
    decide,
    wrong_with_code,
)
from backroom.entry.scan_code import ScanCode, parse_scan_code
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


class Gate:
    """Answers the gate events of a process that serves them."""

    def __init__(self, engine: Engine, rules: GateRules, *, most: int = 16, seconds: float = 1.5) -> None:
        """`most` are admitted by one statement; an event waits `seconds` for its turn."""
        self._engine = engine
        self._rules = rules
        self._together = Together(self._admit, most=most, seconds=seconds)

    def verify(self, event: GateEvent, raw_body: Mapping[str, Any], *, now: datetime) -> GateAnswer:
        """As `verify_identity_key`. Raises UnknownStore, TookTooLong and the driver's errors."""
        code = parse_scan_code(event.key)
        if code is None or wrong_with_code(code, event.at, self._rules) is None:
            answer = self._together.run(_Arrival(event, code, raw_body, now))
            if answer is not None:
                return GateAnswer(200, answer.encode(), Reason.ADMITTED.value)
        return verify_identity_key(self._engine, event, raw_body, rules=self._rules, now=now)

    def _admit(self, arrivals: Sequence[_Arrival]) -> list[str | None]:
        """The body of each one's 200, or None: not admitted at once. Of copies, the first goes."""
        firsts = {arrival.event.auth_event_id: arrival for arrival in reversed(arrivals)}
        # in one order everywhere, so that two processes with the same codes do not wait for each other
        rows = [arrival.row() for arrival in firsts.values()]
        rows.sort(key=lambda row: (row["code_hash"] or "", row["auth_event_id"]))
        try:
            row = _ADMIT.one(self._engine, {"events": orjson.dumps(rows).decode()})
            admitted: dict[str, str] = orjson.loads(row.admitted or "{}")
        except DriverError as error:  # a copy came in elsewhere at this moment, say: each is looked at by itself
            if is_lost(error):
                raise
            admitted = {}
        return [
            admitted.get(arrival.event.auth_event_id) if firsts[arrival.event.auth_event_id] is arrival else None
            for arrival in arrivals
        ]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A gate event on its way in."""

    event: GateEvent
    code: ScanCode | None
    raw_body: Mapping[str, Any]
    now: datetime

    def row(self) -> dict[str, Any]:
        event, code = self.event, self.code
        return {
            "auth_event_id": event.auth_event_id,
            "request_id": event.request_id,
            "store_id": event.store_id,
            "key_hash": key_hash(event.key),
            "look_up_hash": key_hash(event.key if code is None else code.token.encode()),
            "kind": "OPAQUE" if code is None else "TOKEN",
            "code_hash": None if code is None else code.code_hash,
            "at": event.at,
            "raw_body": orjson.Fragment(_without_key(self.raw_body)),
            "received_at": self.now,
        }


# Where the store charges by its own processor, whoever pays by card is to have a hold; a pipeline asks for it.
_ADMITTED = "status, store_id, shopper_id, shopper_type, received_at"
_INTENDED = """intended as (
        insert into preauthorization (auth_event_id, store_id, shopper_id, processor, currency, amount, intended_at,
                                      next_attempt_at)
        select auth_event_id, store_id, shopper_id, payment_processor, currency, preauthorization_amount, received_at,
               received_at
        from remembered join store using (store_id)
        where status = 200 and shopper_type = 'SHOPPER' and payment_processor <> 'AMAZON'
          and preauthorization_amount > 0
    )"""
_ADMIT = Statement(f"""
    with event as materialized (
        select * from json_to_recordset(%(events)s::json) as event (
            auth_event_id text, request_id text, store_id text, key_hash text, look_up_hash text, kind text,
            code_hash text, at timestamptz, raw_body json, received_at timestamptz)
    ), admitted as materialized (
        select event.*, shopper.shopper_id, shopper.type,
               '{{"visitorDetails":{{"id":' || to_json(shopper.shopper_id) || ',"type":"' || shopper.type || '"}}}}'
                   as answer
        from event
        join store on store.store_id = event.store_id and store.active
        join recognition_key as known on known.key_hash = event.look_up_hash and known.kind = event.kind
         and (known.store_id is null or known.store_id = event.store_id)
        join shopper on shopper.shopper_id = known.shopper_id
        where {NOTHING_DENIES}
          and not exists (select from gate_decision as prior where prior.auth_event_id = event.auth_event_id)
    ), claimed as (
        insert into scan_code_use (code_hash, auth_event_id, used_at)
        select code_hash, auth_event_id, received_at from admitted where code_hash is not null
        on conflict (code_hash) do nothing returning auth_event_id
    ), remembered as (
        insert into gate_decision (auth_event_id, request_id, store_id, key_hash, auth_event_at, status, reason,
                                   shopper_id, shopper_type, response_body, raw_body, received_at)
        select auth_event_id, request_id, store_id, key_hash, at, 200, '{Reason.ADMITTED}', shopper_id, type,
               convert_to(answer, 'UTF8'), raw_body::jsonb, received_at
        from admitted where code_hash is null or auth_event_id in (select auth_event_id from claimed)
        returning auth_event_id, convert_from(response_body, 'UTF8') as answer, {_ADMITTED}
    ), {_INTENDED}
    select json_object_agg(auth_event_id, answer)::text as admitted from remembered
""")  # noqa: S608 - constants of the code


def _without_key(raw_body: Mapping[str, Any]) -> str:
    return exact_json.dumps({name: value for name, value in raw_body.items() if name != "identityKey"})


def verify_identity_key(
    engine: Engine, event: GateEvent, raw_body: Mapping[str, Any], *, rules: GateRules, now: datetime
) -> GateAnswer:
    """Answers a gate event. `now`: when it was received; rules go by the event's own time. Raises UnknownStore."""
    code = parse_scan_code(event.key)
    hashed = key_hash(event.key)
    facts = _look_up(engine, event, code, hashed)
    if facts.prior_status is not None:
        return _repeat(engine, event, hashed, facts)
    if not facts.store_active:
        raise UnknownStore(event.store_id)
    decision = decide(
        at=event.at,
        code=code,
        shopper=known_shopper(facts),
        used_by_another=facts.used_by is not None,
        balance_denies=facts.risk_strategy == "RETAILER_MANAGED",
        rules=rules,
    )
    try:
        return _remember(engine, event, code, hashed, decision, raw_body, now)
    except UniqueViolation:  # a copy was faster: its answer stands, and nothing of this call was stored
        return _repeat(engine, event, hashed, _look_up(engine, event, code, hashed))


_FACTS = Statement(f"""
    select store.active as store_active, store.risk_strategy,
           prior.status as prior_status, prior.key_hash as prior_key_hash, prior.response_body as prior_body,
           known.shopper_id, known.revoked, known.expires_at, shopper.type, shopper.active, shopper.flagged,
           exists (select from debt where debt.shopper_id = known.shopper_id and {OUTSTANDING_HERE}) as owes,
           used.auth_event_id as used_by
    from (select) as always
    left join store on store.store_id = %(store_id)s
    left join gate_decision as prior on prior.auth_event_id = %(auth_event_id)s
    left join recognition_key as known on known.key_hash = %(key_hash)s and known.kind = %(kind)s
         and (known.store_id is null or known.store_id = %(store_id)s)
    left join shopper on shopper.shopper_id = known.shopper_id
    left join scan_code_use as used on used.code_hash = %(code_hash)s and used.auth_event_id <> %(auth_event_id)s
""")  # noqa: S608 - a constant of the code


def _look_up(engine: Engine, event: GateEvent, code: ScanCode | None, hashed: str) -> Any:
    return _FACTS.one(
        engine,
        {
            "store_id": event.store_id,
            "auth_event_id": event.auth_event_id,
            "key_hash": hashed if code is None else key_hash(code.token.encode()),
            "kind": "OPAQUE" if code is None else "TOKEN",
            "code_hash": None if code is None else code.code_hash,
        },
    )


def known_shopper(facts: Any) -> KnownShopper | None:
    """The shopper in a row of a look-up by key; None where nobody has the key."""
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


_COLUMNS = """
    auth_event_id, request_id, store_id, key_hash, auth_event_at, status, reason, shopper_id, shopper_type,
    response_body, raw_body, received_at
"""
_VALUES = """
    %(auth_event_id)s, %(request_id)s, %(store_id)s, %(key_hash)s, %(auth_event_at)s, %(status)s, %(reason)s,
    %(shopper_id)s, %(shopper_type)s, %(response_body)s, %(raw_body)s::jsonb, %(received_at)s
"""
_REMEMBER = Statement(f"""
    with remembered as (
        insert into gate_decision ({_COLUMNS}) values ({_VALUES}) returning auth_event_id, {_ADMITTED}
    ), {_INTENDED}
    select true as ours
""")  # noqa: S608
# The code is claimed for this event, or is found to serve another, which two gates at the same moment wait for.
_CLAIM_AND_REMEMBER = Statement(f"""
    with claimed as (
        insert into scan_code_use (code_hash, auth_event_id, used_at)
        values (%(code_hash)s, %(auth_event_id)s, %(received_at)s)
        on conflict (code_hash) do update set auth_event_id = scan_code_use.auth_event_id
        returning auth_event_id = %(auth_event_id)s as ours
    ), remembered as (
        insert into gate_decision ({_COLUMNS})
        select %(auth_event_id)s, %(request_id)s, %(store_id)s, %(key_hash)s, %(auth_event_at)s,
               case when ours then %(status)s else 401 end, case when ours then %(reason)s else %(used_reason)s end,
               %(shopper_id)s, %(shopper_type)s, case when ours then %(response_body)s else %(used_body)s end,
               %(raw_body)s::jsonb, %(received_at)s
        from claimed
        returning auth_event_id, {_ADMITTED}
    ), {_INTENDED}
    select ours from claimed
""")  # noqa: S608


def _remember(
    engine: Engine,
    event: GateEvent,
    code: ScanCode | None,
    hashed: str,
    decision: Decision,
    raw_body: Mapping[str, Any],
    now: datetime,
) -> GateAnswer:
    """Stores the decision with its answer. Raises UniqueViolation where a copy of the event has been answered."""
    answer = _answer(decision)
    used = _answer(Decision(Reason.CODE_USED, decision.shopper))
    values = {
        "auth_event_id": event.auth_event_id,
        "request_id": event.request_id,
        "store_id": event.store_id,
        "key_hash": hashed,
        "auth_event_at": event.at,
        "status": answer.status,
        "reason": answer.reason,
        "shopper_id": decision.shopper.shopper_id if decision.shopper else None,
        "shopper_type": decision.shopper.type if decision.shopper else None,
        "response_body": answer.body,
        "raw_body": _without_key(raw_body),
        "received_at": now,
    }
    if code is None or not decision.admitted:  # a code is used up only when it opens a gate
        _REMEMBER.one(engine, values)
        return answer
    claim = {"code_hash": code.code_hash, "used_reason": used.reason, "used_body": used.body}
    return answer if _CLAIM_AND_REMEMBER.one(engine, values | claim).ours else used


def _answer(decision: Decision) -> GateAnswer:
    if decision.admitted and decision.shopper is not None:
        visitor = {"id": decision.shopper.shopper_id, "type": decision.shopper.type}
        return GateAnswer(200, _bytes({"visitorDetails": visitor}), decision.reason.value)
    return GateAnswer(401, _bytes({"errorMsg": "identityKey: invalid or unknown key"}), decision.reason.value)


def _bytes(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _repeat(engine: Engine, event: GateEvent, hashed: str, facts: Any) -> GateAnswer:
    if facts.prior_key_hash != hashed:
        with transaction(engine) as connection:
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
