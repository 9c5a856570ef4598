"""A whole month, March with its clock changes, played at three stores of as many zones: found, named, closed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.reconciliation.played import closing, scene
from tests.reconciliation.played.world import EAST, NEW, OWN
from tests.sandbox_fixtures import SandboxClient


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_played_month_is_found_whole_and_closes_with_the_totals_of_the_sandboxs_books(
    database: Engine,
    sandbox: SandboxClient,
    module_patch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with scene.played(
        database, sandbox, tmp_path, module_patch, first=date(2026, 3, 1), last=date(2026, 3, 31),
        stores=(EAST, OWN, NEW), plain=2, opens={NEW: date(2026, 3, 27)},
    ) as month:  # fmt: skip
        assert month.played["delivered"] == len(month.world.trips) > 31 * 4 + 31 * 2 + 5 * 6
        closing.every_planted_break_is_found(month, tmp_path, capsys)
        closing.the_month_closes_and_its_totals_are_the_sandboxs(month, capsys)
        closing.every_day_is_the_stores_own(month)
