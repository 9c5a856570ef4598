"""The life of a charge as data: states, events, and which leads where. docs/money.md draws this table.

A charge is an append-only list of events. `fold` puts them into their one order (when it happened, not when it was
heard) and walks the table, so that doubled, reordered and late events end in the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

ZERO: Final = Decimal(0)


class Operation(StrEnum):
    """What Amazon's payment service is asked to do."""

    ADJUST = "ADJUST"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"


class State(StrEnum):
    """Where a charge stands. The three UNKNOWN_… are kept as UNKNOWN in the charge's row."""

    DUE = "DUE"
    ADJUST_PENDING = "ADJUST_PENDING"
    UNKNOWN_ADJUST = "UNKNOWN_ADJUST"
    AUTHORIZED = "AUTHORIZED"
    UNKNOWN_CAPTURE = "UNKNOWN_CAPTURE"
    CAPTURE_INITIATED = "CAPTURE_INITIATED"
    CAPTURED = "CAPTURED"
    CANCEL_DUE = "CANCEL_DUE"
    UNKNOWN_CANCEL = "UNKNOWN_CANCEL"
    CANCELLED = "CANCELLED"
    IN_DEBT = "IN_DEBT"
    PARKED = "PARKED"

    @property
    def kept_as(self) -> str:
        """The word in `charge.state`."""
        return "UNKNOWN" if self.value.startswith("UNKNOWN_") else self.value


FINAL: Final = frozenset({State.CAPTURED, State.CANCELLED, State.IN_DEBT, State.PARKED})
UNKNOWN: Final = {
    State.UNKNOWN_ADJUST: Operation.ADJUST,
    State.UNKNOWN_CAPTURE: Operation.CAPTURE,
    State.UNKNOWN_CANCEL: Operation.CANCEL,
}


class Kind(StrEnum):
    """What can happen to a charge. In the order in which things of one instant are taken."""

    OPENED = "OPENED"
    ADJUST_UNKNOWN = "ADJUST_UNKNOWN"
    ADJUST_PENDING = "ADJUST_PENDING"
    ADJUST_DECLINED = "ADJUST_DECLINED"
    ADJUST_APPROVED = "ADJUST_APPROVED"
    DECLINES_EXHAUSTED = "DECLINES_EXHAUSTED"
    PREAUTHORIZATION_KEPT = "PREAUTHORIZATION_KEPT"
    CAPTURE_UNKNOWN = "CAPTURE_UNKNOWN"
    CAPTURE_INITIATED = "CAPTURE_INITIATED"
    CANCEL_UNKNOWN = "CANCEL_UNKNOWN"
    CANCEL_INITIATED = "CANCEL_INITIATED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - the payment token's end
    PARKED = "PARKED"
    CAPTURE_APPROVED = "CAPTURE_APPROVED"
    CAPTURE_DECLINED = "CAPTURE_DECLINED"
    CANCEL_CONFIRMED = "CANCEL_CONFIRMED"
    EVIDENCE_DISAGREES = "EVIDENCE_DISAGREES"
    CAPTURE_RULED_OUT = "CAPTURE_RULED_OUT"
    RESUMED = "RESUMED"
    CANCEL_RESUMED = "CANCEL_RESUMED"
    DEBT_OPENED = "DEBT_OPENED"
    DEBT_WITHDRAWN = "DEBT_WITHDRAWN"


class Source(StrEnum):
    """Who told us."""

    CONNECTOR = "CONNECTOR"
    ATTEMPT = "ATTEMPT"
    ORDER_ROW = "ORDER_ROW"
    EVENT = "EVENT"
    PERSON = "PERSON"
    CLOCK = "CLOCK"


class Cause(StrEnum):
    """Why a debt exists: these four and no other."""

    ADJUST_DECLINED = "ADJUST_DECLINED"
    PARTIAL_APPROVAL = "PARTIAL_APPROVAL"
    CAPTURE_DECLINED = "CAPTURE_DECLINED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - the payment token's end


