"""Cards that staff have judged: flagged ones are denied at the gate, trusted ones come in against Amazon's advice.

A card is known by Amazon's token for it (`shopperIdentity.id`), never by its number.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.card_numbers import REMOVED, remove_card_numbers
from backroom.errors import BackroomError

Standing = Literal["FLAGGED", "TRUSTED"]


def judge(
    connection: Connection, shopper_identity: str, standing: Standing, *, reason: str, actor: str, now: datetime
) -> None:
    """Flags or trusts a card from now on, in place of what was said of it before; audited. Raises BackroomError."""
    if not 1 <= len(shopper_identity) <= 255:
        raise BackroomError("a card's token has 1 to 255 characters: the shopperIdentity.id of a trip or authorization")
    if REMOVED in remove_card_numbers(shopper_identity):
        raise BackroomError("that looks like a card's number; name the card by its token, the shopperIdentity.id")
    connection.execute(
        _JUDGE, {"token": shopper_identity, "standing": standing, "reason": reason, "actor": actor, "now": now}
    )
    _record(connection, "flag" if standing == "FLAGGED" else "trust", shopper_identity, reason, actor, now)


def forget(
    connection: Connection, shopper_identity: str, standing: Standing, *, reason: str, actor: str, now: datetime
) -> None:
    """Lifts a flag or a trust; audited. Raises BackroomError where the card has no such standing."""
    lifted = connection.execute(_FORGET, {"token": shopper_identity, "standing": standing})
    if lifted.rowcount == 0:
        raise BackroomError(f"the card {shopper_identity!r} is not {standing.lower()}; see `backroom shoppers cards`")
    _record(connection, "unflag" if standing == "FLAGGED" else "untrust", shopper_identity, reason, actor, now)


_JUDGE = text(
    "insert into card_standing (shopper_identity, standing, reason, set_by, set_at)"
    " values (:token, :standing, :reason, :actor, :now) on conflict (shopper_identity) do update"
    " set standing = excluded.standing, reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at"
)
_FORGET = text("delete from card_standing where shopper_identity = :token and standing = :standing")


def _record(connection: Connection, verb: str, token: str, reason: str, actor: str, now: datetime) -> None:
    trail.record(connection, at=now, actor=actor, action=f"card.{verb}", subject=token, reason=reason)
