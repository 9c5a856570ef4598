"""The embedded PostgreSQL's programs."""

from __future__ import annotations

import subprocess
import sys

from backroom.db.embedded import psql


def test_they_are_found_without_a_word_to_whoever_runs_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from backroom.db.embedded import psql; print(psql())"],
        env={}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (str(psql()), "")
    assert psql().exists()