_S, _K = State, Kind
_ASKING: Final = {
    _K.ADJUST_APPROVED: _S.AUTHORIZED,
    _K.ADJUST_PENDING: _S.ADJUST_PENDING,
    _K.ADJUST_DECLINED: _S.DUE,
    _K.ADJUST_UNKNOWN: _S.UNKNOWN_ADJUST,
    _K.DECLINES_EXHAUSTED: _S.CANCEL_DUE,
    _K.PREAUTHORIZATION_KEPT: _S.AUTHORIZED,
    _K.TOKEN_EXPIRED: _S.IN_DEBT,
    _K.PARKED: _S.PARKED,
    _K.EVIDENCE_DISAGREES: _S.PARKED,
}
_EVIDENCE: Final = {
    _K.CAPTURE_APPROVED: _S.CAPTURED,
    _K.CAPTURE_DECLINED: _S.IN_DEBT,
    _K.CAPTURE_RULED_OUT: _S.AUTHORIZED,
    _K.PARKED: _S.PARKED,
    _K.EVIDENCE_DISAGREES: _S.PARKED,
}
_CANCELLING: Final = {
    _K.CANCEL_UNKNOWN: _S.UNKNOWN_CANCEL,
    _K.CANCEL_INITIATED: _S.CANCELLED,
    _K.CANCEL_CONFIRMED: _S.CANCELLED,
    _K.TOKEN_EXPIRED: _S.CANCELLED,
    _K.PARKED: _S.PARKED,
    _K.CAPTURE_APPROVED: _S.PARKED,
    _K.EVIDENCE_DISAGREES: _S.PARKED,
}

# An event that a state does not name leaves it as it is. Two rules stand beside the table:
# - evidence against evidence, or against what we asked for, parks; only a person's word leaves that PARKED again
#   (CAPTURED told again over another amount, or by a second approval of its own, is such; see `_told_otherwise`),
#   and only a word about what is true: to go on asking is no answer to a contradiction;
# - CANCELLED while the total is owed is IN_DEBT.
TRANSITIONS: Final[dict[State, dict[Kind, State]]] = {
    _S.DUE: _ASKING,
    _S.ADJUST_PENDING: _ASKING,
    _S.UNKNOWN_ADJUST: _ASKING,
    _S.AUTHORIZED: {
        # an earlier ask's yes that is heard after a later ask was made: the later one sets what is held
        _K.ADJUST_UNKNOWN: _S.UNKNOWN_ADJUST,
        _K.ADJUST_PENDING: _S.ADJUST_PENDING,
        _K.ADJUST_DECLINED: _S.DUE,
        _K.CAPTURE_UNKNOWN: _S.UNKNOWN_CAPTURE,
        _K.CAPTURE_INITIATED: _S.CAPTURE_INITIATED,
        _K.TOKEN_EXPIRED: _S.IN_DEBT,
        **{kind: state for kind, state in _EVIDENCE.items() if kind is not _K.CAPTURE_RULED_OUT},
    },
    # no TOKEN_EXPIRED here: a refusal that follows an unknown attempt leaves it unknown
    _S.UNKNOWN_CAPTURE: {_K.CAPTURE_INITIATED: _S.CAPTURE_INITIATED, **_EVIDENCE},
    _S.CAPTURE_INITIATED: _EVIDENCE,
    _S.CAPTURED: {_K.CAPTURE_APPROVED: _S.CAPTURED, _K.CAPTURE_DECLINED: _S.PARKED, _K.EVIDENCE_DISAGREES: _S.PARKED},
    _S.CANCEL_DUE: _CANCELLING,
    _S.UNKNOWN_CANCEL: _CANCELLING,
    _S.CANCELLED: {_K.CAPTURE_APPROVED: _S.PARKED, _K.EVIDENCE_DISAGREES: _S.PARKED},
    _S.IN_DEBT: {_K.CAPTURE_APPROVED: _S.PARKED, _K.EVIDENCE_DISAGREES: _S.PARKED},
    _S.PARKED: {
        _K.CAPTURE_APPROVED: _S.CAPTURED,
        _K.CAPTURE_DECLINED: _S.IN_DEBT,
        _K.CAPTURE_RULED_OUT: _S.AUTHORIZED,
        _K.CANCEL_CONFIRMED: _S.CANCELLED,
        _K.RESUMED: _S.DUE,
        _K.CANCEL_RESUMED: _S.CANCEL_DUE,
        _K.EVIDENCE_DISAGREES: _S.PARKED,
    },
}

