"""A shopper's rights in their data: to have it told, and to have it erased. The books stay, the person goes."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.dialects.postgresql import insert

from backroom.shoppers import contacts
from backroom.shoppers.erasing import erase
from backroom.shoppers.own_trips import OWN, values_of_holders
from backroom.shoppers.sealing import Seal
from backroom.shoppers.sign_in_tables import privacy_request

_EXPORTED: Final = {
    "accounts": "select shopper_id, type, active, flagged, created_at from shopper where shopper_id = any(:shoppers)",
    "loyalty": "select loyalty_id_sealed, provider, active, created_at from loyalty_account"
    " where shopper_id = any(:shoppers) order by created_at",
    "entry_keys": "select kind, store_id, created_at, expires_at, revoked from recognition_key"
    " where shopper_id = any(:shoppers) order by created_at",
    "payment_instruments": "select processor, brand, last_four, active, created_at from payment_instrument"
    " where shopper_id = any(:shoppers) order by created_at",
    "gate_decisions": "select store_id, auth_event_at, status = 200 as admitted, reason, received_at from gate_decision"
    " where shopper_id = any(:shoppers) order by auth_event_at",
    "scans": "select operation, store_id, status = 200 as answered, received_at from identity_answer"
    " where shopper_id = any(:shoppers) order by received_at",
    "holds": "select store_id, shopping_trip_id, amount, currency, state, intended_at from preauthorization"
    " where shopper_id = any(:shoppers) order by intended_at",
    "card_authorizations": "select a.store_id, a.shopping_trip_id, a.shopper_identity as card, a.authorized, a.reason,"
    " a.amount, a.currency, a.received_at from shopper_authorization a where a.shopper_identity = any(:cards)"
    " or a.shopping_trip_id in (select p.shopping_trip_id from purchase p where {own}) order by a.received_at",
    "sign_ins": "select asked_at, state, used_at from sign_in_link where address_index = :index order by asked_at",
    "sessions": "select began_at, seen_at, ended_at from portal_session where address_index = :index order by began_at",
    "erasures_asked": "select asked_at, state, problem from privacy_request where address_index = :index",
    "trips": "select shopping_trip_id, store_id, entry_method, trip_started_at, trip_ended_at, currency, list_total,"
    " promotion_total, tax_total, total, state from purchase p where {own} order by trip_ended_at",
    "items": "select l.shopping_trip_id, l.line_number, l.item_sku, l.quantity, l.unit, l.total from purchase_line l"
    " join purchase p using (shopping_trip_id) where {own} order by 1, 2",
    "cards": "select t.shopping_trip_id, t.brand, t.tail, t.expiration_year, t.expiration_month from trip_card t"
    " join purchase p using (shopping_trip_id) where {own} order by 1",
    "debts": "select d.shopping_trip_id, d.cause, d.currency, d.amount, d.paid, d.outstanding, d.state, d.opened_at"
    " from debt d join purchase p using (shopping_trip_id) where {own} order by d.opened_at",
    "payments": "select o.shopping_trip_id, o.amount, o.currency, o.method, o.state, o.intended_at from payoff o"
    " join purchase p using (shopping_trip_id) where {own} order by 1, o.payoff_id",
    "refunds": "select r.shopping_trip_id, r.amount, r.currency, r.reason, r.state, r.requested_at"
    " from refund_request r join purchase p using (shopping_trip_id) where {own} order by 1, r.request_id",
    "receipts_sent": "select m.shopping_trip_id, m.kind, m.state, m.asked_at, m.sent_at from receipt_mail m"
    " join purchase p using (shopping_trip_id) where {own} order by m.mail_id",
}


def export(connection: Connection, seal: Seal, address_index: str, *, now: datetime) -> dict[str, Any]:
    """Everything that is kept about whom the address stands for, as JSON values. Amounts and times as exact text."""
    holders = contacts.holders_of(connection, address_index)
    values = {**values_of_holders(holders), "index": address_index}
    found: dict[str, Any] = {"made_at": now.isoformat(), "addresses": _addresses(connection, seal, address_index)}
    for name, query in _EXPORTED.items():
        rows = connection.execute(text(query.format(own=OWN)), values).mappings()
        found[name] = [_row(seal, row) for row in rows]
    return found


def ask_erasure(connection: Connection, address_index: str, *, now: datetime) -> None:
    """Takes the wish in; the retention pipeline carries it out. Asking twice asks once."""
    connection.execute(
        insert(privacy_request).values(address_index=address_index, asked_at=now).on_conflict_do_nothing()
    )


def erasure_asked(connection: Connection, address_index: str) -> bool:
    """Whether one waits."""
    query = text("select 1 from privacy_request where address_index = :index and state <> 'DONE'")
    return connection.execute(query, {"index": address_index}).first() is not None


LONGEST_VISIT: Final = timedelta(days=1)
"""So long after a gate let somebody in, their cart may come, and bring back who was erased (ours)."""
_HELD: Final = text(
    f"""
    select case
        when exists (select from purchase p join debt d using (shopping_trip_id)
                     where {OWN} and (d.outstanding > 0 or (d.written_off > 0 and d.forgiven_at is null)))
              or exists (select from debt d where (d.shopper_id = any(:shoppers) or d.shopper_identity = any(:cards))
                         and d.outstanding > 0) then 'something is not paid'
        when exists (select from purchase p join payoff o using (shopping_trip_id)
                     where {OWN} and o.state in ('INTENDED', 'UNKNOWN')) then 'a payment is under way'
        when exists (select from purchase p join refund_request r using (shopping_trip_id)
                     where {OWN} and r.state in ('AWAITING_APPROVAL', 'APPROVED')) then 'a refund is under way'
        when exists (select from purchase p join charge c using (shopping_trip_id)
                     where {OWN} and c.state not in ('CAPTURED', 'CANCELLED', 'IN_DEBT'))
            then 'a charge is under way'
        when exists (select from purchase p join review_case r on r.subject = p.shopping_trip_id
                     where {OWN} and r.decision is null) then 'a question about a trip waits for a person'
        when exists (select from gate_decision g where g.shopper_id = any(:shoppers) and g.status = 200
                     and g.received_at > :visits_since)
          or exists (select from shopper_authorization a where a.shopper_identity = any(:cards) and a.authorized
                     and a.received_at > :visits_since) then 'a visit may not be over'
    end
    """  # noqa: S608 - constants of the code
)


def erase_asked(engine: Engine, *, now: datetime, new_name: Callable[[], str] | None = None) -> Counter[str]:
    """Carries out what was asked for; what must wait for money is held, with its reason. Counts by state."""
    counts: Counter[str] = Counter()
    query = text("select request_id from privacy_request where state <> 'DONE' order by request_id")
    with engine.connect() as connection:
        numbers: Sequence[int] = connection.execute(query).scalars().all()
    for number in numbers:
        with engine.begin() as connection:
            counts[_one(connection, number, now, new_name or (lambda: f"erased-{secrets.token_hex(8)}"))] += 1
    return counts


def _one(connection: Connection, number: int, now: datetime, new_name: Callable[[], str]) -> str:
    lock = text("select address_index from privacy_request where request_id = :n and state <> 'DONE' for update")
    index = connection.execute(lock, {"n": number}).scalar_one_or_none()
    if index is None:
        return "DONE_ELSEWHERE"
    holders = contacts.holders_of(connection, index)
    values = {**values_of_holders(holders), "visits_since": now - LONGEST_VISIT}
    held = connection.execute(_HELD, values).scalar_one()
    if held is not None:
        _finish(connection, number, state="HELD", problem=held)
        return "HELD"
    erase(connection, holders, index, nobody=new_name(), now=now)
    _finish(connection, number, state="DONE", problem=None, done_at=now, address_index=None)
    return "DONE"


def _finish(connection: Connection, number: int, **values: object) -> None:
    connection.execute(privacy_request.update().where(privacy_request.c.request_id == number).values(**values))


def _addresses(connection: Connection, seal: Seal, index: str) -> list[dict[str, str]]:
    query = text(
        "select holder_kind, holder_id, address_sealed, language, source from shopper_contact"
        " where address_index = :index order by 1, 2"
    )
    return [
        {
            "kind": row.holder_kind,
            "id": row.holder_id,
            "address": seal.open(row.address_sealed),
            "language": row.language,
            "told_by": row.source,
        }
        for row in connection.execute(query, {"index": index})
    ]


def _row(seal: Seal, row: RowMapping) -> dict[str, Any]:
    return {
        name.removesuffix("_sealed"): seal.open(value) if name.endswith("_sealed") else _plain(value)
        for name, value in row.items()
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
