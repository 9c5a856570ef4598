"""What only a person may do to a debt: give it up in the books, and let its debtor in again.

The two are apart: a write-off clears the books and goes on denying entry; forgiving lets the debtor in, by name.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from backroom.audit import trail
from backroom.debts import account
from backroom.debts.account import Debt, NoSuchDebt
from backroom.debts.payoff_record import open_payoff
from backroom.debts.standing import DebtState, give_up
from backroom.errors import BackroomError


class WriteOffRefused(BackroomError):
    """There is nothing to write off or to forgive, or something else comes first."""


def write_off(
    connection: Connection, *, shopping_trip_id: str, by: str, reason: str, now: datetime, source: str = ""
) -> Decimal:
    """Gives up all that is outstanding on the trip; returns how much, in the debt's currency. Audited.

    What was written off can still be paid, and is a recovery then. Raises NoSuchDebt and WriteOffRefused. `source`
    names what asked for it, if that may ask once only (`case:7`).
    """
    one = _locked(connection, shopping_trip_id)
    if (open_one := open_payoff(connection, shopping_trip_id)) is not None:
        raise WriteOffRefused(
            f"payoff {open_one.payoff_id} of trip {shopping_trip_id!r} is {open_one.state}; its outcome comes first"
        )
    after, entries = give_up(one.standing)
    if not entries:
        raise WriteOffRefused(f"nothing is outstanding on trip {shopping_trip_id!r}: it is {one.standing.state}")
    given_up = one.standing.outstanding
    source = source or account.numbered(connection, shopping_trip_id, f"person:{by}")
    account.keep(connection, one, after, entries, source=source, actor=by, now=now, details={"reason": reason})
    _audit(connection, one, "debt.write_off", by, reason, now, given_up)
    return given_up


def forgive(connection: Connection, *, shopping_trip_id: str, by: str, reason: str, now: datetime) -> None:
    """A debt that was written off denies entry no longer. Audited. Raises NoSuchDebt and WriteOffRefused."""
    one = _locked(connection, shopping_trip_id)
    if one.standing.state is not DebtState.WRITTEN_OFF:
        raise WriteOffRefused(
            f"trip {shopping_trip_id!r} is {one.standing.state}; only what was written off can be forgiven, "
            f"`backroom debts write-off {shopping_trip_id}` does that"
        )
    if one.forgiven_at is not None:
        raise WriteOffRefused(f"trip {shopping_trip_id!r} was forgiven on {one.forgiven_at:%Y-%m-%d}")
    source = account.numbered(connection, shopping_trip_id, f"person:{by}")
    account.forgive(connection, one, source=source, actor=by, now=now)
    _audit(connection, one, "debt.forgive", by, reason, now, one.standing.written_off)


def _locked(connection: Connection, shopping_trip_id: str) -> Debt:
    one = account.lock(connection, shopping_trip_id)
    if one is None:
        raise NoSuchDebt(shopping_trip_id)
    return one


def _audit(
    connection: Connection, one: Debt, action: str, by: str, reason: str, now: datetime, amount: Decimal
) -> None:
    trail.record(
        connection,
        at=now,
        actor=by,
        action=action,
        subject=one.shopping_trip_id,
        reason=reason,
        details={"amount": f"{amount:f} {one.currency}"},
    )