CONTRADICTIONS: Final = frozenset(
    {(_S.CAPTURED, _K.CAPTURE_DECLINED)}
    | {(state, _K.CAPTURE_APPROVED) for state in (_S.IN_DEBT, _S.CANCELLED, _S.CANCEL_DUE, _S.UNKNOWN_CANCEL)}
    | {(state, _K.EVIDENCE_DISAGREES) for state in State}
)


@dataclass(frozen=True)
class Event:
    """One row of `charge_event`, as the fold reads it. Amounts are in the charge's currency."""

    kind: Kind
    happened_at: datetime
    source: Source
    source_id: str
    amount: Decimal | None = None
    number: int = 0  # of the attempt that it tells of


@dataclass(frozen=True)
class ChargeState:
    """What the events add up to. Amounts are in the charge's currency."""

    state: State
    total: Decimal
    authorized: Decimal = ZERO
    capture_asked: Decimal = ZERO  # of the last capture attempt
    capture_asked_at: datetime | None = None
    capture_initiated: Decimal = ZERO  # begun, not yet final
    captured: Decimal = ZERO  # final, by evidence
    owed: Decimal = ZERO  # what is a debt
    cause: Cause | None = None
    debt_opened: Decimal = ZERO  # of `owed`, what DEBT_OPENED and DEBT_WITHDRAWN have told already
    declines: int = 0
    unsettled_asks: int = 0  # PENDING and unknown answers in a row: the exponent of the backoff
    needs_person: bool = False
    approval: str = field(default="", compare=False)  # the event of Amazon's that told of the capture, if one did

    @property
    def unknown(self) -> Operation | None:
        """The operation whose outcome is unknown."""
        return UNKNOWN.get(self.state)

    @property
    def final(self) -> bool:
        """Whether nothing is left to do without news from outside."""
        return self.state in FINAL


def fold(events: Iterable[Event]) -> ChargeState:
    """The state that these events make, in whatever order and however often they come.

    Raises ValueError where the OPENED event, which carries the total, is missing.
    """
    ordered = in_order(events)
    if not ordered or ordered[0].kind is not Kind.OPENED or ordered[0].amount is None:
        raise ValueError("a charge begins with one OPENED event that carries its total")
    total = ordered[0].amount
    charge = ChargeState(State.DUE if total > 0 else State.CANCEL_DUE, total)
    for event in ordered[1:]:
        charge = step(charge, event)
    if charge.state is State.CANCELLED and charge.owed > 0:
        return replace(charge, state=State.IN_DEBT)
    return charge


def in_order(events: Iterable[Event]) -> list[Event]:
    """Each event once, in the order in which they happened.

    Amazon's clock is not ours: news of a capture is never taken as older than our first attempt to capture.
    """
    once = {(event.kind, event.source, event.source_id): event for event in sorted(events, key=_arrival_free)}
    attempts = [
        event.happened_at
        for event in once.values()
        if event.kind in (Kind.CAPTURE_UNKNOWN, Kind.CAPTURE_INITIATED) and event.source is Source.ATTEMPT
    ]

    def position(event: Event) -> tuple[bool, datetime, int, int, str, str]:
        told_by_amazon = event.source in (Source.ORDER_ROW, Source.EVENT)
        at = max(event.happened_at, min(attempts)) if told_by_amazon and attempts else event.happened_at
        return (event.kind is not Kind.OPENED, at, _RANK[event.kind], event.number, event.source, event.source_id)

    return sorted(once.values(), key=position)


def step(charge: ChargeState, event: Event) -> ChargeState:
    """The state after one more event, by the table; amounts move only where the table lets the event in."""
    if event.kind is Kind.DEBT_OPENED:
        return replace(charge, debt_opened=charge.debt_opened + (event.amount or ZERO))
    if event.kind is Kind.DEBT_WITHDRAWN:
        return replace(charge, debt_opened=charge.debt_opened - (event.amount or ZERO))
    following = TRANSITIONS[charge.state].get(event.kind)
    if following is None or (charge.needs_person and not _settles(event)):
        return charge
    contradiction = event.source is not Source.PERSON and (charge.state, event.kind) in CONTRADICTIONS
    if contradiction or _told_otherwise(charge, event):
        return replace(charge, state=State.PARKED, needs_person=True)
    changes = _amounts(charge, event)
    if event.source is Source.PERSON:
        changes["needs_person"] = False
        following = _BY_PERSON.get(event.kind, following)
    return _changed(charge, {**changes, "state": following})


