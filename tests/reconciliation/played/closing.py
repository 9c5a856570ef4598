"""A played month is scored and closed: what a person of finance does, by the commands that they have."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from babel.numbers import format_currency
from sqlalchemy import text

from backroom.cli import main
from backroom.reconciliation import closed_files, months
from backroom.reconciliation.pages import StoreDay
from jwo_sandbox import planting
from tests.reconciliation.played import hours, scene
from tests.reconciliation.played.books import as_in_the_ledger, hours_of, ledger, ours, priced, sold, theirs
from tests.reconciliation.played.player import WHO, Month
from tests.reconciliation.played.world import currency_of, has_files, planted_in, zone_of

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
    wanted = [kind for store in month.world.stores for planted in planted_in(store) for kind in planted.split("+")]
    assert kinds == sorted(wanted)
    assert set(kinds) == EVERY_KIND
    assert standing(month) == kinds  # also on days that the file does not reach to
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
        only_in_the_ledger = {"charged_late", "captured_after"}
        assert ours(period) == {name: expected[name] for name in expected if name not in only_in_the_ledger}, store_id
        assert ledger(period) == as_in_the_ledger(expected), store_id
        # what differs from Amazon's orders and a processor's payouts is told by breaks
        assert [one for one in period.untied if one["against"] not in ("Amazon's orders", "payouts")] == []
        assert period.expected == 0
        assert period.late_changes == ()
    _the_companys_report_adds_them_up_by_currency(month)


def _the_companys_report_adds_them_up_by_currency(month: Month) -> None:
    with month.engine.connect() as connection, tempfile.TemporaryDirectory() as folder:
        kept = closed_files.take_out(
            connection, stem=closed_files.COMPANY, month=month.world.first.replace(day=1), folder=Path(folder)
        )
        assert kept is not None
        page = kept.html.read_text()
    books = [(currency_of(store_id), theirs(month, store_id)) for store_id in month.world.stores]
    for currency in {currency for currency, _ in books}:
        _, headline = page.split(f'aria-label="Headline figures in {currency}"')
        shown = re.findall(r"<dd>([^<]+)", headline.partition("</dl>")[0])
        expected = [
            sum((totals[name] for its, totals in books if its == currency), Decimal(0))
            for name in ("net", "tax", "total", "captured", "debt")
        ]
        assert shown == [format_currency(amount, currency, locale="en_US") for amount in expected]


def every_day_is_the_stores_own(month: Month) -> None:
    """Each store's day has the trips that ended on it by the store's clock, at their hours, and its own windows."""
    with month.engine.connect() as connection:
        runs = {
            (run.store_id, run.business_date): run.figures
            for run in connection.execute(
                text(
                    "select distinct on (store_id, business_date) store_id, business_date, figures"
                    " from reconciliation_run order by store_id, business_date, revision desc"
                )
            )
        }
    days = [(store_id, day) for store_id in month.world.stores for day in month.world.days(store_id)]
    assert sorted(runs) == sorted(days)
    for (store_id, day), figures in runs.items():
        trips = priced(month, store_id, day)
        sales, hours_told = figures["sales"], figures["hours"]
        assert sales["trips"] == len(month.world.trips_of(store_id, day)), (store_id, day)
        assert {name: Decimal(sales[name]) for name in sold(trips)} == sold(trips), (store_id, day)
        assert {row["hour"]: row["trips"] for row in hours_told} == hours_of(trips), (store_id, day)
        if has_files(store_id):
            an_hour_after = 4
            wanted = hours.quarters(day, zone_of(store_id)) + an_hour_after
            assert (figures["files"]["expected"], figures["files"]["missing"]) == (wanted, 0), (store_id, day)


def _closed(month: Month, store_id: str) -> StoreDay:
    with month.engine.connect() as connection:
        assert months.closed_month(connection, store_id=store_id, month=month.world.first) is not None
        return months.of_month(connection, store_id=store_id, month=month.world.first)


def standing(month: Month) -> list[str]:
    """Kinds of all breaks, but for those that later data has closed, and of what agrees in a way worth telling."""
    query = (
        "select kind from reconciliation_break where resolution is distinct from 'LATER_DATA'"
        " union all select reading from reconciliation_trip where reading is not null and outcome <> 'BREAK'"
    )
    with month.engine.connect() as connection:
        return sorted(connection.execute(text(query)).scalars())


def breaks_left(month: Month) -> set[str]:
    """Kinds that are open."""
    with month.engine.connect() as connection:
        return set(connection.execute(text("select kind from reconciliation_break where closed_at is null")).scalars())
