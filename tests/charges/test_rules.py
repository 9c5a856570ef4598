"""What is due next and when: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backroom.charges.rules import LONGEST_BACKOFF, Action, ChargeRules, ParkedFor, backoff, due_at, next_step
from backroom.charges.states import ChargeState, State
from backroom.settings import Settings

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
EXPIRY = NOON + timedelta(hours=46)
RULES = ChargeRules(3, timedelta(minutes=30), timedelta(hours=3), timedelta(hours=6))
TEN = Decimal(10)


def jitter(seed: int | str) -> Random:
    return Random(seed)


def charge(state: State, **values: object) -> ChargeState:
    return ChargeState(state, TEN, **values)  # type: ignore[arg-type]


def _captured_at(state: State, hour: int) -> ChargeState:
    return charge(state, capture_asked_at=NOON + timedelta(hours=hour))


@pytest.mark.parametrize(
    ("one", "hour", "action"),
    [
        (charge(State.DUE), 0, Action.ADJUST),
        (charge(State.DUE, declines=2), 1, Action.ADJUST),
        (charge(State.DUE, declines=3), 1, Action.GIVE_UP),
        (charge(State.ADJUST_PENDING), 39, Action.ADJUST),
        (charge(State.ADJUST_PENDING), 40, Action.PARK),
        (charge(State.UNKNOWN_ADJUST), 45, Action.PARK),
        (charge(State.UNKNOWN_ADJUST), 47, Action.ADJUST),  # Amazon's answer: expired
        (charge(State.AUTHORIZED, authorized=TEN), 0, Action.CAPTURE),
        (charge(State.UNKNOWN_CAPTURE, capture_asked_at=NOON), 2, Action.WAIT),
        (charge(State.UNKNOWN_CAPTURE, capture_asked_at=NOON), 3, Action.PARK),
        (charge(State.CAPTURE_INITIATED, capture_asked_at=NOON), 3, Action.PARK),
        (_captured_at(State.UNKNOWN_CAPTURE, 38), 39, Action.WAIT),
        (_captured_at(State.UNKNOWN_CAPTURE, 38), 40, Action.PARK),  # a person has six hours to ask again
        (_captured_at(State.UNKNOWN_CAPTURE, 41), 43, Action.WAIT),
        (_captured_at(State.UNKNOWN_CAPTURE, 41), 44, Action.PARK),
        (_captured_at(State.CAPTURE_INITIATED, 38), 40, Action.WAIT),
        (_captured_at(State.CAPTURE_INITIATED, 38), 41, Action.PARK),
        (charge(State.CANCEL_DUE), 0, Action.CANCEL),
        (charge(State.UNKNOWN_CANCEL), 50, Action.CANCEL),
        (charge(State.UNKNOWN_CANCEL), 52, Action.PARK),
        (charge(State.CAPTURED), 0, Action.WAIT),
        (charge(State.PARKED), 0, Action.WAIT),
    ],
)
def test_each_state_has_its_next_step(one: ChargeState, hour: int, action: Action) -> None:
    assert next_step(one, now=NOON + timedelta(hours=hour), expires_at=EXPIRY, rules=RULES).action is action


def test_while_a_captures_outcome_is_open_no_call_is_made() -> None:
    for hour in range(60):
        for state in (State.UNKNOWN_CAPTURE, State.CAPTURE_INITIATED):
            step = next_step(
                charge(state, capture_asked_at=NOON), now=NOON + timedelta(hours=hour), expires_at=EXPIRY, rules=RULES
            )
            assert step.action.operation is None


def test_what_is_held_is_captured_but_never_more_than_the_total() -> None:
    for held, captured in ((TEN, TEN), (Decimal(4), Decimal(4)), (Decimal(75), TEN)):
        step = next_step(charge(State.AUTHORIZED, authorized=held), now=NOON, expires_at=EXPIRY, rules=RULES)
        assert step.amount == captured


def test_an_undecided_authorization_names_its_question() -> None:
    step = next_step(charge(State.ADJUST_PENDING), now=EXPIRY - timedelta(hours=1), expires_at=EXPIRY, rules=RULES)
    assert step.why is ParkedFor.UNDECIDED_AUTHORIZATION


@given(st.integers(0, 60), st.integers())
def test_a_backoff_is_positive_and_ends_at_an_hour(asks: int, seed: int) -> None:
    assert timedelta(0) < backoff(asks, jitter(seed)) <= LONGEST_BACKOFF + timedelta(seconds=1)


@given(st.sampled_from(State), st.integers(0, 4), st.integers(0, 20), st.integers(0, 60), st.integers())
def test_the_next_date_is_never_in_the_past_unless_something_is_due_at_once(
    state: State, declines: int, asks: int, hour: int, seed: int
) -> None:
    now = NOON + timedelta(hours=hour)
    one = charge(state, declines=declines, unsettled_asks=asks, capture_asked_at=now, authorized=TEN)
    due = due_at(one, now=now, expires_at=EXPIRY, rules=RULES, chance=jitter(seed))
    if one.final:
        assert due is None
    else:
        assert due is not None
        assert due >= now


def test_the_same_trip_waits_the_same_time_in_every_run() -> None:
    one = charge(State.ADJUST_PENDING, unsettled_asks=2)
    dates = {due_at(one, now=NOON, expires_at=EXPIRY, rules=RULES, chance=jitter("trip-1/2")) for _ in range(3)}
    assert len(dates) == 1


def test_a_lease_that_could_end_under_a_call_is_refused() -> None:
    with pytest.raises(ValidationError, match="CHARGE_LEASE_SECONDS"):
        Settings(charge_lease_seconds=30, amazon_timeout_seconds=10)
