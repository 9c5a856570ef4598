"""Who may enter: shoppers, their flags, and the recognition keys by which the gate knows them.

Keys are kept as SHA-256 hashes only. A flag is never lifted by loading a file, only by a person with a reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import Connection, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from backroom.audit import trail
from backroom.entry.scan_code import parse_scan_code
from backroom.errors import BackroomError, SourceFileError
from backroom.settings import settings
from backroom.shoppers.sealing import seal_of
from backroom.shoppers.tables import recognition_key, shopper
from backroom.source_files import Identifier, SourceRow, read_json_list

ShopperType = Literal["SHOPPER", "ASSOCIATE", "CASH_SHOPPER"]
LONGEST_KEY = 750
"""Bytes: Amazon sends at most 1000 characters of Base64."""


@dataclass(frozen=True)
class Shopper:
    """A shopper as the gate sees them.

    `keys` counts the live recognition keys by kind; `at_one_store_only` those of them that are good at one store only,
    by store; `owes` is what is outstanding, by currency.
    """

    shopper_id: str
    type: str
    active: bool
    flagged: bool
    flag_reason: str | None
    keys: dict[str, int]
    at_one_store_only: dict[str, int]
    owes: dict[str, Decimal]
    loyalty_accounts: list[str]


def key_hash(key: bytes) -> str:
    """How a recognition key is kept: SHA-256 of the decoded key, in hex."""
    return hashlib.sha256(key).hexdigest()


def load_shoppers(connection: Connection, path: Path) -> int:
    """Adds or updates the shoppers of a shoppers.json with their keys. Raises SourceFileError.

    Keys that the file does not name stay; a flag that it does not set stays.
    """
    entries = read_json_list(path, _Entry)
    owners: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        for hashed, _ in entry.hashed():
            if owners.setdefault(hashed, entry.shopper_id) != entry.shopper_id:
                raise SourceFileError(
                    f"{path}: entry {number}: a key of {entry.shopper_id!r} is also one of {owners[hashed]!r}"
                )
    if len({entry.shopper_id for entry in entries}) != len(entries):
        raise SourceFileError(f"{path}: a shopper is in it twice; join the entries")
    try:
        for start in range(0, len(entries), 1000):
            _store_entries(connection, entries[start : start + 1000])
    except BackroomError as error:
        raise SourceFileError(f"{path}: {error}") from error
    return len(entries)


def register(
    connection: Connection,
    shopper_id: str,
    shopper_type: str,
    *,
    keys: Iterable[str] = (),
    tokens: Iterable[str] = (),
    store_id: str | None = None,
) -> None:
    """Adds a shopper, or further keys to one; a key of theirs that is known already gets the store named now.

    `store_id`: the one store where these keys are good; None: everywhere. Raises BackroomError where a key is another's
    or malformed or revoked, the store is not one of ours, or the shopper is known under another type.
    """
    try:
        entry = _Entry.model_validate(
            {"shopper_id": shopper_id, "type": shopper_type, "keys": list(keys), "tokens": list(tokens)}
        )
    except ValueError as error:
        raise BackroomError(
            f"shopper {shopper_id!r} can't be registered: the type is SHOPPER, ASSOCIATE or CASH_SHOPPER, "
            "a key has 1 to 750 bytes and not the layout of a scan key code, a token 21 lower-case hex digits"
        ) from error
    if store_id is not None and not connection.scalar(
        text("select count(*) from store where store_id = :store_id"), {"store_id": store_id}
    ):
        raise BackroomError(f"there is no store {store_id!r}; `backroom stores list` shows them")
    known = connection.scalar(select(shopper.c.type).where(shopper.c.shopper_id == shopper_id))
    if known is not None and known != entry.type:
        raise BackroomError(
            f"shopper {shopper_id!r} is registered as {known}, and the type decides who pays by card; "
            "`backroom shoppers load` changes it"
        )
    _store_entries(connection, [entry], {"store_id": store_id})


def set_flag(connection: Connection, shopper_id: str, *, flagged: bool, reason: str, actor: str, now: datetime) -> None:
    """Flags a shopper (the gate refuses them from now on) or lifts the flag; both are audited."""
    changed = connection.execute(
        update(shopper)
        .where(shopper.c.shopper_id == shopper_id)
        .values(flagged=flagged, flag_reason=reason if flagged else None)
    )
    if changed.rowcount == 0:
        raise _unknown(shopper_id)
    trail.record(
        connection,
        at=now,
        actor=actor,
        action="shopper.flag" if flagged else "shopper.unflag",
        subject=shopper_id,
        reason=reason,
    )


def revoke(
    connection: Connection,
    *,
    key: str | None = None,
    shopper_id: str | None = None,
    reason: str,
    actor: str,
    now: datetime,
) -> tuple[str, int]:
    """Ends one recognition key, or all of a shopper's; whose, and how many were good until `now` (UTC). Audited.

    `key` is an opaque key or a scan key code as text, or a code's token. Gates read the row at every event, so the next
    one is refused. Neither loading a file nor registering brings a revoked key back. Raises BackroomError where nobody
    has the key, or there is no such shopper.
    """
    if (key is None) == (shopper_id is None):
        raise BackroomError("name one key with --key, or one shopper with --id")
    mine = recognition_key.c.shopper_id == shopper_id if key is None else recognition_key.c.key_hash == _kept(key)
    query = select(recognition_key.c.shopper_id).where(mine)
    if key is None:
        query = select(shopper.c.shopper_id).where(shopper.c.shopper_id == shopper_id)
    owner = connection.scalars(query.limit(1)).one_or_none()
    if owner is None and key is None:
        raise _unknown(shopper_id or "")
    if owner is None:
        raise BackroomError("nobody has this key; `backroom shoppers show --id ID` counts a shopper's keys")
    still_good = or_(recognition_key.c.expires_at.is_(None), recognition_key.c.expires_at > now)
    ended = connection.execute(
        update(recognition_key).where(mine, ~recognition_key.c.revoked, still_good).values(revoked=True)
    ).rowcount
    trail.record(
        connection,
        at=now,
        actor=actor,
        action="shopper.revoke",
        subject=owner,
        reason=reason,
        details={"keys": ended, "all": key is None},
    )
    return str(owner), ended


def get_shopper(connection: Connection, shopper_id: str, *, now: datetime) -> Shopper:
    """One shopper, as of `now` (UTC). Raises BackroomError where there is none with that id."""
    row = connection.execute(select(shopper).where(shopper.c.shopper_id == shopper_id)).one_or_none()
    if row is None:
        raise _unknown(shopper_id)
    asked = {"shopper_id": shopper_id, "now": now}
    return Shopper(
        row.shopper_id,
        row.type,
        row.active,
        row.flagged,
        row.flag_reason,
        keys=_pairs(connection, _KEYS_BY_KIND, asked),
        at_one_store_only=_pairs(connection, _KEYS_BY_STORE, asked),
        owes=_pairs(connection, _OWES, asked),
        loyalty_accounts=_loyalty_accounts(connection, shopper_id),
    )


_LIVE = "shopper_id = :shopper_id and not revoked and (expires_at is null or expires_at > :now)"
_KEYS_BY_KIND = f"select kind, count(*) from recognition_key where {_LIVE} group by kind order by kind"  # noqa: S608
_KEYS_BY_STORE = (
    f"select store_id, count(*) from recognition_key where {_LIVE} and store_id is not null"  # noqa: S608
    " group by store_id order by store_id"
)
_OWES = (
    "select currency, sum(outstanding) from debt where shopper_id = :shopper_id and outstanding > 0"
    " group by currency order by currency"
)
_LOYALTY = text("select loyalty_id_sealed from loyalty_account where shopper_id = :shopper_id and active")


def _loyalty_accounts(connection: Connection, shopper_id: str) -> list[str]:
    sealed = list(connection.scalars(_LOYALTY, {"shopper_id": shopper_id}))
    return sorted(seal_of(settings()).open(one) for one in sealed) if sealed else []


def _pairs(connection: Connection, query: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in connection.execute(text(query), asked)}


def _opaque(key: str) -> str:
    if len(_key_bytes(key)) > LONGEST_KEY:
        raise ValueError(f"longer than {LONGEST_KEY} bytes")
    if parse_scan_code(_key_bytes(key)) is not None:
        raise ValueError("has the layout of a scan key code: the gate would read it as one; register its token")
    return key


def _kept(key: str) -> str:
    """The hash of a key that a person typed: of a scan key code its token's."""
    code = parse_scan_code(_key_bytes(key))
    return key_hash(_key_bytes(key) if code is None else code.token.encode())


