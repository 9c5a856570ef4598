"""What is owed on one trip, as arithmetic: five amounts, what each thing that happens does to them, and the state.

`amount` is what the trip's charge leaves to be paid. Against it stand `paid` (payoffs), `reduced` (refunds of a trip
that is not paid) and `written_off` (given up in the books). Where more came than was owed, `returned` is what goes
back. So nothing is ever paid above the amount without being given back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

ZERO: Final = Decimal(0)


class DebtState(StrEnum):
    """Where a debt stands. OPEN: something is outstanding. WRITTEN_OFF: nothing is, because it was given up."""

    OPEN = "OPEN"
    PAID = "PAID"
    WRITTEN_OFF = "WRITTEN_OFF"


class Happened(StrEnum):
    """Kinds of `debt_event`. The amounts of all events of a trip add up to its debt's columns."""

    PAID = "PAID"  # paid +: a payoff took money
    REDUCED = "REDUCED"  # reduced +: a refund of a trip that is not paid
    WRITTEN_OFF = "WRITTEN_OFF"  # written_off +
    WRITE_OFF_UNDONE = "WRITE_OFF_UNDONE"  # written_off -: the charge leaves less to be paid after all
    RECOVERED = "RECOVERED"  # paid +, written_off -: a payoff took money that had been given up
    PAYOFF_RETURNED = "PAYOFF_RETURNED"  # returned +: more came than was owed, and goes back by a refund of its own
    FORGIVEN = "FORGIVEN"  # no amount: the debtor may enter again


@dataclass(frozen=True)
class Entry:
    """One line of a debt's history, in the debt's currency."""

    kind: Happened
    amount: Decimal


@dataclass(frozen=True)
class Standing:
    """The five amounts, in the debt's currency."""

    amount: Decimal
    paid: Decimal = ZERO
    reduced: Decimal = ZERO
    written_off: Decimal = ZERO
    returned: Decimal = ZERO

    @property
    def outstanding(self) -> Decimal:
        """What the books still expect."""
        return self.amount + self.returned - self.paid - self.reduced - self.written_off

    @property
    def due(self) -> Decimal:
        """What a payoff takes: a write-off ends what the books expect, not what is owed."""
        return self.outstanding + self.written_off

    @property
    def state(self) -> DebtState:
        """As the amounts say."""
        if self.outstanding > 0:
            return DebtState.OPEN
        return DebtState.WRITTEN_OFF if self.written_off > 0 else DebtState.PAID


Change = tuple[Standing, tuple[Entry, ...]]


def pay(debt: Standing, money: Decimal) -> Change:
    """Money has come: first for what is outstanding, then for what was written off; what is left goes back."""
    to_open = min(money, debt.outstanding)
    to_written_off = min(money - to_open, debt.written_off)
    too_much = money - to_open - to_written_off
    after = replace(
        debt,
        paid=debt.paid + money,
        written_off=debt.written_off - to_written_off,
        returned=debt.returned + too_much,
    )
    return after, _entries(
        (Happened.PAID, to_open + too_much),
        (Happened.RECOVERED, to_written_off),
        (Happened.PAYOFF_RETURNED, too_much),
    )


def reduce_by(debt: Standing, most: Decimal) -> Change:
    """A refund of a trip that is not paid: by `most`, or by what is outstanding if that is less."""
    by = min(most, debt.outstanding)
    return replace(debt, reduced=debt.reduced + by), _entries((Happened.REDUCED, by))


def give_up(debt: Standing) -> Change:
    """Writes off all that is outstanding."""
    given_up = debt.outstanding
    return replace(debt, written_off=debt.written_off + given_up), _entries((Happened.WRITTEN_OFF, given_up))


def owe(debt: Standing, owed: Decimal, *, captured: Decimal) -> Change:
    """The charge leaves another amount to be paid than it did; `captured` is what it has taken for good.

    Where the card was charged after all for what was paid off (or refunded) meanwhile, that much goes back; it is
    found only in what was captured. A write-off of what is no longer owed is undone.
    """
    settled = debt.paid + debt.reduced - debt.returned
    goes_back = min(max(settled - owed, ZERO), captured)
    settled -= goes_back
    amount = max(owed, settled)
    written_off = min(debt.written_off, amount - settled)
    after = replace(debt, amount=amount, written_off=written_off, returned=debt.returned + goes_back)
    return after, _entries(
        (Happened.WRITE_OFF_UNDONE, debt.written_off - written_off),
        (Happened.PAYOFF_RETURNED, goes_back),
    )


def _entries(*entries: tuple[Happened, Decimal]) -> tuple[Entry, ...]:
    return tuple(Entry(kind, amount) for kind, amount in entries if amount > 0)
