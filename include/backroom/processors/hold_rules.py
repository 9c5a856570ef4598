"""What is due for a hold of the gate: pure rules over what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from backroom.processors.parking import REFUSED_HOLD
from backroom.processors.port import Outcome, Problem, Result

CHARGE_ENDED: Final = frozenset({"CAPTURED", "CANCELLED", "IN_DEBT"})
LOOK_AGAIN: Final = timedelta(minutes=30)
UNKNOWN_FOR: Final = timedelta(hours=6)


class Step(StrEnum):
    """What the pipeline does with it."""

    AUTHORIZE = "AUTHORIZE"
    NO_INSTRUMENT = "NO_INSTRUMENT"
    DROP = "DROP"  # nothing was asked for, and nothing is wanted any more
    VOID = "VOID"
    USED = "USED"  # its money was taken: nothing is left to do
    PARK = "PARK"
    WAIT = "WAIT"


@dataclass(frozen=True)
class HoldFacts:
    """A hold, and the trip it belongs to, where its cart has come.

    `charge_state` is None without a charge; `used`: this very payment is what the trip is charged by, or was.
    """

    state: str
    intended_at: datetime
    has_instrument: bool
    linked: bool = False
    charge_state: str | None = None
    used: bool = False
    captured: bool = False
    bad_cart: bool = False


def next_step(hold: HoldFacts, *, now: datetime, wait_for_cart: timedelta) -> Step:
    """What is due now. A hold whose trip ended without a charge, or is charged by another payment, is ended."""
    unwanted = is_unwanted(hold, now=now, wait_for_cart=wait_for_cart)
    match hold.state:
        case "INTENDED" if unwanted:
            return Step.DROP
        case "INTENDED":
            return Step.AUTHORIZE if hold.has_instrument else Step.NO_INSTRUMENT
        case "UNKNOWN":
            return Step.PARK if now - hold.intended_at >= UNKNOWN_FOR else Step.AUTHORIZE
        case "HELD" if hold.captured:
            return Step.USED
        case "HELD" if unwanted:
            return Step.VOID
    return Step.WAIT


def is_unwanted(hold: HoldFacts, *, now: datetime, wait_for_cart: timedelta) -> bool:
    """Whether nothing will be charged by this hold."""
    if hold.charge_state in CHARGE_ENDED:
        return True
    if hold.charge_state is not None:
        return hold.linked and not hold.used
    return not hold.bad_cart and now - hold.intended_at >= wait_for_cart


def look_again_at(hold: HoldFacts, *, now: datetime, wait_for_cart: timedelta) -> datetime:
    """When a hold that waits is looked at next."""
    if hold.charge_state is None and not hold.bad_cart:
        return min(now + LOOK_AGAIN, max(hold.intended_at + wait_for_cart, now + timedelta(minutes=1)))
    return now + LOOK_AGAIN


class Then(StrEnum):
    """When a hold that was asked for is looked at next."""

    SOON = "SOON"
    LATER = "LATER"  # later and later
    PAUSED = "PAUSED"
    NEVER = "NEVER"


@dataclass(frozen=True)
class Heard:
    """What an answer means: the new state (None: as it was), when to go on, and what else follows."""

    state: str | None
    then: Then
    flags: bool = False  # the shopper's card was declined
    case: str | None = None


_NO: Final = {
    Problem.DECLINED: Heard("DECLINED", Then.NEVER, flags=True),
    Problem.CAPPED: Heard("PARKED", Then.NEVER),  # its case is there already
    Problem.THROTTLED: Heard(None, Then.LATER),
    Problem.NOT_ALLOWED: Heard(None, Then.PAUSED),
}


def heard(result: Result) -> Heard:
    """What the answer to an authorization means for the hold. A no that is not the shopper's is parked."""
    match result.outcome:
        case Outcome.SUCCEEDED:
            return Heard("HELD", Then.SOON)
        case Outcome.UNKNOWN:
            return Heard("UNKNOWN", Then.LATER)
        case Outcome.NOT_SENT:
            return Heard(None, Then.LATER)
    default = Heard("PARKED", Then.NEVER, case=REFUSED_HOLD)
    return _NO.get(result.problem, default) if result.problem is not None else default
