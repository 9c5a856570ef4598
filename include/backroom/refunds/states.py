"""The life of a refund as data: states, and which may follow which, and when. docs/refunds.md draws this table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a refund (one instrument's part of a request) stands."""

    WAITING = "WAITING"
    DUE = "DUE"
    UNKNOWN = "UNKNOWN"
    INITIATED = "INITIATED"
    FINAL = "FINAL"
    PARKED = "PARKED"
    REFUSED = "REFUSED"
    DROPPED = "DROPPED"


MEANS: Final[Mapping[State, str]] = {
    State.WAITING: "its capture is not final, or a payoff of its debt is under way",
    State.DUE: "to be asked for; nothing that was asked so far has had effect",
    State.UNKNOWN: "it may have taken effect; asked for again by its key, later and later",
    State.INITIATED: "it has begun, which is not done",
    State.FINAL: "the money is back, or off the debt",
    State.PARKED: "a person is asked",
    State.REFUSED: "no money went back; the instrument may give it again",
    State.DROPPED: "never sent: placed anew, or without anything to come from",
}
_EVIDENCE: Final = "evidence: an order row, the processor's word"
_NO: Final = "the processor says that it has failed"
MOVES: Final[Mapping[State, Mapping[State, str]]] = {
    State.WAITING: {
        State.DUE: "the capture is final",
        State.DROPPED: "placed anew: the capture was declined, or the debt is paid",
    },
    State.DUE: {
        State.DUE: "429, 403, or not reached: asked for later",
        State.WAITING: "the capture has become doubtful",
        State.DROPPED: "the capture turned out to be none",
        State.UNKNOWN: "no answer, 5xx, or a worker that is gone",
        State.INITIATED: "a yes",
        State.FINAL: _EVIDENCE,
        State.PARKED: "refused; or more than its capture took",
        State.REFUSED: _NO,
    },
    State.UNKNOWN: {
        State.UNKNOWN: "unknown again, or 429, 403, not reached",
        State.INITIATED: "a yes",
        State.FINAL: _EVIDENCE,
        State.PARKED: "refused, which settles only itself; or unknown for too long",
        State.REFUSED: _NO,
    },
    State.INITIATED: {
        State.FINAL: _EVIDENCE + ", or a store that trusts the answer",
        State.PARKED: "no evidence in time",
        State.REFUSED: _NO,
    },
    State.FINAL: {State.REFUSED: _NO + " after all"},
    State.PARKED: {
        State.DUE: "a person has it asked for again, and nothing of it can have had effect",
        State.UNKNOWN: "a person has it asked for again",
        State.INITIATED: "a yes that came late",
        State.FINAL: "a person says that the money is back; " + _EVIDENCE,
        State.REFUSED: "a person says that it is not",
    },
    State.REFUSED: {
        State.PARKED: "it was begun before it failed: a person is asked",
        State.INITIATED: "a yes that came late: an alert",
        State.FINAL: "the processor's word that came late",
    },
    State.DROPPED: {},
}
"""From each state: what may come next, and when. A move that is not here is a mistake of ours."""


def check(before: str, after: str) -> None:
    """Raises RuntimeError for a move that the table does not have: nothing of it is written."""
    if State(after) not in MOVES[State(before)]:
        raise RuntimeError(f"a refund that is {before} can't become {after}")


def table() -> str:
    """A Markdown table, as docs/refunds.md shows it: a row for each state."""
    lines = ["| state | what it means | next state: when |", "|---|---|---|"]
    for state in State:
        after = "<br>".join(f"→ {following}: {when}" for following, when in MOVES[state].items()) or "–"
        lines.append(f"| **{state}** | {MEANS[state]} | {after} |")
    return "\n".join(lines)
