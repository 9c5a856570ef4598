"""A day that is played end to end, with a break of every kind: all are found, and its month closes to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.reconciliation.played import closing, scene
from tests.reconciliation.played.player import Month
from tests.reconciliation.played.world import EAST, OWN
from tests.sandbox_fixtures import SandboxClient

DAY = date(2026, 3, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("played")


@pytest.fixture(scope="module")
def month(database: Engine, sandbox: SandboxClient, module_patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Month]:
    given: dict[str, Any] = {"first": DAY, "last": DAY, "stores": (EAST, OWN), "plain": 1}
    with scene.played(database, sandbox, folder, module_patch, **given) as made:
        yield made


def test_every_planted_break_is_found_and_rightly_named_and_nothing_else_is(
    month: Month, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closing.every_planted_break_is_found(month, folder, capsys)


def test_the_month_closes_and_its_totals_are_those_of_the_sandboxs_books(
    month: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    closing.the_month_closes_and_its_totals_are_the_sandboxs(month, capsys)
    assert not {"MISSING_CHARGE", "LEDGER"} & closing.breaks_left(month)
