"""A played month is scored and closed: what a person of finance does, by the commands that they have."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from backroom.cli import main
from backroom.reconciliation import months
from backroom.reconciliation.pages import StoreDay
from jwo_sandbox import planting
from tests.reconciliation.played import scene
from tests.reconciliation.played.books import as_in_the_ledger, ledger, ours, theirs
from tests.reconciliation.played.player import WHO, Month
from tests.reconciliation.played.world import kinds_of

EVERY_KIND = planting.KINDS | planting.AS_IT_IS | planting.IN_EVENTS | planting.IN_PAYOUTS | planting.RETAILERS


def run(*arguments: str) -> int:
    """`backroom reconcile …`; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["reconcile", *arguments])
    return int(ended.value.code or 0)


def every_planted_break_is_found(month: Month, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By `score` over the sandbox's truth file: each kind at each store that can have it, and nothing else."""
    truth = folder / "truth.jsonl"
    kinds = scene.write_truth(month, truth)
    wanted = [kind for store in month.world.stores for kind in kinds_of(store)]
    assert kinds == sorted(wanted)
    assert set(kinds) == EVERY_KIND
    capsys.readouterr()
    code = run("score", "--truth", str(truth), "--json")
    said = json.loads(capsys.readouterr().out)
    assert {name: said[name] for name in ("misnamed", "missed", "invented")} == {
        "misnamed": [], "missed": [], "invented": [],
    }  # fmt: skip
    assert (code, len(said["found"])) == (0, len(wanted))


def the_month_closes_and_its_totals_are_the_sandboxs(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    """Not before our own mistakes are mended; then with the breaks that stay, and every figure ties."""
    first = month.world.first
    closing = (
        "close-month", "--all-stores", "--month", f"{first:%Y-%m}", "--with-breaks", "--by", WHO, "--reason", "seen",
    )  # fmt: skip
    assert run(*closing, "--now", month.now.isoformat()) == 2
    assert "these do not tie: " in capsys.readouterr().err
    month.charge_what_was_forgotten()
    for trip in month.world.with_fate("LEDGER"):
        scene.post_wrongly(month, trip, "-1.00")
    for _ in range(3):
        month.now += timedelta(hours=7)
        month.work(reconciles=False)
    month.reconcile_all()
    code = run(*closing, "--now", month.now.isoformat())
    assert code == 0, capsys.readouterr().err
    for store_id in month.world.stores:
        period = _closed(month, store_id)
        expected = theirs(month, store_id)
        assert ours(period) == {name: expected[name] for name in expected if name != "charged_late"}, store_id
        assert ledger(period) == as_in_the_ledger(expected), store_id
        # what differs from Amazon's orders and a processor's payouts is told by breaks
        assert [one for one in period.untied if one["against"] not in ("Amazon's orders", "payouts")] == []
        assert period.expected == 0
        assert period.trips > len(month.world.days)


def _closed(month: Month, store_id: str) -> StoreDay:
    with month.engine.connect() as connection:
        assert months.closed_month(connection, store_id=store_id, month=month.world.first) is not None
        return months.of_month(connection, store_id=store_id, month=month.world.first)


def breaks_left(month: Month) -> set[str]:
    """Kinds that are open."""
    with month.engine.connect() as connection:
        return set(connection.execute(text("select kind from reconciliation_break where closed_at is null")).scalars())
