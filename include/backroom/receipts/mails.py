"""Receipts by e-mail: once by itself, when the capture is final; again when somebody asks.

An intent is committed before each message. One whose fate is not known is never sent again by itself: staff see it,
and the shopper can ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, RowMapping, insert, select, text, update

from backroom.amazon.outcomes import Outcome
from backroom.amazon.payments import MalformedRequest
from backroom.amazon.receipt_data_client import ReceiptDataClient
from backroom.entry.card_of_trip import identity_of_trip
from backroom.mailing import Mail, Mailer, MailOutcome, MailState
from backroom.receipts.receipt import Receipt, receipt_of
from backroom.receipts.tables import receipt_mail
from backroom.shoppers import contacts, rates
from backroom.shoppers.contacts import Contact
from backroom.shoppers.sealing import Seal

_log = structlog.get_logger()
LEASE: Final = timedelta(minutes=5)
LOOKED_BACK: Final = timedelta(days=30)
BEFORE_THE_FIRST: Final = timedelta(days=2)
"""What was captured longer before the first receipt was ever due gets none: its shopper left long ago (ours)."""
TRIES: Final = 5

_FIND: Final = text(
    """
    insert into receipt_mail (shopping_trip_id, store_id, kind, asked_by, asked_at)
    select c.shopping_trip_id, c.store_id, 'FIRST', 'receipts', :now
    from charge c
    where c.state = 'CAPTURED' and c.captured > 0 and c.updated_at > :since
      and not exists (
          select from receipt_mail m where m.shopping_trip_id = c.shopping_trip_id and m.kind = 'FIRST')
    on conflict (shopping_trip_id) where kind = 'FIRST' do nothing
    """
)
_BEGAN: Final = text("select asked_at from receipt_mail order by mail_id limit 1")
_TAKE: Final = text(
    """
    update receipt_mail set attempts = attempts + 1, lease_until = :lease
    where mail_id = (
        select m.mail_id from receipt_mail m
        where m.state = 'DUE' and (m.lease_until is null or m.lease_until < :now)
          and (m.next_attempt_at is null or m.next_attempt_at <= :now)
          and (m.asked_at <= :without or not exists (
              select from trip_card t where t.shopping_trip_id = m.shopping_trip_id and t.state = 'DUE'))
        order by m.mail_id limit 1 for update of m skip locked
    )
    returning *
    """
)
_GONE: Final = text(
    """
    update receipt_mail set state = 'UNKNOWN', problem = 'its sender is gone', lease_until = null
    where state = 'SENDING' and lease_until < :now
    """
)


@dataclass(frozen=True)
class Composer:
    """Writes the message of a receipt in a language; `waits` is how long one waits for its card's data."""

    write: Callable[[Receipt, str, str], Mail]
    waits: timedelta


def find_due(connection: Connection, *, now: datetime) -> int:
    """Makes the first receipt due of each trip whose capture is final; how many.

    Where receipts begin, or begin to be sent by Backroom, nobody gets one for what was charged weeks before.
    """
    began: datetime = connection.execute(_BEGAN).scalar() or now
    return connection.execute(_FIND, {"now": now, "since": max(now - LOOKED_BACK, began - BEFORE_THE_FIRST)}).rowcount


def ask_again(connection: Connection, seal: Seal, shopping_trip_id: str, *, asked_by: str, now: datetime) -> bool:
    """Makes one more due. False where one waits already, or too many were asked for."""
    waiting = select(receipt_mail.c.mail_id).where(
        receipt_mail.c.shopping_trip_id == shopping_trip_id, receipt_mail.c.state.in_(("DUE", "SENDING"))
    )
    if connection.execute(waiting).first() is not None:
        return False
    if not rates.take(connection, seal, rates.RESENDS_OF_TRIP, shopping_trip_id, now=now):
        return False
    store = text("select store_id from purchase where shopping_trip_id = :trip")
    values = {
        "shopping_trip_id": shopping_trip_id,
        "store_id": connection.execute(store, {"trip": shopping_trip_id}).scalar_one(),
        "kind": "RESEND",
        "asked_by": asked_by,
        "asked_at": now,
    }
    connection.execute(insert(receipt_mail).values(values))
    return True


def last_sent(connection: Connection, shopping_trip_id: str) -> datetime | None:
    """When the trip's receipt was last sent."""
    query = select(receipt_mail.c.sent_at).where(
        receipt_mail.c.shopping_trip_id == shopping_trip_id, receipt_mail.c.sent_at.is_not(None)
    )
    found: datetime | None = connection.execute(query.order_by(receipt_mail.c.sent_at.desc()).limit(1)).scalar()
    return found


