"""What a person does with a refused cart: look, have it taken after all, or dismiss it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from pydantic import ValidationError
from sqlalchemy import Connection, RowMapping, select, text
from sqlalchemy.exc import DataError

from backroom.amazon import exact_json
from backroom.audit import trail
from backroom.card_numbers import REMOVED, remove_card_numbers
from backroom.entry.wire import complaint
from backroom.errors import BackroomError
from backroom.purchases.kept_bodies import as_it_came
from backroom.purchases.purchases_request import PurchasesRequest
from backroom.purchases.recording import Recorded, UnknownStore, record_purchase
from backroom.purchases.tables import refused_cart
from backroom.purchases.unauthenticated import STATUS as UNAUTHENTICATED
from backroom.settings import settings

DEEPEST: Final = 50  # levels of objects and lists, as at the connector

_LIST = text("""
    select refused_id, received_at, status, reason, shopping_trip_id, length(body) as bytes, settled_at, settled_by,
           outcome
    from refused_cart where settled_at is null or :settled_too order by received_at, refused_id limit :limit
""")
_SETTLE = text("""
    update refused_cart set settled_at = :now, settled_by = :by, outcome = :outcome
    where refused_id = :refused_id
""")
_DISMISS_STRANGERS = text("""
    update refused_cart set settled_at = :now, settled_by = :by, outcome = 'DISMISSED', body = ''
    where status = 403 and settled_at is null and received_at <= :now
""")
_STILL_REFUSED = text("update refused_cart set reason = :reason where refused_id = :refused_id")


class RefusedCartError(BackroomError):
    """There is no such refused cart, or it does not wait any more."""


class _Refused(Exception):
    """Today's rules refuse the body, too."""


@dataclass(frozen=True)
class Retried:
    """`outcome` is TAKEN, SENT_AGAIN (its trip is recorded already) or REFUSED, then with `reason`."""

    outcome: str
    shopping_trip_id: str | None = None
    reason: str = ""


def refused_carts(connection: Connection, *, settled_too: bool = False, limit: int = 100) -> Sequence[RowMapping]:
    """Those that wait for a person, the oldest first; without their bodies."""
    return connection.execute(_LIST, {"settled_too": settled_too, "limit": limit}).mappings().all()


def refused_one(connection: Connection, refused_id: int, *, lock: bool = False) -> RowMapping:
    """The whole row. Raises RefusedCartError where there is none."""
    query = select(refused_cart).where(refused_cart.c.refused_id == refused_id)
    found = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if found is None:
        raise RefusedCartError(f"there is no refused cart {refused_id}; `backroom carts refused list` shows them")
    return found


def retry(
    connection: Connection,
    refused_id: int,
    *,
    by: str,
    now: datetime,
    new_id: Callable[[], str],
    vouched: str = "",
) -> Retried:
    """Takes the kept body by today's rules, through the same code as the connector, in the caller's transaction.

    What is still refused keeps waiting, with the newest reason. A cart whose caller did not prove who they are (403) is
    taken only where a person says why it is Amazon's: `vouched`, kept in the audit trail. Raises RefusedCartError where
    it does not say, or the cart is settled.
    """
    refused = _lock(connection, refused_id)
    if refused["status"] == UNAUTHENTICATED and not vouched.strip():
        raise RefusedCartError(
            f"refused cart {refused_id} came from a caller who did not prove who they are ({refused['reason']}), and "
            "would be charged to a shopper; where you know it to be Amazon's, `backroom carts refused retry "
            f'{refused_id} --not-authenticated "how you know"` takes it'
        )
    why = f"; vouched for: {remove_card_numbers(vouched)}" if vouched.strip() else ""
    try:
        asked, raw_body = _read(as_it_came(bytes(refused["body"])), refused["status"])
        recorded = _record(connection, asked, raw_body, now, new_id)
    except _Refused as error:
        if refused["status"] != UNAUTHENTICATED:  # why it was not authenticated is what there is room for
            connection.execute(_STILL_REFUSED, {"refused_id": refused_id, "reason": str(error)})
        _audit(connection, refused, "carts.refused.retry", f"still refused: {error}{why}", by=by, now=now)
        return Retried("REFUSED", refused["shopping_trip_id"], str(error))
    outcome = "SENT_AGAIN" if recorded.outcome in ("REPEATED", "DIFFERENT_CART") else "TAKEN"
    _settle(connection, refused_id, outcome, by=by, now=now)
    _audit(connection, refused, "carts.refused.retry", f"{outcome}: {recorded.outcome}{why}", by=by, now=now)
    return Retried(outcome, asked.idempotent_shopping_trip_id, recorded.outcome)


