"""What to do next with a charge, and when: pure rules over its fold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final, Self

from backroom.charges.states import ChargeState, Operation, State
from backroom.settings import Settings

FIRST_BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(minutes=60)


class Action(StrEnum):
    """What the lifecycle does with a charge that is due."""

    ADJUST = "ADJUST"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    GIVE_UP = "GIVE_UP"  # every card try was declined: the total is a debt, the hold is cancelled
    KEEP_PREAUTHORIZATION = "KEEP_PREAUTHORIZATION"  # likewise, but what the gate held is captured once
    PARK = "PARK"
    WAIT = "WAIT"

    @property
    def operation(self) -> Operation | None:
        """The call to Amazon that it is, if it is one."""
        return Operation(self.value) if self.value in Operation.__members__ else None


class ParkedFor(StrEnum):
    """Why a person is asked; also the kind of the review case."""

    UNKNOWN_CAPTURE = "UNKNOWN_CAPTURE"
    UNDECIDED_AUTHORIZATION = "UNDECIDED_AUTHORIZATION"
    UNKNOWN_CANCEL = "UNKNOWN_CANCEL"
    REFUSED_BY_AMAZON = "REFUSED_BY_AMAZON"
    EVIDENCE_DISAGREES = "EVIDENCE_DISAGREES"


@dataclass(frozen=True)
class ChargeRules:
    """The store's and the settings' numbers that the rules need."""

    max_declines: int
    retry_after_decline: timedelta
    evidence_within: timedelta
    margin: timedelta  # before the token's end: what is undecided or unanswered goes to a person
    after_decline: str = "none"
    preauthorization: Decimal = Decimal(0)
    trusts_capture_answer: bool = False  # a store without any feed: the 200 to a capture is its only evidence

    @classmethod
    def of(
        cls,
        config: Settings,
        *,
        after_decline: str = "none",
        preauthorization: Decimal = Decimal(0),
        trusts_capture_answer: bool = False,
    ) -> Self:
        """From the settings and three columns of the store."""
        return cls(
            max_declines=config.charge_max_attempts,
            retry_after_decline=timedelta(minutes=config.charge_retry_minutes),
            evidence_within=timedelta(hours=config.capture_evidence_hours),
            margin=timedelta(hours=config.charge_margin_hours),
            after_decline=after_decline,
            preauthorization=preauthorization,
            trusts_capture_answer=trusts_capture_answer,
        )


@dataclass(frozen=True)
class Step:
    """An action; `amount` in the charge's currency where it moves money; `why` where a person is asked."""

    action: Action
    amount: Decimal = Decimal(0)
    why: ParkedFor | None = None


def next_step(charge: ChargeState, *, now: datetime, expires_at: datetime, rules: ChargeRules) -> Step:
    """What is due now for that charge. While a capture's outcome is open nothing is tried, only waited for."""
    step = Step(Action.WAIT)
    match charge.state:
        case State.DUE if charge.declines >= rules.max_declines:
            kept = min(rules.preauthorization, charge.total)
            keeps = rules.after_decline == "capture_preauth_once" and kept > 0
            step = Step(Action.KEEP_PREAUTHORIZATION, kept) if keeps else Step(Action.GIVE_UP)
        case State.DUE:
            step = Step(Action.ADJUST, charge.total)
        case State.ADJUST_PENDING | State.UNKNOWN_ADJUST:
            # from the token's end until a margin after it, Amazon's own answer (expired) decides: no person has to
            undecided = expires_at - rules.margin <= now < expires_at or now >= expires_at + rules.margin
            person = Step(Action.PARK, why=ParkedFor.UNDECIDED_AUTHORIZATION)
            step = person if undecided else Step(Action.ADJUST, charge.total)
        case State.AUTHORIZED:
            step = Step(Action.CAPTURE, min(charge.authorized, charge.total))
        case State.UNKNOWN_CAPTURE | State.CAPTURE_INITIATED if now >= evidence_due(charge, expires_at, rules):
            step = Step(Action.PARK, why=ParkedFor.UNKNOWN_CAPTURE)
        case State.UNKNOWN_CANCEL if now >= expires_at + rules.margin:
            step = Step(Action.PARK, why=ParkedFor.UNKNOWN_CANCEL)
        case State.CANCEL_DUE | State.UNKNOWN_CANCEL:
            step = Step(Action.CANCEL)
    return step


def due_at(
    charge: ChargeState, *, now: datetime, expires_at: datetime, rules: ChargeRules, chance: Random
) -> datetime | None:
    """When to look at the charge again, decided at `now` when its state has changed; None: news must come first."""
    if charge.final:
        return None
    if charge.state in (State.UNKNOWN_CAPTURE, State.CAPTURE_INITIATED):
        return evidence_due(charge, expires_at, rules)
    if charge.state is State.DUE and 0 < charge.declines < rules.max_declines:
        return now + rules.retry_after_decline
    if charge.state in (State.ADJUST_PENDING, State.UNKNOWN_ADJUST, State.UNKNOWN_CANCEL):
        again = now + backoff(charge.unsettled_asks, chance)
        deadline = expires_at - rules.margin
        return min(again, deadline) if now < deadline else again
    return now


def evidence_due(charge: ChargeState, expires_at: datetime, rules: ChargeRules) -> datetime:
    """Until when a capture's evidence is waited for. Raises ValueError where no capture was tried.

    A capture without an answer may never have been made: a person is asked while it can still be asked for again.
    """
    if charge.capture_asked_at is None:
        raise ValueError("no capture was tried, so no evidence of one is due")
    waited_for = charge.capture_asked_at + rules.evidence_within
    deadline = expires_at - rules.margin
    unanswered = charge.state is State.UNKNOWN_CAPTURE and charge.capture_asked_at < deadline
    return min(waited_for, deadline) if unanswered else waited_for


def backoff(asks: int, chance: Random) -> timedelta:
    """Exponential with full jitter: from a second to a doubling bound, which ends at an hour."""
    bound = min(FIRST_BACKOFF * 2 ** min(asks, 10), LONGEST_BACKOFF)
    return timedelta(seconds=1) + chance.random() * bound
