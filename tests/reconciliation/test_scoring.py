"""Planted breaks against those that were found."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from backroom.errors import BackroomError
from backroom.reconciliation.scoring import Named, read_truth, score
from tests.reconciliation.conftest import DAY

TAX = Named("S", DAY, "T1", 2, "TAX", Decimal("0.01"))
LATE = Named("S", DAY, "T2", 0, "MISSING_ORDER")


def test_what_agrees_is_found_and_nothing_else_is_said() -> None:
    judged = score([TAX, LATE], [LATE, TAX])
    assert (judged.found, judged.is_perfect) == ((TAX, LATE), True)


@pytest.mark.parametrize("other", [replace(TAX, kind="PRICE"), replace(TAX, line_number=1), replace(TAX, amount=None)])
def test_another_name_line_or_amount_is_misnamed(other: Named) -> None:
    judged = score([TAX], [other])
    assert (judged.found, judged.misnamed, judged.missed, judged.invented) == ((), ((TAX, other),), (), ())


def test_an_amount_that_was_not_planted_is_not_compared() -> None:
    assert score([replace(TAX, amount=None)], [TAX]).is_perfect


def test_what_is_not_there_is_missed_or_invented_and_one_find_serves_one_planted_break() -> None:
    judged = score([TAX, LATE], [LATE, LATE])
    assert (judged.found, judged.missed, judged.invented) == ((LATE,), (TAX,), (LATE,))


def test_a_truth_file_is_read_line_by_line_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    row = {"kind": "TAX", "trip": "T1", "line": 2, "store": "S", "day": "2026-03-02", "amount": "0.01"}
    path.write_text(json.dumps(row) + "\n\n")
    assert read_truth(path) == [TAX]
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"kind": "OOPS"}))
    with pytest.raises(BackroomError, match="line 2: there is no kind OOPS"):
        read_truth(path)
    path.write_text('{"kind": "TAX"}')
    with pytest.raises(BackroomError, match="line 1"):
        read_truth(path)
    with pytest.raises(BackroomError, match="can't be read"):
        read_truth(tmp_path / "none")