def dismiss(connection: Connection, refused_id: int, *, by: str, reason: str, now: datetime) -> None:
    """Nothing is to be done about it. Raises RefusedCartError where the cart is settled."""
    refused = _lock(connection, refused_id)
    _settle(connection, refused_id, "DISMISSED", by=by, now=now)
    _audit(connection, refused, "carts.refused.dismiss", remove_card_numbers(reason), by=by, now=now)


def dismiss_unauthenticated(connection: Connection, *, by: str, reason: str, now: datetime) -> int:
    """Nothing is to be done about any cart that waits with 403; how many. Their bodies, which may be anybody's, go."""
    dismissed = connection.execute(_DISMISS_STRANGERS, {"by": by, "now": now}).rowcount
    trail.record(
        connection,
        at=now,
        actor=by,
        action="carts.refused.dismiss",
        subject=f"refused carts with {UNAUTHENTICATED}",
        reason=remove_card_numbers(reason),
        details={"carts": dismissed},
    )
    return dismissed


def _lock(connection: Connection, refused_id: int) -> RowMapping:
    """The row, ours until the transaction ends, if it still waits."""
    refused = refused_one(connection, refused_id, lock=True)
    if refused["settled_at"] is not None:
        raise RefusedCartError(
            f"refused cart {refused_id} is settled: {refused['outcome']} by {refused['settled_by']} at "
            f"{refused['settled_at']:%Y-%m-%d %H:%M} UTC"
        )
    return refused


def _record(
    connection: Connection, asked: PurchasesRequest, raw_body: str, now: datetime, new_id: Callable[[], str]
) -> Recorded:
    try:
        with connection.begin_nested():
            return record_purchase(connection, asked.cart(), raw_body, now=now, new_id=new_id)
    except UnknownStore as error:
        raise _Refused("storeId: not a store of ours") from error
    except (psycopg.DataError, DataError) as error:
        raise _Refused("body: a value that the database can't hold") from error


def _read(body: bytes, status: int) -> tuple[PurchasesRequest, str]:
    """The body as the connector would take it: strict JSON without NUL, surrogates or deep nesting."""
    try:
        raw_body = body.decode()
        value = exact_json.loads(raw_body)
    except (ValueError, RecursionError) as error:
        cut = "; it was larger than the limit, and only its beginning was kept: have the trip sent again"
        raise _Refused(f"body: not JSON{cut if status == 413 else ''}") from error
    _check(value, DEEPEST)
    try:
        asked = PurchasesRequest.model_validate(value, context={"locations": settings().auth_event_locations})
    except ValidationError as error:
        raise _Refused(complaint(error)) from error
    identifying = [asked.idempotent_shopping_trip_id, *(item.id for item in asked.cart_items)]
    if any(REMOVED in text for text in identifying):
        raise _Refused("body: an id in it was taken for a card number and removed; have the trip sent again")
    return asked, raw_body


def _check(value: Any, levels: int) -> None:
    if isinstance(value, Decimal | int) and abs(Decimal(value).adjusted()) > exact_json.WIDEST_NUMBER:
        raise _Refused("body: a number is out of range")
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise _Refused("body: a string holds NUL or an unpaired surrogate")
    elif isinstance(value, dict | list):
        if levels == 0:
            raise _Refused("body: nested too deeply")
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            _check(part, levels - 1)


def _settle(connection: Connection, refused_id: int, outcome: str, *, by: str, now: datetime) -> None:
    connection.execute(_SETTLE, {"refused_id": refused_id, "outcome": outcome, "by": by, "now": now})


def _audit(connection: Connection, refused: RowMapping, action: str, reason: str, *, by: str, now: datetime) -> None:
    trail.record(
        connection,
        at=now,
        actor=by,
        action=action,
        subject=refused["shopping_trip_id"] or f"refused cart {refused['refused_id']}",
        reason=reason,
        details={"refused_id": refused["refused_id"], "refused_for": refused["reason"]},
    )