def _settles(event: Event) -> bool:
    """Whether it is a person's word about what is true."""
    return event.source is Source.PERSON and event.kind not in (Kind.RESUMED, Kind.CANCEL_RESUMED)


def _changed(charge: ChargeState, changes: Mapping[str, Any]) -> ChargeState:
    """As `replace`, without its look at every field: a fold makes such a copy at each event."""
    copy = object.__new__(ChargeState)
    copy.__dict__.update(charge.__dict__, **changes)
    return copy


def _told_otherwise(charge: ChargeState, event: Event) -> bool:
    """Whether news of a capture that is final speaks of another one.

    The same capture is told by an event and by each order row since; two approvals with ids of their own are two.
    """
    if charge.state is not State.CAPTURED or event.kind is not Kind.CAPTURE_APPROVED:
        return False
    second = event.source is Source.EVENT and charge.approval not in ("", event.source_id)
    return second or event.amount != charge.captured


_BY_PERSON: Final = {Kind.CAPTURE_APPROVED: State.CAPTURED, Kind.CAPTURE_DECLINED: State.IN_DEBT}
_RANK: Final = {kind: rank for rank, kind in enumerate(Kind)}


def _arrival_free(event: Event) -> tuple[datetime, str, str]:
    return (event.happened_at, str(event.amount), str(event.number))


def _amounts(charge: ChargeState, event: Event) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    """What of the charge changes with the event, but for its state."""
    amount = event.amount if event.amount is not None else ZERO
    cancelling = charge.state in (State.CANCEL_DUE, State.UNKNOWN_CANCEL)
    match event.kind:
        case Kind.ADJUST_APPROVED:
            return {"authorized": amount, "unsettled_asks": 0}
        case Kind.PREAUTHORIZATION_KEPT:
            return {"authorized": amount, "cause": Cause.ADJUST_DECLINED, "unsettled_asks": 0}
        case Kind.ADJUST_DECLINED:
            return {"authorized": ZERO, "declines": charge.declines + 1, "unsettled_asks": 0}
        case Kind.ADJUST_PENDING | Kind.ADJUST_UNKNOWN:
            return {"authorized": ZERO, "unsettled_asks": charge.unsettled_asks + 1}
        case Kind.CANCEL_UNKNOWN:
            return {"unsettled_asks": charge.unsettled_asks + 1}
        case Kind.DECLINES_EXHAUSTED:
            return {"owed": charge.total, "cause": Cause.ADJUST_DECLINED, "unsettled_asks": 0}
        case Kind.TOKEN_EXPIRED if not cancelling:
            return {"owed": charge.total, "cause": Cause.TOKEN_EXPIRED}
        case Kind.CAPTURE_UNKNOWN:
            return {"capture_asked": amount, "capture_asked_at": event.happened_at}
        case Kind.CAPTURE_INITIATED:
            asked = {"capture_asked": amount, "capture_asked_at": event.happened_at, "capture_initiated": amount}
            return asked | _owing_the_rest(charge, amount)
        case Kind.CAPTURE_APPROVED:
            approval = event.source_id if event.source is Source.EVENT else charge.approval
            taken = {"captured": amount, "capture_initiated": ZERO, "approval": approval}
            return taken | _owing_the_rest(charge, amount)
        case Kind.CAPTURE_DECLINED:
            nothing = {"captured": ZERO, "capture_initiated": ZERO}
            return nothing | {"owed": charge.total, "cause": Cause.CAPTURE_DECLINED}
        case Kind.CAPTURE_RULED_OUT:
            return {"captured": ZERO, "capture_initiated": ZERO, "owed": ZERO}
    return {}


def _owing_the_rest(charge: ChargeState, paid: Decimal) -> dict[str, Any]:
    rest = max(charge.total - paid, ZERO)
    if rest == 0:
        return {"owed": ZERO, "cause": None}
    kept = Cause.ADJUST_DECLINED if charge.cause is Cause.ADJUST_DECLINED else Cause.PARTIAL_APPROVAL
    return {"owed": rest, "cause": kept}
