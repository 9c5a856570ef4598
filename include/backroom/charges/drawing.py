"""The table of states as docs/money.md shows it: drawn from the one that the fold walks."""

from __future__ import annotations

from backroom.charges.states import CONTRADICTIONS, FINAL, TRANSITIONS, Kind, State


def table() -> str:
    """A Markdown table: a row for each state, with every event that moves it."""
    lines = ["| state | event → next state |", "|---|---|"]
    for state in State:
        moves = TRANSITIONS[state]
        cells = [f"{kind} → {_name(moves[kind])}{_mark(state, kind)}" for kind in Kind if kind in moves]
        lines.append(f"| **{_name(state)}**{' (final)' if state in FINAL else ''} | {'<br>'.join(cells)} |")
    return "\n".join(lines)


def _name(state: State) -> str:
    if state.kept_as == state.value:
        return state.value
    return f"UNKNOWN ({state.value.removeprefix('UNKNOWN_').lower()})"


def _mark(state: State, kind: Kind) -> str:
    return " ⚑" if (state, kind) in CONTRADICTIONS else ""