def send_due(
    engine: Engine,
    seal: Seal,
    mailer: Mailer,
    amazon: ReceiptDataClient,
    composer: Composer,
    *,
    now: datetime,
    most: int = 5_000,
) -> Counter[str]:
    """Sends what is due; counts by what became of each. Any number of workers may do it at once."""
    counts: Counter[str] = Counter()
    with engine.begin() as connection:
        counts["UNKNOWN"] += connection.execute(_GONE, {"now": now}).rowcount
    for _ in range(most):
        values = {"now": now, "lease": now + LEASE, "without": now - composer.waits}
        with engine.begin() as connection:
            row = connection.execute(_TAKE, values).mappings().one_or_none()
        if row is None:
            break
        counts[_one(engine, seal, mailer, amazon, composer, row, now)] += 1
    return +counts


def _one(
    engine: Engine,
    seal: Seal,
    mailer: Mailer,
    amazon: ReceiptDataClient,
    composer: Composer,
    row: RowMapping,
    now: datetime,
) -> str:
    trip = row["shopping_trip_id"]
    contact, asked = _address(engine, seal, amazon, trip, now)
    if contact is None and asked is not Outcome.SUCCEEDED and row["attempts"] < TRIES:
        later = now + timedelta(minutes=5 * 2 ** row["attempts"])
        return _set(engine, row, "DUE", next_attempt_at=later, lease_until=None) and "LATER"
    if contact is None:
        return _set(engine, row, "NO_ADDRESS", lease_until=None)
    with engine.begin() as connection:
        receipt = receipt_of(connection, trip)
    assert receipt is not None
    try:
        mail = composer.write(receipt, contact.address, contact.language)
    except Exception as error:  # noqa: BLE001
        # one receipt that can't be written must not keep the others waiting
        _log.error("receipt_not_written", shopping_trip_id=trip, exc_info=error)
        problem = f"it could not be written: {type(error).__name__}"
        return _settle(engine, row, MailOutcome(MailState.NOT_SENT, problem=problem), now)
    _set(engine, row, "SENDING", address_sealed=seal.seal(contact.address))
    outcome = mailer.send(mail)
    return _settle(engine, row, outcome, now)


def _settle(engine: Engine, row: RowMapping, outcome: MailOutcome, now: datetime) -> str:
    match outcome.state:
        case MailState.SENT:
            return _set(engine, row, "SENT", message_id=outcome.message_id, sent_at=now, lease_until=None)
        case MailState.NOT_SENT if row["attempts"] < TRIES:
            later = now + timedelta(minutes=5 * 2 ** row["attempts"])
            return _set(engine, row, "DUE", next_attempt_at=later, lease_until=None) and "LATER"
        case MailState.UNKNOWN:
            return _set(engine, row, "UNKNOWN", problem=outcome.problem, lease_until=None)
    return _set(engine, row, "REFUSED", problem=outcome.problem, lease_until=None)


_WHOSE: Final = text("select store_id, shopper_id, shopper_identity from purchase where shopping_trip_id = :trip")


def _address(
    engine: Engine, seal: Seal, amazon: ReceiptDataClient, trip: str, now: datetime
) -> tuple[Contact | None, Outcome]:
    """The address of a trip's shopper, and how asking for it went: ours first, then Amazon's, which is kept."""
    with engine.begin() as connection:
        whose = connection.execute(_WHOSE, {"trip": trip}).one()
        token = whose.shopper_identity or identity_of_trip(connection, trip)
        if whose.shopper_id is not None:
            known = contacts.of_holder(connection, seal, "SHOPPER", whose.shopper_id)
            if known is not None:
                return known, Outcome.SUCCEEDED
        known = contacts.of_holder(connection, seal, "CARD", token) if token else None
    if known is not None or not whose.shopper_identity:
        return known, Outcome.SUCCEEDED
    try:
        answer, address = amazon.shopper_email(store_id=whose.store_id, shopper_id=whose.shopper_identity)
    except MalformedRequest:
        return None, Outcome.SUCCEEDED
    if address is None or contacts.normalized(address) is None:
        return None, answer.outcome
    with engine.begin() as connection:
        contacts.keep(connection, seal, "CARD", whose.shopper_identity, address, source="AMAZON", now=now)
        return contacts.of_holder(connection, seal, "CARD", whose.shopper_identity), answer.outcome


def _set(engine: Engine, row: RowMapping, state: str, **values: object) -> str:
    with engine.begin() as connection:
        connection.execute(
            update(receipt_mail).where(receipt_mail.c.mail_id == row["mail_id"]).values(state=state, **values)
        )
    return state
