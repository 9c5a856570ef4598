"""The fold: the same events make the same charge, however often and in whatever order they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.charges.states import FINAL, TRANSITIONS, ZERO, Cause, Event, Kind, Source, State, fold

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
TEN = Decimal("10.00")
BY_AMAZON = (Kind.CAPTURE_APPROVED, Kind.CAPTURE_DECLINED, Kind.CANCEL_CONFIRMED, Kind.EVIDENCE_DISAGREES)
BY_PERSON = (Kind.RESUMED, Kind.CANCEL_RESUMED, Kind.CAPTURE_RULED_OUT)


def opened(total: Decimal = TEN) -> Event:
    return Event(Kind.OPENED, NOON, Source.CONNECTOR, "trip", total)


def happened(kind: Kind, minute: float, amount: str | None = None, source: Source = Source.ATTEMPT) -> Event:
    return Event(
        kind, NOON + timedelta(minutes=minute), source, f"{kind}-{minute}", Decimal(amount) if amount else None
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    events = [opened()]
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from([kind for kind in Kind if kind is not Kind.OPENED]))
        source = Source.ATTEMPT
        if kind in BY_AMAZON:
            source = draw(st.sampled_from([Source.ORDER_ROW, Source.EVENT, Source.PERSON]))
        elif kind in BY_PERSON:
            source = Source.PERSON
        amount = draw(st.sampled_from(["4.00", "10.00"]))
        minute = draw(st.integers(0, 4))
        events.append(
            Event(kind, NOON + timedelta(minutes=minute), source, str(number), Decimal(amount), number=number)
        )
    return events


@given(histories(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_doubled_and_reordered_events_make_the_same_charge(
    history: list[Event],
    order: Random,
    times: int,
) -> None:
    shuffled = history * times
    order.shuffle(shuffled)
    assert fold(shuffled) == fold(history)


@given(histories())
def test_what_is_captured_begun_and_owed_never_exceeds_the_total(history: list[Event]) -> None:
    charge = fold(history)
    for amount in (charge.captured, charge.capture_initiated, charge.owed):
        assert ZERO <= amount <= charge.total
    assert charge.captured + charge.capture_initiated + charge.owed <= charge.total or charge.state is State.PARKED


@given(histories())
def test_a_final_charge_is_paid_owed_or_cancelled_to_the_cent(history: list[Event]) -> None:
    charge = fold(history)
    if charge.state is State.CAPTURED:
        assert charge.captured + charge.owed == charge.total
    if charge.state is State.IN_DEBT:
        assert (charge.captured, charge.owed) == (ZERO, charge.total)
    assert (charge.owed == 0) or charge.cause is not None


@pytest.mark.parametrize("kind", [Kind.RESUMED, Kind.CANCEL_RESUMED])
def test_to_go_on_asking_is_no_answer_to_evidence_against_evidence(kind: Kind) -> None:
    told_otherwise = [
        opened(),
        happened(Kind.ADJUST_APPROVED, 0, "4.00"),
        happened(Kind.CAPTURE_APPROVED, 1, "4.00", Source.EVENT),
        happened(Kind.CAPTURE_APPROVED, 2, "10.00", Source.ORDER_ROW),
    ]
    resumed = [*told_otherwise, happened(kind, 3, source=Source.PERSON)]
    assert fold(resumed) == fold(told_otherwise)
    assert fold(resumed).needs_person
    settled = fold([*resumed, happened(Kind.CAPTURE_APPROVED, 4, "10.00", Source.PERSON)])
    assert (settled.state, settled.captured, settled.owed) == (State.CAPTURED, TEN, ZERO)


def test_evidence_that_is_heard_before_the_answer_is_not_lost() -> None:
    """Amazon's clock may be behind ours: news of a capture is not older than our attempt."""
    events = [
        opened(),
        happened(Kind.ADJUST_APPROVED, 1, "10.00"),
        happened(Kind.CAPTURE_INITIATED, 2, "10.00"),
        happened(Kind.CAPTURE_APPROVED, -5, "10.00", Source.EVENT),
    ]
    assert fold(events).state is State.CAPTURED


