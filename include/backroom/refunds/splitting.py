"""From where a refund comes: the trip's open debt first, then each instrument up to what it took. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
DEBT: Final = "DEBT"
CAPTURE: Final = "CAPTURE"
PAYOFF: Final = "PAYOFF:"

RESERVING: Final = frozenset({"WAITING", "DUE", "UNKNOWN", "INITIATED", "PARKED", "FINAL"})
"""States of a refund that takes up its instrument's cap: all but those in which no money goes back."""
OPEN: Final = RESERVING - {"FINAL"}
"""States in which a refund is still on its way."""


@dataclass(frozen=True)
class Source:
    """One place a refund may come from: `free` is what it can still give; not `ready`: only later, by its own news."""

    instrument: str
    free: Decimal
    ready: bool = True


@dataclass(frozen=True)
class Part:
    """So much of a refund to (or off) one instrument; not `ready`: it waits."""

    instrument: str
    amount: Decimal
    ready: bool


def split(amount: Decimal, sources: Iterable[Source]) -> tuple[list[Part], Decimal]:
    """The parts in the order of the sources, and what none of them can take."""
    parts, rest = [], amount
    for source in sources:
        taken = min(rest, max(source.free, ZERO))
        if taken > 0:
            parts.append(Part(source.instrument, taken, source.ready))
            rest -= taken
    return parts, rest


def room(sources: Sequence[Source]) -> Decimal:
    """What all sources together can still give."""
    return sum((max(source.free, ZERO) for source in sources), ZERO)
