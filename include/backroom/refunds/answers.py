"""What the answer to one attempt means for the refund and for the batch: pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backroom.amazon.outcomes import Answer, Outcome, Problem

UNREACHABLE_SECONDS: Final = 60  # when a service that was not reached is tried again
NOT_ALLOWED_SECONDS: Final = 900  # when a store that Amazon has not allow-listed is tried again


class Then(StrEnum):
    """What becomes of the refund."""

    BEGUN = "BEGUN"  # Amazon has begun to give the money back
    REPEAT = "REPEAT"  # it may have: asked again by the same key, later and later
    WAIT = "WAIT"  # nothing was done: asked again after `seconds`
    REFUSED = "REFUSED"  # a person is asked
    DOUBTFUL = "DOUBTFUL"  # refused, but an earlier attempt may have worked: a person is asked


@dataclass(frozen=True)
class Heard:
    """`seconds`: for how long this refund waits. `holds`: whom the answer binds besides it."""

    then: Then
    seconds: int = 0
    holds: str = ""  # ALL: everyone who shares the limit; STORE: the store; BATCH: who works now


def heard(answer: Answer, *, may_have_worked: bool) -> Heard:
    """What this answer means. `may_have_worked`: an earlier attempt had, or may have had, effect.

    A refusal settles only itself: after an unknown attempt the refund stays in doubt.
    """
    if answer.outcome is Outcome.SUCCEEDED:
        return Heard(Then.BEGUN)
    if answer.outcome is Outcome.UNKNOWN:
        return Heard(Then.REPEAT)
    if answer.outcome is Outcome.NOT_SENT:
        return Heard(Then.WAIT, UNREACHABLE_SECONDS, "BATCH")
    if answer.problem is Problem.THROTTLED:
        return Heard(Then.WAIT, answer.retry_after or 0, "ALL")
    if answer.problem is Problem.NOT_ALLOWED:
        return Heard(Then.WAIT, NOT_ALLOWED_SECONDS, "STORE")
    return Heard(Then.DOUBTFUL if may_have_worked else Then.REFUSED)