def test_a_pending_answer_holds_nothing() -> None:
    assert fold([opened(), happened(Kind.ADJUST_PENDING, 1, "10.00")]).authorized == 0


@pytest.mark.parametrize(
    ("later", "state"),
    [
        (Kind.ADJUST_UNKNOWN, State.UNKNOWN_ADJUST),
        (Kind.ADJUST_PENDING, State.ADJUST_PENDING),
        (Kind.ADJUST_DECLINED, State.DUE),
    ],
)
def test_the_later_of_two_asks_counts_also_where_the_earlier_ones_yes_is_heard_after_it(
    later: Kind, state: State
) -> None:
    """A worker was frozen beyond its lease, and another asked again."""
    charge = fold([opened(), happened(later, 2), happened(Kind.ADJUST_APPROVED, 1, "10.00")])
    assert (charge.state, charge.authorized) == (state, ZERO)


def test_a_refusal_after_an_unknown_capture_leaves_it_unknown() -> None:
    events = [
        opened(),
        happened(Kind.ADJUST_APPROVED, 1, "10.00"),
        happened(Kind.CAPTURE_UNKNOWN, 2, "10.00"),
        happened(Kind.TOKEN_EXPIRED, 3),
    ]
    charge = fold(events)
    assert (charge.state, charge.owed) == (State.UNKNOWN_CAPTURE, 0)
    assert charge.state.kept_as == "UNKNOWN"


def test_an_unknown_capture_is_not_booked_as_begun() -> None:
    events = [opened(), happened(Kind.ADJUST_APPROVED, 1, "10.00"), happened(Kind.CAPTURE_UNKNOWN, 2, "10.00")]
    assert fold(events).capture_initiated == 0


def test_a_decline_after_an_approval_parks_and_only_a_person_ends_it() -> None:
    events = [
        opened(),
        happened(Kind.ADJUST_APPROVED, 1, "10.00"),
        happened(Kind.CAPTURE_INITIATED, 2, "10.00"),
        happened(Kind.CAPTURE_APPROVED, 3, "10.00", Source.EVENT),
        happened(Kind.CAPTURE_DECLINED, 4, None, Source.ORDER_ROW),
        happened(Kind.CAPTURE_APPROVED, 5, "10.00", Source.ORDER_ROW),
    ]
    assert (fold(events).state, fold(events).captured) == (State.PARKED, TEN)
    ruled = [*events, happened(Kind.CAPTURE_DECLINED, 6, None, Source.PERSON)]
    assert (fold(ruled).state, fold(ruled).owed, fold(ruled).cause) == (State.IN_DEBT, TEN, Cause.CAPTURE_DECLINED)


def test_a_person_who_lets_a_charge_go_on_gives_the_card_no_further_tries() -> None:
    declined = [happened(Kind.ADJUST_DECLINED, minute) for minute in (1, 2)]
    charge = fold([opened(), *declined, happened(Kind.PARKED, 3), happened(Kind.RESUMED, 4, None, Source.PERSON)])
    assert (charge.state, charge.declines) == (State.DUE, 2)


def test_a_charge_without_a_total_is_refused() -> None:
    with pytest.raises(ValueError, match="OPENED"):
        fold([happened(Kind.ADJUST_PENDING, 1)])


def test_a_charge_of_nothing_is_only_cancelled() -> None:
    assert fold([opened(ZERO)]).state is State.CANCEL_DUE
    assert fold([opened(ZERO), happened(Kind.TOKEN_EXPIRED, 1)]).state is State.CANCELLED


def test_the_table_names_every_state_and_every_state_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {State.DUE, State.CANCEL_DUE} | {to for row in TRANSITIONS.values() for to in row.values()}
    assert reached == set(State)


def test_no_state_but_a_final_one_is_without_a_way_out() -> None:
    assert all(TRANSITIONS[state] for state in State if state not in FINAL)