def _key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


class _Entry(SourceRow):
    """One entry of shoppers.json."""

    shopper_id: Identifier
    type: ShopperType
    flagged: bool = False
    keys: tuple[Annotated[str, Field(min_length=1), AfterValidator(_opaque)], ...] = Field((), strict=False)
    tokens: tuple[Annotated[str, Field(pattern="^[0-9a-f]{21}$")], ...] = Field((), strict=False)

    def hashed(self) -> list[tuple[str, str]]:
        """(hash, kind) of each key."""
        return [(key_hash(_key_bytes(key)), "OPAQUE") for key in self.keys] + [
            (key_hash(token.encode()), "TOKEN") for token in self.tokens
        ]


def _store_entries(connection: Connection, entries: list[_Entry], anew: dict[str, Any] | None = None) -> None:
    """`anew`: columns that keys get also where they are known already; None: those stay as they are."""
    shoppers = insert(shopper).values(
        [{"shopper_id": entry.shopper_id, "type": entry.type, "flagged": entry.flagged} for entry in entries]
    )
    connection.execute(
        shoppers.on_conflict_do_update(
            index_elements=["shopper_id"],
            set_={"type": shoppers.excluded.type, "flagged": or_(shopper.c.flagged, shoppers.excluded.flagged)},
        )
    )
    rows = {
        hashed: {"key_hash": hashed, "shopper_id": entry.shopper_id, "kind": kind, **(anew or {})}
        for entry in entries
        for hashed, kind in entry.hashed()
    }
    if not rows:
        return
    statement = insert(recognition_key).values(list(rows.values()))
    if anew:
        own = recognition_key.c.shopper_id == statement.excluded.shopper_id
        statement = statement.on_conflict_do_update(index_elements=["key_hash"], set_=anew, where=own)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement)
    kept = connection.execute(
        select(recognition_key.c.key_hash, recognition_key.c.shopper_id, recognition_key.c.revoked).where(
            recognition_key.c.key_hash == func.any(list(rows))
        )
    )
    for hashed, owner, revoked in kept:
        if owner != rows[hashed]["shopper_id"]:
            raise BackroomError(f"a key of {rows[hashed]['shopper_id']!r} already belongs to {owner!r}")
        if revoked and anew is not None:
            raise BackroomError(f"a key of {owner!r} was revoked and does not come back; register another one")


def _unknown(shopper_id: str) -> BackroomError:
    return BackroomError(f"there is no shopper {shopper_id!r}; register them with `backroom shoppers register`")
