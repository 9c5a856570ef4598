"""Shoppers' payment instruments: the processor's tokens, a brand and four digits. Never a card number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.processors.port import Instrument
from backroom.processors.tables import payment_instrument
from backroom.shoppers.tables import shopper

PROCESSORS: Final = ("STRIPE", "SANDBOX")
_LONG_NUMBER: Final = re.compile(r"(?:\d[ .-]?){12,19}")
_TOKEN: Final = re.compile(r"[!-~]{1,255}")
_BRAND: Final = re.compile(r"[A-Z][A-Z_]{1,30}")


def add(
    connection: Connection,
    *,
    shopper_id: str,
    processor: str,
    customer_token: str,
    method_token: str,
    brand: str,
    last_four: str,
    actor: str,
    reason: str,
    now: datetime,
) -> int:
    """Makes it the instrument that the shopper pays with at that processor; returns its id. Audited.

    Raises BackroomError for whatever looks like a card number, or is not a token, a brand or four digits.
    """
    name, network = processor.upper(), brand.upper().replace(" ", "_")
    _check(name, customer_token, method_token, network, last_four)
    known = connection.execute(select(shopper.c.shopper_id).where(shopper.c.shopper_id == shopper_id)).first()
    if known is None:
        raise BackroomError(f"there is no shopper {shopper_id!r}; register them with `backroom shoppers register`")
    connection.execute(
        update(payment_instrument)
        .where(payment_instrument.c.shopper_id == shopper_id, payment_instrument.c.processor == name)
        .values(active=False)
    )
    number: int = connection.execute(
        insert(payment_instrument)
        .values(
            shopper_id=shopper_id,
            processor=name,
            customer_token=customer_token,
            method_token=method_token,
            brand=network,
            last_four=last_four,
            created_at=now,
        )
        .returning(payment_instrument.c.instrument_id)
    ).scalar_one()
    _audit(connection, "instrument.add", shopper_id, actor, reason, now, number)
    return number


def deactivate(connection: Connection, instrument_id: int, *, actor: str, reason: str, now: datetime) -> None:
    """Nothing new is asked of it; what is held by it stays. Audited. Raises BackroomError where there is none."""
    row = connection.execute(
        update(payment_instrument)
        .where(payment_instrument.c.instrument_id == instrument_id, payment_instrument.c.active)
        .values(active=False)
        .returning(payment_instrument.c.shopper_id)
    ).one_or_none()
    if row is None:
        raise BackroomError(
            f"there is no active instrument {instrument_id}; `backroom processors instruments list` shows them"
        )
    _audit(connection, "instrument.deactivate", row.shopper_id, actor, reason, now, instrument_id)


def listed(connection: Connection, *, shopper_id: str | None = None) -> Sequence[RowMapping]:
    """All instruments, the newest first, without their tokens."""
    columns = [column for column in payment_instrument.c if not column.name.endswith("_token")]
    query = select(*columns).order_by(payment_instrument.c.instrument_id.desc())
    if shopper_id is not None:
        query = query.where(payment_instrument.c.shopper_id == shopper_id)
    return connection.execute(query).mappings().all()


def of_shopper(connection: Connection, shopper_id: str | None, processor: str) -> Instrument | None:
    """What the shopper pays with at that processor."""
    if shopper_id is None:
        return None
    query = (
        select(payment_instrument)
        .where(
            payment_instrument.c.shopper_id == shopper_id,
            payment_instrument.c.processor == processor,
            payment_instrument.c.active,
        )
        .order_by(payment_instrument.c.instrument_id.desc())
        .limit(1)
    )
    return _instrument(connection.execute(query).mappings().one_or_none())


def by_id(connection: Connection, instrument_id: int) -> Instrument | None:
    """An instrument, also one that is not active any more."""
    query = select(payment_instrument).where(payment_instrument.c.instrument_id == instrument_id)
    return _instrument(connection.execute(query).mappings().one_or_none())


def of_trip(connection: Connection, shopping_trip_id: str, processor: str) -> Instrument | None:
    """What the shopper of a trip pays with; None for a trip that a card opened, and for who has none."""
    shopper_id = connection.execute(_SHOPPER_OF_TRIP, {"trip": shopping_trip_id}).scalar_one_or_none()
    return of_shopper(connection, shopper_id, processor)


_SHOPPER_OF_TRIP: Final = text("select shopper_id from purchase where shopping_trip_id = :trip")


def _instrument(row: Any) -> Instrument | None:
    if row is None:
        return None
    return Instrument(row["instrument_id"], row["customer_token"], row["method_token"], row["brand"], row["last_four"])


def _check(processor: str, customer_token: str, method_token: str, brand: str, last_four: str) -> None:
    if processor not in PROCESSORS:
        raise BackroomError(f"{processor!r} is not a processor; there are {', '.join(PROCESSORS)}")
    for name, value in (
        ("customer token", customer_token), ("method token", method_token), ("brand", brand), ("last four", last_four),
    ):  # fmt: skip
        if _LONG_NUMBER.search(value):
            raise BackroomError(f"the {name} looks like a card number, which is never kept; give the processor's token")
    for name, value in (("customer token", customer_token), ("method token", method_token)):
        if not _TOKEN.fullmatch(value):
            raise BackroomError(f"the {name} must be the processor's token: 1 to 255 characters without blanks")
    if not _BRAND.fullmatch(brand):
        raise BackroomError("the brand must be a card network's name, such as VISA or MASTERCARD")
    if not re.fullmatch(r"[0-9]{4}", last_four):
        raise BackroomError("the last four must be four digits")


def _audit(
    connection: Connection, action: str, shopper_id: str, actor: str, reason: str, now: datetime, number: int
) -> None:
    trail.record(
        connection,
        at=now,
        actor=actor,
        action=action,
        subject=shopper_id,
        reason=reason,
        details={"instrument_id": number},
    )
