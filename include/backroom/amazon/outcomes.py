"""What became of a call, told apart as money needs it.

SUCCEEDED: Amazon said yes. REFUSED: a definite no to this attempt. NOT_SENT: we never reached them. UNKNOWN: it may
have taken effect (read time-out, connection lost, 5xx, any status that nobody has published). Statuses and texts are
those of payments.md and catalog.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from backroom.errors import BackroomError

DEFAULT_RETRY_AFTER: Final = 600  # seconds; the published value, for a 429 whose header is missing or malformed
LONGEST_RETRY_AFTER: Final = (
    86_400  # seconds; a longer wait would outlive most payment tokens: then they are asked again
)


class Outcome(StrEnum):
    """The four ends of an attempt."""

    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"


class Problem(StrEnum):
    """Why it did not succeed."""

    UNKNOWN_TRIP = "UNKNOWN_TRIP"
    EXPIRED = "EXPIRED"
    BAD_REQUEST = "BAD_REQUEST"
    NOT_ALLOWED = "NOT_ALLOWED"
    THROTTLED = "THROTTLED"
    SERVER_ERROR = "SERVER_ERROR"
    TIMED_OUT = "TIMED_OUT"
    CONNECTION_LOST = "CONNECTION_LOST"
    UNREACHABLE = "UNREACHABLE"
    UNINTELLIGIBLE = "UNINTELLIGIBLE"


_DIGITS: Final = 9
_WIDEST: Final = 2**63 - 1  # of a whole number that the JSON writer takes
_BY_MESSAGE: Final = {
    "UnknownShoppingTrip": Problem.UNKNOWN_TRIP,
    "ShoppingTripExpiredException": Problem.EXPIRED,
}

# Published: 400, 403, 429. The others are HTTP's own for a request that was turned away before anything was done.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 429})


@dataclass(frozen=True)
class Answer:
    """One attempt's end. `body` is parsed JSON with exact numbers, None where there was none."""

    outcome: Outcome
    problem: Problem | None = None
    status: int | None = None
    body: Any = None
    message: str = ""
    retry_after: int | None = None  # seconds, with THROTTLED
    latency_seconds: float | None = None

    def for_the_record(self) -> dict[str, Any]:
        """As it is kept in a JSON column: amounts as exact text, and nothing that such a column can't hold."""
        kept: dict[str, Any] = {"body": _as_text(self.body)}
        if self.problem is not None:
            kept |= {"problem": self.problem.value, "message": self.message}
        if self.retry_after is not None:
            kept["retry_after"] = self.retry_after
        return kept


class CallFailed(BackroomError):
    """A call to Amazon did not succeed; `answer` says how."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(
            f"{what}: {answer.outcome.value.lower().replace('_', ' ')}"
            f" ({answer.problem}{f', HTTP {answer.status}' if answer.status else ''}"
            f"{f': {answer.message}' if answer.message else ''})"
        )
        self.answer = answer


def judge(
    status: int,
    body: Any,
    retry_after: str | None,
    latency_seconds: float,
    *,
    successes: Collection[int] = (200, 201),
) -> Answer:
    """What an HTTP answer means for the attempt that it answers. `successes`: the service's published ones."""
    message = _storable(str(body.get("errorMsg", ""))) if isinstance(body, dict) else ""
    outcome, problem, wait = Outcome.REFUSED, Problem.BAD_REQUEST, None
    if status in successes:
        return Answer(Outcome.SUCCEEDED, None, status, body, latency_seconds=latency_seconds)
    if status >= 500:
        outcome, problem = Outcome.UNKNOWN, Problem.SERVER_ERROR
    elif status == 408:
        outcome, problem = Outcome.UNKNOWN, Problem.TIMED_OUT
    elif status not in _REFUSALS:
        outcome, problem = Outcome.UNKNOWN, Problem.UNINTELLIGIBLE
    elif status == 429:
        problem, wait = Problem.THROTTLED, seconds_to_wait(retry_after)
    elif status == 403:
        problem = Problem.NOT_ALLOWED
    elif status == 400:
        problem = _BY_MESSAGE.get(message, Problem.BAD_REQUEST)
    return Answer(outcome, problem, status, body, message, wait, latency_seconds)


def seconds_to_wait(retry_after: str | None) -> int:
    """The header's seconds, a day at most; the published 600 where it is missing or not a number."""
    text = (retry_after or "").strip()
    if not text.isascii() or not text.isdigit():
        return DEFAULT_RETRY_AFTER
    digits = text.lstrip("0") or "0"
    return min(int(digits), LONGEST_RETRY_AFTER) if len(digits) <= _DIGITS else LONGEST_RETRY_AFTER


def _as_text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and not -_WIDEST <= value <= _WIDEST:
        return str(value)
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, dict):
        return {_storable(key): _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value


def _storable(value: str) -> str:
    """Without what no text of PostgreSQL's can hold: NUL, and half a surrogate pair."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
