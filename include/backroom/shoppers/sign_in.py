"""Sign-in without passwords: a one-time link to the address that we know already.

Whether anybody is known by what was typed is never told: asking writes the same row for everyone, and who it is for is
looked up afterwards, by whoever sends (`send_asked`). A link is good once, for minutes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, insert, text, update

from backroom.mailing import Mail, Mailer, MailState
from backroom.shoppers import contacts, rates
from backroom.shoppers.registry import LONGEST_KEY, key_hash
from backroom.shoppers.sealing import Seal
from backroom.shoppers.sign_in_tables import sign_in_link

LEASE: Final = timedelta(minutes=2)
NOT_SENT_ANY_MORE: Final = timedelta(minutes=10)
"""A link that was asked for longer ago is not sent: whoever waited has asked again."""


@dataclass(frozen=True)
class LinkRules:
    """How long a link is good, and what it begins with; `compose` writes the message in a language."""

    life: timedelta
    url_of: Callable[[str], str]
    compose: Callable[[str, str, int], tuple[str, str]]
    new_token: Callable[[], str]


class TooManyTries(Exception):
    """Beyond the limit; nothing was done."""


def token_hash(token: str) -> str:
    """How tokens and cookies are kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def ask(connection: Connection, seal: Seal, typed: str, *, caller: str, language: str, now: datetime) -> None:
    """Takes in an e-mail address or a loyalty number. The same for known and unknown. Raises TooManyTries."""
    who = contacts.normalized(typed) or typed.strip()
    allowed = rates.take(connection, seal, rates.LINKS_BY_CALLER, caller, now=now)
    allowed = rates.take(connection, seal, rates.LINKS_BY_ADDRESS, who, now=now) and allowed
    if not allowed:
        raise TooManyTries
    connection.execute(
        insert(sign_in_link).values(asked_sealed=seal.seal(who[:LONGEST_KEY]), language=language, asked_at=now)
    )


_TAKE: Final = text(
    """
    update sign_in_link set state = 'SENDING', lease_until = :lease
    where link_id = (
        select link_id from sign_in_link where state = 'ASKED' order by link_id limit 1 for update skip locked
    )
    returning link_id, asked_sealed, language, asked_at
    """
)


def send_asked(engine: Engine, seal: Seal, mailer: Mailer, rules: LinkRules, *, now: datetime) -> Counter[str]:
    """Sends the links that were asked for; counts by what became of each. Any number may do it at once.

    The token exists in the message and as a hash; the intent is committed before the call. A message whose fate is
    unknown is not sent again: its link is good if it arrived, and another can be asked for.
    """
    counts: Counter[str] = Counter()
    while True:
        with engine.begin() as connection:
            row = connection.execute(_TAKE, {"lease": now + LEASE}).one_or_none()
            if row is None:
                return counts
            typed = seal.open(row.asked_sealed)
            found = _address_of(connection, seal, typed)
            token = rules.new_token()
            state = "SENDING" if found is not None and now - row.asked_at < NOT_SENT_ANY_MORE else "NO_MATCH"
            values: dict[str, object] = {"state": state, "asked_sealed": None}
            if found is not None and state == "SENDING":
                values |= {"token_hash": token_hash(token), "address_index": seal.index(found[0])}
                values["expires_at"] = now + rules.life
            _set(connection, row.link_id, **values)
        if found is None or state == "NO_MATCH":
            counts["NO_MATCH"] += 1
            continue
        address, language = found
        minutes = int(rules.life.total_seconds() // 60)
        subject, body = rules.compose(row.language or language, rules.url_of(token), minutes)
        outcome = mailer.send(Mail(address, subject, body))
        arrived = outcome.state in (MailState.SENT, MailState.UNKNOWN)
        with engine.begin() as connection:
            _set(connection, row.link_id, state="SENT" if arrived else "FAILED", lease_until=None)
        counts[outcome.state] += 1


def redeem(connection: Connection, token: str, *, now: datetime) -> str | None:
    """The address (its index) that a link signs in; None for one that is unknown, used or too old. Once."""
    return connection.execute(
        update(sign_in_link)
        .where(
            sign_in_link.c.token_hash == token_hash(token),
            sign_in_link.c.used_at.is_(None),
            sign_in_link.c.expires_at > now,
        )
        .values(used_at=now, state="USED")
        .returning(sign_in_link.c.address_index)
    ).scalar_one_or_none()


def make_link(connection: Connection, seal: Seal, address: str, token: str, *, life: timedelta, now: datetime) -> None:
    """A link that is handed over by hand, by whoever runs an installation for trying."""
    connection.execute(
        insert(sign_in_link).values(
            language="en",
            state="SENT",
            asked_at=now,
            token_hash=token_hash(token),
            address_index=seal.index(contacts.normalized(address) or address),
            expires_at=now + life,
        )
    )


def _address_of(connection: Connection, seal: Seal, typed: str) -> tuple[str, str] | None:
    """(address, language). An address must be one that we know; nothing is ever sent to a stranger."""
    if (address := contacts.normalized(typed)) is not None:
        known = contacts.holders_of(connection, seal.index(address)).anyone
        return (address, "") if known else None
    return contacts.of_loyalty_number(connection, seal, key_hash(typed.encode("utf-8", "surrogatepass")))


def _set(connection: Connection, link_id: int, **values: object) -> None:
    connection.execute(update(sign_in_link).where(sign_in_link.c.link_id == link_id).values(**values))
