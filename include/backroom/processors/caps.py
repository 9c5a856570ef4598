"""How often one card may be tried, under the limits of the card networks: pure rules over counts.

The networks count tries that do not end in an approval: Visa 20 in 30 days per card; Mastercard 10 in a day, and 35 of
one amount in 30 days. A try whose outcome is open counts, one that was never sent does not. Of a brand that is not
known, all limits hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

DAY: Final = timedelta(days=1)
MONTH: Final = timedelta(days=30)


@dataclass(frozen=True)
class Limit:
    """At most `tries` within `within`; of one amount only, or of all together."""

    network: str
    tries: int
    within: timedelta
    of_one_amount: bool = False


LIMITS: Final = (
    Limit("VISA", 20, MONTH),
    Limit("MASTERCARD", 10, DAY),
    Limit("MASTERCARD", 35, MONTH, of_one_amount=True),
)
_KNOWN: Final = frozenset(limit.network for limit in LIMITS)


@dataclass(frozen=True)
class Tries:
    """Of one card until now: within a day, within 30 days, and within 30 days of the amount that is asked for."""

    in_a_day: int
    in_a_month: int
    of_the_amount: int


def limits_of(brand: str) -> tuple[Limit, ...]:
    """The limits that hold for a card of that brand."""
    name = brand.upper().replace(" ", "")
    return tuple(limit for limit in LIMITS if limit.network == name) if name in _KNOWN else LIMITS


def capped_by(brand: str, tries: Tries, *, below: int) -> Limit | None:
    """The limit that one more try would come too near to, or None. Ours are `below` lower than the networks'."""
    for limit in limits_of(brand):
        counted = tries.of_the_amount if limit.of_one_amount else tries.in_a_month
        if limit.within == DAY:
            counted = tries.in_a_day
        if counted >= limit.tries - below:
            return limit
    return None


def describe(limit: Limit, tries: Tries, amount: Decimal, below: int) -> str:
    """For the record and the person who reads the case."""
    span = "a day" if limit.within == DAY else f"{limit.within.days} days"
    what = f"tries of {amount:f}" if limit.of_one_amount else "tries"
    counted = tries.of_the_amount if limit.of_one_amount else tries.in_a_month
    counted = tries.in_a_day if limit.within == DAY else counted
    return f"{counted} {what} in {span}; {limit.network} allows {limit.tries}, we stop {below} short of it"
