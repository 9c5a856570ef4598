"""Faults depend on seed, trip, operation and attempt, and on nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from jwo_sandbox.faults import make_plan

TRIPS = {f"trip-{number}": number % 100 != 0 for number in range(1200)}


def drawn(asked: Any, operation: str, seed: int = 7, attempt: int = 1) -> dict[str, str]:
    plan = make_plan(asked, seed, TRIPS)
    charged = [trip for trip, has_cart in TRIPS.items() if has_cart == (operation != "cancel")]
    found = {trip: plan.fault(trip, operation, attempt) for trip in charged}
    return {trip: kind for trip, kind in found.items() if kind}


def test_no_plan_has_no_faults() -> None:
    assert drawn("none", "adjust") == {}


def test_the_demos_rates_are_counts_over_the_known_trips() -> None:
    adjust = Counter(drawn("demo", "adjust").values())
    assert adjust["DECLINED"] + adjust["DECLINED_ONCE"] == 36
    assert (adjust["PENDING"], adjust["PENDING_FOREVER"]) == (24, 2)
    assert adjust["DROPPED_AFTER"] + adjust["HANGS_AFTER"] == 12
    capture = Counter(drawn("demo", "capture").values())
    assert (capture["SERVER_ERROR"], capture["THROTTLED"]) == (1, 12)
    assert capture["DROPPED_AFTER"] + capture["HANGS_AFTER"] == 12
    assert Counter(drawn("demo", "settlement").values()) == {"DECLINED": 12}
    assert Counter(drawn("demo", "cancel").values()) == {"THROTTLED": 1, "SERVER_ERROR": 1}


def test_the_order_in_which_trips_are_known_or_asked_does_not_matter() -> None:
    plan = make_plan("demo", 7, dict(reversed(TRIPS.items())))
    found = {trip: plan.fault(trip, "adjust", 1) for trip in reversed(TRIPS) if TRIPS[trip]}
    assert {trip: kind for trip, kind in found.items() if kind} == drawn("demo", "adjust")


def test_another_seed_draws_other_trips() -> None:
    assert drawn("demo", "adjust", seed=8) != drawn("demo", "adjust")


def test_only_declines_befall_every_attempt() -> None:
    assert set(drawn("demo", "adjust", attempt=2).values()) == {"DECLINED"}


def test_a_trip_that_comes_later_is_judged_by_its_hash() -> None:
    plan = make_plan({"rates": {"adjust": {"DECLINED": 0.5}}}, 7, TRIPS)
    later = [plan.fault(f"live-{number}", "adjust", 1) for number in range(400)]
    assert 150 < later.count("DECLINED") < 250


def test_a_trip_can_be_given_faults_attempt_by_attempt() -> None:
    plan = make_plan({"trips": {"t": {"capture": ["THROTTLED", "", "DROPPED_AFTER"]}}}, 7)
    assert [plan.fault("t", "capture", n) for n in range(1, 5)] == ["THROTTLED", None, "DROPPED_AFTER", None]


@pytest.mark.parametrize(
    "wrong",
    [
        "chaos",
        3,
        {"rate": {}},
        {"rates": {"adjust": {"SLOW": 1}}},
        {"rates": {"dance": {}}},
        {"trips": {"t": {"x": []}}},
    ],
)
def test_a_plan_that_is_not_understood_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="faults"):
        make_plan(wrong, 7)
