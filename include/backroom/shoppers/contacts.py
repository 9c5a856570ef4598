"""Shoppers' e-mail addresses: of a shopper whom the app knows, or of a card whose holder gave one at the kiosk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from backroom.errors import BackroomError
from backroom.shoppers.loyalty_index import key_index
from backroom.shoppers.sealing import Seal
from backroom.shoppers.sign_in_tables import shopper_contact

Kind = Literal["SHOPPER", "CARD"]
LONGEST_ADDRESS: Final = 128
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,63}(\.[^\s@<>,;:\"()\[\]\\]{1,63})+")
LANGUAGES: Final = ("en", "es")


@dataclass(frozen=True)
class Contact:
    """Whose address it is, and in which language they are written to."""

    holder_kind: str
    holder_id: str
    address: str
    language: str


@dataclass(frozen=True)
class Holders:
    """Who an address stands for: shoppers of the app, and cards."""

    shopper_ids: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()

    @property
    def anyone(self) -> bool:
        """Whether it stands for somebody."""
        return bool(self.shopper_ids or self.cards)


def normalized(address: str) -> str | None:
    """An address as it is kept and compared: trimmed, in lower case; None for what is no address."""
    plain = address.strip().lower()
    ok = len(plain) <= LONGEST_ADDRESS and plain.isprintable() and _ADDRESS.fullmatch(plain)
    return plain if ok else None


def keep(
    connection: Connection,
    seal: Seal,
    kind: Kind,
    holder_id: str,
    address: str,
    *,
    source: Literal["RETAILER", "AMAZON"],
    now: datetime,
    language: str = "en",
) -> None:
    """Keeps the address in place of the one before. Raises BackroomError for what is no address, or no language."""
    plain = normalized(address)
    if plain is None:
        raise BackroomError(f"the e-mail address of {kind.lower()} {holder_id!r} is malformed")
    if language not in LANGUAGES:
        raise BackroomError(f"{language!r} is not a language of the portal; there are {', '.join(LANGUAGES)}")
    values = {
        "holder_kind": kind,
        "holder_id": holder_id,
        "address_sealed": seal.seal(plain),
        "address_index": seal.index(plain),
        "language": language,
        "source": source,
        "added_at": now,
    }
    statement = insert(shopper_contact).values(values)
    changed = {name: values[name] for name in ("address_sealed", "address_index", "language", "source", "added_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["holder_kind", "holder_id"], set_=changed))


def remove(connection: Connection, kind: Kind, holder_id: str) -> int:
    """Forgets the address; how many there were."""
    return connection.execute(
        delete(shopper_contact).where(shopper_contact.c.holder_kind == kind, shopper_contact.c.holder_id == holder_id)
    ).rowcount


def of_holder(connection: Connection, seal: Seal, kind: Kind, holder_id: str) -> Contact | None:
    """The address of a shopper or a card."""
    row = connection.execute(
        select(shopper_contact).where(shopper_contact.c.holder_kind == kind, shopper_contact.c.holder_id == holder_id)
    ).one_or_none()
    return None if row is None else Contact(kind, holder_id, seal.open(row.address_sealed), row.language)


def holders_of(connection: Connection, address_index: str) -> Holders:
    """Who an address stands for at this moment: what is erased is gone at once."""
    rows = connection.execute(
        select(shopper_contact.c.holder_kind, shopper_contact.c.holder_id)
        .where(shopper_contact.c.address_index == address_index)
        .order_by(shopper_contact.c.holder_id)
    ).all()
    return Holders(
        tuple(row.holder_id for row in rows if row.holder_kind == "SHOPPER"),
        tuple(row.holder_id for row in rows if row.holder_kind == "CARD"),
    )


_OF_ACCOUNT: Final = text(
    """
    select c.address_sealed, c.language from loyalty_account l
    join shopper_contact c on c.holder_kind = 'SHOPPER' and c.holder_id = l.shopper_id
    where l.key_index = :key_index and l.active
    """
)


def of_loyalty_number(connection: Connection, seal: Seal, key_hash: str) -> tuple[str, str] | None:
    """(address, language) of the shopper who holds the account whose number has that hash."""
    row = connection.execute(_OF_ACCOUNT, {"key_index": key_index(seal, key_hash)}).one_or_none()
    return None if row is None else (seal.open(row.address_sealed), row.language)
