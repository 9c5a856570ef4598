"""Small simulations of several seeds, under both readings of a repeated capture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.simulation.running import Run, simulate

SEEDS = {11: "double"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Run]:
    """All of them, side by side: most of a simulation's time is waiting for time-outs."""

    def run(seed: int) -> Run:
        home: Path = tmp_path_factory.mktemp(f"seed-{seed}")
        size = ("--trips", "120", "--faults", "0.25", "--kills", "5")
        return simulate(home, "--seed", str(seed), *size, "--capture-repeat", SEEDS[seed])

    with ThreadPoolExecutor(len(SEEDS)) as side_by_side:
        return dict(zip(SEEDS, side_by_side.map(run, SEEDS), strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_breached(runs: dict[int, Run], seed: int) -> None:
    assert runs[seed].all_breaches == []
    assert runs[seed].exit_code == 0


def test_the_simulations_were_no_walk_in_the_park(runs: dict[int, Run]) -> None:
    for run in runs.values():
        figures = run.said["figures"]
        assert sum(count for name, count in figures["accidents"].items() if name.startswith("killed")) == 5
        assert figures["states"]["CAPTURED"] > 60
        assert figures["states"]["IN_DEBT"] > 0
        assert len(figures["faults"]) > 10
        assert figures["looks"] > 5
    assert any(run.said["figures"]["accidents"].get("killed between effect and record") for run in runs.values())
