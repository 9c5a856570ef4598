"""The demo itself, small: real scheduler, real HTTP, and books that agree to the cent."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest

from backroom.db.embedded import free_port
from backroom_stack.demo import timeline
from backroom_stack.store_world import last_closed_day

PORTS = ("DB", "AWS", "SANDBOX", "CONNECTOR", "PORTAL", "AIRFLOW")


@pytest.mark.timeout(500)
def test_a_small_store_day_ends_with_equal_books_and_a_report(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("BACKROOM_", "AIRFLOW"))}
    environment |= {f"BACKROOM_{part}_PORT": str(free_port()) for part in PORTS}
    done = subprocess.run(
        [sys.executable, "-m", "backroom_stack", "demo", "--trips", "80"],
        env={**environment, "BACKROOM_HOME": str(tmp_path), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "all equal to the cent" in done.stdout
    pages = list((tmp_path / "demo" / "reports").rglob("*.html"))
    assert pages, done.stdout


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-24T23:00:00+00:00", date(2026, 11, 23)),
        ("2026-11-25T02:00:00+00:00", date(2026, 11, 23)),  # still the 24th in the west
        ("2026-11-25T09:00:00+00:00", date(2026, 11, 23)),  # the west's day has just ended: its last files are not out
        ("2026-11-25T11:00:00+00:00", date(2026, 11, 24)),
    ],
)
def test_the_demo_plays_the_last_day_that_is_closed_everywhere(now: str, day: date) -> None:
    assert last_closed_day(datetime.fromisoformat(now)) == day


@pytest.mark.parametrize("trips", [80, 1200])
@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1), date(2026, 11, 23)])
def test_the_timeline_goes_forward_also_where_clocks_change(day: date, trips: int) -> None:
    moments = timeline(day, trips)
    assert moments == sorted(set(moments))
    assert len(moments) >= 3
