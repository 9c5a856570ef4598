"""Loyalty accounts: what a scanned card or code stands for, and the promotions that the account has been given.

Scanned values are kept as keyed hashes only; ids are sealed, and found by a keyed hash. Whether a promotion is in force
is the price book's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from backroom.errors import SourceFileError
from backroom.shoppers.loyalty_index import account_index, key_index
from backroom.shoppers.registry import LONGEST_KEY, key_hash
from backroom.shoppers.sealing import Seal
from backroom.shoppers.tables import loyalty_account, loyalty_promotion
from backroom.source_files import Identifier, SourceRow, read_json_list

AT_ONCE = 1000


def load_loyalty(connection: Connection, seal: Seal, path: Path) -> int:
    """Adds the accounts of a loyalty.json, or replaces those of the same id with their promotions; how many.

    Accounts that the file does not name stay. Raises SourceFileError, and then nothing has changed if the caller
    rolls back.
    """
    entries = read_json_list(path, _Entry)
    _check_once(path, entries)
    _check_shoppers(connection, path, entries)
    for start in range(0, len(entries), AT_ONCE):
        _check_keys_free(connection, seal, path, entries, start)
    ids = {"ids": [account_index(seal, entry.loyalty_id) for entry in entries]}
    known = {
        index: created_at
        for index, created_at in connection.execute(
            text("delete from loyalty_account where account_index = any(:ids) returning account_index, created_at"), ids
        )
    }
    for start in range(0, len(entries), AT_ONCE):
        some = entries[start : start + AT_ONCE]
        connection.execute(insert(loyalty_account), [entry.row(seal) for entry in some])
        given = [row for entry in some for row in entry.promotions(seal)]
        if given:
            connection.execute(insert(loyalty_promotion), given)
    if known:
        connection.execute(
            text("update loyalty_account set created_at = :created_at where account_index = :index"),
            [{"index": index, "created_at": created_at} for index, created_at in known.items()],
        )
    return len(entries)


def _scanned(key: str) -> str:
    if len(key.encode("utf-8", "surrogatepass")) > LONGEST_KEY:
        raise ValueError(f"longer than {LONGEST_KEY} bytes")
    return key


class _Entry(SourceRow):
    """One entry of loyalty.json."""

    loyalty_id: Identifier
    key: Annotated[str, Field(min_length=1), AfterValidator(_scanned)]
    provider: Identifier
    shopper_id: Identifier | None = None
    active: bool = True
    promotion_ids: tuple[Identifier, ...] = Field((), strict=False)

    @property
    def hashed(self) -> str:
        """The scanned value's SHA-256."""
        return key_hash(self.key.encode("utf-8", "surrogatepass"))

    def row(self, seal: Seal) -> dict[str, object]:
        """The account."""
        return {
            "account_index": account_index(seal, self.loyalty_id),
            "loyalty_id_sealed": seal.seal(self.loyalty_id),
            "key_index": key_index(seal, self.hashed),
            "provider": self.provider,
            "shopper_id": self.shopper_id,
            "active": self.active,
        }

    def promotions(self, seal: Seal) -> list[dict[str, object]]:
        """What it has been given, each once."""
        index = account_index(seal, self.loyalty_id)
        return [{"account_index": index, "promotion_id": one} for one in dict.fromkeys(self.promotion_ids)]


def _check_once(path: Path, entries: list[_Entry]) -> None:
    accounts: set[str] = set()
    owners: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        if entry.loyalty_id in accounts:
            raise SourceFileError(f"{path}: entry {number}: the account {entry.loyalty_id!r} is in it twice")
        accounts.add(entry.loyalty_id)
        if owners.setdefault(entry.hashed, entry.loyalty_id) != entry.loyalty_id:
            raise SourceFileError(
                f"{path}: entry {number}: the key of {entry.loyalty_id!r} is also that of {owners[entry.hashed]!r}"
            )


def _check_shoppers(connection: Connection, path: Path, entries: list[_Entry]) -> None:
    named = sorted({entry.shopper_id for entry in entries if entry.shopper_id is not None})
    known = set(
        connection.scalars(text("select shopper_id from shopper where shopper_id = any(:named)"), {"named": named})
    )
    for number, entry in enumerate(entries, 1):
        if entry.shopper_id is not None and entry.shopper_id not in known:
            raise SourceFileError(
                f"{path}: entry {number}: there is no shopper {entry.shopper_id!r}; load the shoppers first"
            )


def _check_keys_free(connection: Connection, seal: Seal, path: Path, entries: list[_Entry], start: int) -> None:
    """No key may belong to an account that the file leaves as it is."""
    some = {
        key_index(seal, entry.hashed): (number, entry)
        for number, entry in enumerate(entries[start : start + AT_ONCE], start + 1)
    }
    taken = connection.execute(
        text(
            "select key_index, loyalty_id_sealed from loyalty_account"
            " where key_index = any(:keys) and not account_index = any(:replaced)"
        ),
        {"keys": list(some), "replaced": [account_index(seal, entry.loyalty_id) for entry in entries]},
    )
    for index, sealed in taken:
        number, entry = some[index]
        raise SourceFileError(
            f"{path}: entry {number}: the key of {entry.loyalty_id!r} already belongs to {seal.open(sealed)!r}"
        )
