"""Each mistake turns the simulation red; without it the same simulation is green."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TypeGuard

import pytest

from tests.simulation import mutants
from tests.simulation.running import Run, simulate

SOUND = ""
# what the check that must find it says of it
MUTANTS = {
    mutants.lease_dropped: "after a capture was initiated",
    mutants.lost_lease_taken_as_not_sent: "after a capture was initiated",
    mutants.pending_amount_trusted: "capture while an adjustment is pending",
    mutants.answer_taken_as_captured: "counted as captured",
    mutants.refusal_after_unknown_taken_as_refusal: "capture",
    mutants.capture_repeated_blindly: "after a capture was initiated",
    mutants.new_refund_key_on_retry: "refunded",
    mutants.refund_reported_as_unsettled: "reported as owed",
}
NAMES = {mutant.__name__: words for mutant, words in MUTANTS.items()}
# made by every run of the tests; the others by `make proofs`
ALWAYS = ("lost_lease_taken_as_not_sent", "pending_amount_trusted")
SCENARIO = ("--seed", "21", "--trips", "50", "--faults", "0.5", "--kills", "6")


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The same simulation, sound and with each mistake that is asked for, side by side."""

    def run(name: str) -> Run:
        home = homes[name]
        return simulate(home, *SCENARIO, plugin=f"tests.simulation.mutants:{name}" if name else None)

    chosen = {item.callspec.params["name"] for item in request.session.items if _is_about_a_mistake(item)}
    sound = {SOUND for item in request.session.items if item.name == "test_without_a_mistake_nothing_is_found"}
    names = sorted(sound | chosen)
    homes = {name: tmp_path_factory.mktemp(name or "sound") for name in names}  # by one thread: it makes its own folder
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as side_by_side:
        return dict(zip(names, side_by_side.map(run, names), strict=True))


def _is_about_a_mistake(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and item.originalname == "test_the_mistake_is_found"


@pytest.mark.proof  # in every run of the tests, test_seeds.py shows that nothing is found without a mistake
def test_without_a_mistake_nothing_is_found(runs: dict[str, Run]) -> None:
    assert runs[SOUND].all_breaches == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.proof) for name in NAMES]
)
def test_the_mistake_is_found(runs: dict[str, Run], name: str) -> None:
    assert runs[name].exit_code == 1
    assert [breach for breach in runs[name].all_breaches if NAMES[name] in breach], runs[name].all_breaches[:5]
