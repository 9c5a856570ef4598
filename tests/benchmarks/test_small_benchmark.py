"""The benchmark runs, in small; its figures depend on the machine and are not judged here."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.benchmarks import charges, connector, feeds, reconciliation
from tests.benchmarks.goals import Goal


def test_a_small_benchmark_measures_every_goal_and_names_its_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[Goal] = []
    written = io.StringIO()
    console = Console(file=written, width=200)
    measure = connector.measure

    def small(*, seconds: float, rounds: int, console: Console) -> list[Goal]:
        found.extend(measure(seconds=seconds, rounds=rounds, sizes=(1, 10), console=console))
        return found

    monkeypatch.setattr(connector, "measure", small)
    monkeypatch.setattr(connector, "Console", lambda: console)
    with pytest.raises(SystemExit) as ended:
        connector.main(seconds=0.5, rounds=1)
    assert ended.value.code == (0 if all(goal.kept for goal in found) else 1)
    names = " ".join(goal.name for goal in found)
    for figure in (
        "purchases of 8 lines",
        "gate calls",
        "p99",
        "slowest",
        "one id by",
        "a cart of 10 lines ÷ one of 1",
    ):
        assert figure in names
    assert all(goal.value > 0 for goal in found)
    table = written.getvalue()
    assert "reference: a Flask handler with one committed INSERT" in table
    assert all(goal.name in table for goal in found)
    assert "÷ reference" in table


def test_a_small_benchmark_of_charges_works_every_trip_and_names_its_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(charges, "Console", lambda: Console(file=written, width=200))
    with pytest.raises(SystemExit):
        charges.main(few=4, rounds=1)
    table = written.getvalue()
    figures = ("40 trips, adjust and capture", "ceiling", "two workers", "time per trip of 40 ÷ of 4", "memory")
    for figure in figures:
        assert figure in table
    assert "the same calls to the same sandbox" in table


@pytest.mark.proof
def test_a_small_day_is_reconciled_again_and_at_twice_the_size_and_every_outcome_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(reconciliation, "Console", lambda: Console(file=written, width=200))
    with pytest.raises(SystemExit):
        reconciliation.main(trips=400)
    said = written.getvalue()
    for figure in (
        "400 trips, 1,600 lines reconciled and reported",
        "twice the data",
        "nothing new",
        "reference: one join",
    ):
        assert figure in said


@pytest.mark.proof
def test_a_small_benchmark_of_files_brings_in_every_line_and_names_its_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(feeds, "Console", lambda: Console(file=written, width=200))
    with pytest.raises(SystemExit):
        feeds.main(lines=2_000, windows=3, big=2, small=0.2, by_dlt=0)
    table = written.getvalue()
    for figure in ("lines of 3 files ÷ reference", "announced again", "peak memory, a file of 2 MB"):
        assert figure in table
    assert "bare COPY into an unlogged table, one INSERT" in table
