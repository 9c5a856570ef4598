"""Who is behind a key, outside the gate: looks up, decides by the gate's rules, uses up a scan key code.

For resolve scan and get shopper. The gate itself does the same in `gate.py`, in one statement, for its speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from backroom.entry.decision import OUTSTANDING_HERE, Decision, GateRules, Reason, decide
from backroom.entry.gate import UnknownStore, known_shopper
from backroom.entry.scan_code import ScanCode, parse_scan_code
from backroom.shoppers.registry import key_hash


@dataclass(frozen=True)
class ShownKey:
    """A decoded key, where and when it was shown, and the event that a scan key code then serves."""

    key: bytes
    store_id: str
    at: datetime
    event_id: str
    may_be_scan_code: bool = True
    balance_counts: bool = True


def recognise(connection: Connection, shown: ShownKey, *, rules: GateRules, now: datetime) -> Decision:
    """Decides as the gate does. Uses a scan key code up where it admits. Raises UnknownStore."""
    code = parse_scan_code(shown.key) if shown.may_be_scan_code else None
    facts = connection.execute(
        _FACTS,
        {
            "store_id": shown.store_id,
            "key_hash": key_hash(shown.key if code is None else code.token.encode()),
            "kind": "OPAQUE" if code is None else "TOKEN",
            "code_hash": None if code is None else code.code_hash,
            "event_id": shown.event_id,
        },
    ).one()
    if not facts.store_active:
        raise UnknownStore(shown.store_id)
    decision = decide(
        at=shown.at,
        code=code,
        shopper=known_shopper(facts),
        used_by_another=facts.used_by is not None,
        balance_denies=shown.balance_counts and facts.risk_strategy == "RETAILER_MANAGED",
        rules=rules,
    )
    if decision.admitted and code is not None and not _use(connection, code, shown.event_id, now):
        return Decision(Reason.CODE_USED, decision.shopper)
    return decision


_FACTS = text(f"""
    select store.active as store_active, store.risk_strategy,
           known.shopper_id, known.revoked, known.expires_at, shopper.type, shopper.active, shopper.flagged,
           exists (select from debt where debt.shopper_id = known.shopper_id and {OUTSTANDING_HERE}) as owes,
           used.auth_event_id as used_by
    from (select) as always
    left join store on store.store_id = :store_id
    left join recognition_key as known on known.key_hash = :key_hash and known.kind = :kind
         and (known.store_id is null or known.store_id = :store_id)
    left join shopper on shopper.shopper_id = known.shopper_id
    left join scan_code_use as used on used.code_hash = :code_hash and used.auth_event_id <> :event_id
""")  # noqa: S608 - a constant of the code


def _use(connection: Connection, code: ScanCode, event_id: str, now: datetime) -> bool:
    """Whether the code now serves this event. Waits for another that shows it at the same moment."""
    connection.execute(_USE, {"code_hash": code.code_hash, "event_id": event_id, "now": now})
    return bool(connection.execute(_SERVED, {"code_hash": code.code_hash}).scalar_one() == event_id)


_USE = text(
    "insert into scan_code_use (code_hash, auth_event_id, used_at) values (:code_hash, :event_id, :now)"
    " on conflict do nothing"
)
_SERVED = text("select auth_event_id from scan_code_use where code_hash = :code_hash")
