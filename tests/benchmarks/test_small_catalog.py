"""The benchmark of the catalog runs, in small; its figures depend on the machine and are not judged here."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.benchmarks import catalog


@pytest.mark.proof
def test_a_small_benchmark_of_the_catalog_measures_every_goal_and_names_its_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(catalog, "Console", lambda: Console(file=written, width=200))
    with pytest.raises(SystemExit):
        catalog.main(items=2_000)
    table = written.getvalue()
    for figure in (
        "2,000 rows of a source read",
        "bare reading",
        "difference of 2,000 items",
        "÷ reference",
        "memory",
        "uploads a second of 2",
        "sliding second",
    ):
        assert figure in table
    assert "reference: csv.reader over the same files; one full join of the same rows" in table
