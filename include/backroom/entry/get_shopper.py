"""Get shopper, inbound: whom an associate helps, by the shopper's code or telephone number (inbound.md, 4).

Decides as the gate does; a scan key code is used up by it. A telephone number is an opaque key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from backroom.entry.decision import GateRules
from backroom.entry.recognition import ShownKey, recognise
from backroom.entry.remembered import Answer, Call, answer_once, body_of


@dataclass(frozen=True)
class ShopperQuestion:
    """A decoded key. `may_be_scan_code` is false for a telephone number."""

    request_id: str
    store_id: str
    key: bytes
    may_be_scan_code: bool
    at: datetime


def get_shopper(
    connection: Connection, asked: ShopperQuestion, raw_body: Mapping[str, Any], *, rules: GateRules, now: datetime
) -> Answer:
    """200 with the visitor, or 401. `raw_body` is without the key. Raises UnknownStore."""
    call = Call("GET_SHOPPER", asked.request_id, asked.store_id, asked.key, raw_body, asked.at)
    return answer_once(connection, call, lambda: _decide(connection, asked, rules, now), now=now)


def _decide(connection: Connection, asked: ShopperQuestion, rules: GateRules, now: datetime) -> Answer:
    shown = ShownKey(asked.key, asked.store_id, asked.at, asked.request_id, asked.may_be_scan_code)
    found = recognise(connection, shown, rules=rules, now=now)
    shopper = found.shopper
    if found.admitted and shopper is not None:
        visitor = {"id": shopper.shopper_id, "type": shopper.type}
        return Answer(200, body_of({"visitorDetails": visitor}), found.reason, shopper.shopper_id)
    refused = body_of({"errorMsg": "shopperKey: invalid or unknown key"})
    return Answer(401, refused, found.reason, shopper.shopper_id if shopper else None)
