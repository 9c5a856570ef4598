"""Turns what is sealed to the newest key, so that an older one can be taken out of use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, text

from backroom.shoppers.sealing import Seal

AT_ONCE: Final = 1000
_SEALED: Final = (
    ("shopper_contact", "contact_id", "address_sealed"),
    ("loyalty_account", "account_index", "loyalty_id_sealed"),
    ("sign_in_link", "link_id", "asked_sealed"),
    ("receipt_mail", "mail_id", "address_sealed"),
)
_ANSWERS: Final = "scans' answers"
_BODIES: Final = "refused carts"


def turn_all(engine: Engine, seal: Seal) -> Mapping[str, int]:
    """Seals everything anew with the newest key; how many of each kind. Raises ConfigurationError for a missing key.

    Some rows a transaction: what is sealed meanwhile is sealed with the newest key already, and a second run is safe.
    """
    counts = {table: _turn(engine, seal, table, key, column) for table, key, column in _SEALED}
    return {**counts, _ANSWERS: _turn_answers(engine, seal), _BODIES: _turn_bodies(engine, seal)}


def _turn(engine: Engine, seal: Seal, table: str, key: str, column: str) -> int:
    return _each(
        engine,
        seal,
        f"select {key} as key, {column} as said from {table} where {column} is not null",  # noqa: S608 - constants
        f"update {table} set {column} = :new where {key} = :key and {column} = :old",  # noqa: S608 - constants
    )


def _turn_answers(engine: Engine, seal: Seal) -> int:
    """Answers that name no loyalty account are plain JSON and stay."""
    return _each(
        engine,
        seal,
        "select idempotency_key as key, convert_from(response_body, 'UTF8') as said from identity_answer"
        " where operation = 'SCAN' and get_byte(response_body, 0) <> ascii('{')",
        "update identity_answer set response_body = convert_to(:new, 'UTF8')"
        " where operation = 'SCAN' and idempotency_key = :key and response_body = convert_to(:old, 'UTF8')",
    )


def _turn_bodies(engine: Engine, seal: Seal) -> int:
    """Of refused carts, those that were sealed (purchases/kept_bodies.py)."""
    return _each(
        engine,
        seal,
        "select refused_id as key, convert_from(substr(body, 8), 'UTF8') as said from refused_cart"
        " where substr(body, 1, 7) = convert_to('sealed ', 'UTF8')",
        "update refused_cart set body = convert_to('sealed ' || :new, 'UTF8')"
        " where refused_id = :key and body = convert_to('sealed ' || :old, 'UTF8')",
    )


def _each(engine: Engine, seal: Seal, query: str, change: str) -> int:
    with engine.connect() as connection:
        known = connection.execute(text(query)).all()
    for start in range(0, len(known), AT_ONCE):
        some = [{"key": row.key, "old": row.said, "new": seal.turn(row.said)} for row in known[start : start + AT_ONCE]]
        with engine.begin() as connection:
            connection.execute(text(change), some)
    return len(known)
