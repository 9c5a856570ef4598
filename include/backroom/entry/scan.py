"""Resolves a scan: a recognition key of a shopper, associate or cash shopper, or a loyalty card (inbound.md, 2).

A scan says who it is, so whoever is refused by the gate's rules is a REJECT here too; an outstanding balance counts
only for a scan at the entry (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from backroom.entry.decision import GateRules, Reason
from backroom.entry.recognition import ShownKey, recognise
from backroom.entry.remembered import Answer, Call, answer_once, body_of
from backroom.settings import settings
from backroom.shoppers.loyalty_index import key_index
from backroom.shoppers.registry import key_hash
from backroom.shoppers.sealing import seal_of

LOYALTY = "LOYALTY_ACCOUNT"


@dataclass(frozen=True)
class Scan:
    """A decoded value. `event_id` is what a repeat is known by: the event's id, or the request's."""

    event_id: str
    store_id: str
    value: bytes
    at: datetime
    at_entry: bool


def resolve_scan(
    connection: Connection, scan: Scan, raw_body: Mapping[str, Any], *, rules: GateRules, now: datetime
) -> Answer:
    """ACCEPT with whose it is, or REJECT; always 200. `raw_body` is without the value. Raises UnknownStore."""
    call = Call("SCAN", scan.event_id, scan.store_id, scan.value, raw_body, scan.at)
    return answer_once(connection, call, lambda: _decide(connection, scan, rules, now), now=now)


def _decide(connection: Connection, scan: Scan, rules: GateRules, now: datetime) -> Answer:
    shown = ShownKey(scan.value, scan.store_id, scan.at, scan.event_id, balance_counts=scan.at_entry)
    found = recognise(connection, shown, rules=rules, now=now)
    if found.admitted and found.shopper is not None:
        kind = "CASH" if found.shopper.type == "CASH_SHOPPER" else found.shopper.type
        return _accept(found.shopper.shopper_id, kind, found.reason, found.shopper.shopper_id)
    if found.reason is Reason.UNKNOWN_KEY and settings().privacy_keys is not None:  # no account is kept without
        seal = seal_of(settings())
        account = connection.execute(_ACCOUNT, {"key": key_index(seal, key_hash(scan.value))}).one_or_none()
        if account is not None:
            answer = _accept(seal.open(account.loyalty_id_sealed), "LOYALTY", LOYALTY, account.shopper_id)
            return replace(answer, sealed=seal.seal(answer.body.decode()))
    shopper_id = found.shopper.shopper_id if found.shopper else None
    return Answer(200, body_of({"action": "REJECT"}), found.reason, shopper_id)


_ACCOUNT = text("select loyalty_id_sealed, shopper_id from loyalty_account where key_index = :key and active")


def _accept(result_id: str, kind: str, reason: str, shopper_id: str | None) -> Answer:
    body = {"action": "ACCEPT", "scanResult": {"id": result_id, "type": kind}}
    return Answer(200, body_of(body), reason, shopper_id)
