"""Whether a trip's shopper may get back what is asked for, and how much that is: pure rules over plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from backroom.amazon.refund_client import REASONS
from backroom.errors import BackroomError
from backroom.money import places
from backroom.refunds.line_shares import share_of_line

ZERO: Final = Decimal(0)


class RefundRefused(BackroomError):
    """Nothing was asked for: says why, and what could be."""


@dataclass(frozen=True)
class SoldLine:
    """A line that was charged; `total` with tax. `given`: what requests that stand give back for `given_quantity`."""

    number: int
    quantity: Decimal  # in the line's own unit
    total: Decimal
    given_quantity: Decimal = ZERO
    given: Decimal = ZERO


@dataclass(frozen=True)
class TripFacts:
    """What the rules need to know of a trip. Amounts in `currency`."""

    shopping_trip_id: str
    currency: str
    total: Decimal
    ended_at: datetime
    window: timedelta
    approval_above: Decimal
    asked_before: Decimal  # by requests that stand
    asked_alone: Decimal  # of these, by requests that nobody but who asked has seen
    room: Decimal  # what the open debt and the instruments together can still give
    lines: Mapping[int, SoldLine] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """By amount, by line (a quantity of None: all that is left of it), or, without either, all that is left."""

    amount: Decimal | None = None
    lines: Sequence[tuple[int, Decimal | None]] = ()


@dataclass(frozen=True)
class GivenLine:
    """So much of a line goes back, for so much money (tax included)."""

    number: int
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Eligible:
    """What may be given back. `lines` is empty for a refund by amount."""

    amount: Decimal
    lines: tuple[GivenLine, ...]
    needs_approval: bool


def eligible(trip: TripFacts, ask: Ask, *, reason: str, requested_at: datetime) -> Eligible:
    """What the ask comes to. Raises RefundRefused where it can't be.

    The window is counted from the trip's end to the shopper's request, both included. What a trip gets back beyond the
    limit needs a second person's word, however many requests it is asked for in.
    """
    if reason not in REASONS:
        raise RefundRefused(f"{reason!r} is not a reason for a refund; use one of {', '.join(REASONS)}")
    if ask.amount is not None and ask.lines:
        raise RefundRefused("a refund is by amount or by line, not both")
    if requested_at > trip.ended_at + trip.window:
        raise RefundRefused(
            f"trip {trip.shopping_trip_id} ended at {trip.ended_at:%Y-%m-%d %H:%M} UTC; its store takes requests for"
            f" {trip.window.days} days"
        )
    left = min(trip.total - trip.asked_before, trip.room)
    lines = _lines(trip, ask, left)
    amount = ask.amount if ask.amount is not None else sum((line.amount for line in lines), ZERO)
    if ask.amount is None and not ask.lines and not lines:
        amount = left
    _check(trip, amount, left)
    return Eligible(amount, lines, trip.asked_alone + amount > trip.approval_above)


def named(what: str, said: str) -> str:
    """What a person has said, without blanks around it. Raises RefundRefused where that is nothing."""
    if not said.strip():
        raise RefundRefused(f"{what} is blank; it is kept with the refund")
    return said.strip()


def _check(trip: TripFacts, amount: Decimal, left: Decimal) -> None:
    if left <= 0:
        raise RefundRefused(
            f"nothing of trip {trip.shopping_trip_id} is left to give back: of {_money(trip, trip.total)},"
            f" {_money(trip, trip.asked_before)} is asked for already, and {_money(trip, max(trip.room, ZERO))} was"
            " paid or is owed beyond that"
        )
    if amount <= 0:
        raise RefundRefused(f"a refund of {_money(trip, amount)} gives nothing back; name an amount above zero")
    if amount != amount.quantize(Decimal(1).scaleb(-places(trip.currency))):
        raise RefundRefused(f"{amount:f} has more places than {trip.currency} has")
    if amount > left:
        raise RefundRefused(
            f"trip {trip.shopping_trip_id} can give back {_money(trip, left)} more, not {_money(trip, amount)}"
        )


def _lines(trip: TripFacts, ask: Ask, left: Decimal) -> tuple[GivenLine, ...]:
    if ask.amount is not None:
        return ()
    if ask.lines:
        numbers = [number for number, _ in ask.lines]
        if len(set(numbers)) < len(numbers):
            raise RefundRefused("a line is named twice; name it once, with the whole quantity")
        return tuple(_line(trip, number, quantity) for number, quantity in ask.lines)
    rest = [line for line in trip.lines.values() if line.given_quantity < line.quantity and line.total > line.given]
    everything = tuple(_line(trip, line.number, None) for line in rest)
    # where an amount went back before, or a part was never paid, the rest is no sum of lines
    return everything if sum((line.amount for line in everything), ZERO) == left else ()


def _line(trip: TripFacts, number: int, quantity: Decimal | None) -> GivenLine:
    line = trip.lines.get(number)
    if line is None:
        known = ", ".join(str(one) for one in sorted(trip.lines)) or "none"
        raise RefundRefused(f"trip {trip.shopping_trip_id} has no line {number} that was charged; it has {known}")
    left = line.quantity - line.given_quantity
    asked = left if quantity is None else quantity
    if not 0 < asked <= left:
        raise RefundRefused(
            f"line {number} of trip {trip.shopping_trip_id}: {_plain(left)} of {_plain(line.quantity)} can go back,"
            f" not {_plain(asked)}"
        )
    amount = share_of_line(
        line.total,
        line.quantity,
        trip.currency,
        quantity=asked,
        given_quantity=line.given_quantity,
        given=line.given,
    )
    return GivenLine(number, asked, amount)


def _money(trip: TripFacts, amount: Decimal) -> str:
    return f"{amount:.{places(trip.currency)}f} {trip.currency}"


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
