"""How fast charges are worked: `make bench`; with 100,000 trips: `make bench-full`.

The reference is a bare asynchronous client that signs and sends the same calls, with as many at once, to the same
sandbox, and stores nothing. Rounds of it and of the lifecycle alternate in the same run, each in a process of its own.
Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import typer
from rich.console import Console
from sqlalchemy import Engine

from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from backroom_stack.store_world import finish_world, make_world
from tests.benchmarks.charged_trips import NOW, add_store, begin_trips, open_charges
from tests.benchmarks.goals import Goal, show

CHECKOUT: Final = Path(__file__).resolve().parents[2]
CALLS_AT_ONCE: Final = 64  # as `charge_concurrency` is by default
MANY_CORES: Final = 4  # two workers, the database and the server need them to be faster than one
PASSWORD: Final = "of-this-benchmark"


@dataclass(frozen=True)
class Parts:
    """What a measurement runs against."""

    engine: Engine
    sandbox: str
    saved_reply: str
    environment: dict[str, str]
    folder: Path

    def python(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """Runs a module to its end and returns what its last line says."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments], env=self.environment | environment, cwd=CHECKOUT, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{arguments[0]}: {done.stderr[-2000:]}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said


def measure(parts: Parts, *, few: int, many: int, rounds: int) -> list[Goal]:
    """Runs everything. Raises RuntimeError where a trip does not end as it should."""
    ratios, small, large, grown_small, grown_large = [], [], [], [], []
    for _ in range(rounds):
        bare = _bare(parts, parts.sandbox, many)
        seconds, grown = _lifecycle(parts, many)
        ratios.append(bare / seconds)
        large.append(seconds / many)
        grown_large.append(grown)
        seconds, grown = _lifecycle(parts, few)
        small.append(seconds / few)
        grown_small.append(grown)
    ceiling = _bare(parts, parts.sandbox, few) / _bare(parts, parts.saved_reply, few)
    shared = [_shared(parts, many, 2) / _shared(parts, many, 1) for _ in range(rounds)]
    cores = os.cpu_count() or 1
    return [
        Goal(f"{many:,} trips, adjust and capture, trips a second ÷ reference", median(ratios), 0.5, True, "×", 0.8),
        Goal("the sandbox's own ceiling (a saved reply), calls a second ÷ reference", ceiling, 1, True, "×"),
        Goal(
            f"two workers on one store, saved reply, {cores} cores, trips a second ÷ one worker's",
            median(shared),
            1.2 if cores >= MANY_CORES else 0.8,
            True,
            "×",
        ),
        Goal(f"time per trip of {many:,} ÷ of {few:,}", median(large) / median(small), 1.25, False, "×"),
        Goal(f"memory that {many:,} trips took beyond {few:,}", max(grown_large) - max(grown_small), 32, False, "MiB"),
    ]


def _bare(parts: Parts, url: str, trips: int) -> float:
    file = parts.folder / "trips"
    file.write_text("\n".join(begin_trips(parts.sandbox, trips)))
    return float(parts.python("tests.benchmarks.bare_charges", url, str(CALLS_AT_ONCE), str(file))["seconds"])


def _lifecycle(parts: Parts, trips: int) -> tuple[float, float]:
    open_charges(parts.engine, begin_trips(parts.sandbox, trips))
    said = parts.python("tests.benchmarks.charge_worker", str(CALLS_AT_ONCE))
    if said["states"] != {"CAPTURE_INITIATED": trips}:
        raise RuntimeError(f"of {trips} trips: {said['states']}, calls {said['calls']}")
    return float(said["seconds"]), float(said["grown_mib"])


def _shared(parts: Parts, trips: int, workers: int) -> float:
    """Trips a second of so many workers on one queue, by the time that the last of them took."""
    open_charges(parts.engine, begin_trips(parts.sandbox, trips))
    asked = ("tests.benchmarks.charge_worker", str(CALLS_AT_ONCE // workers))
    with ThreadPoolExecutor(workers) as pool:
        began = [
            pool.submit(parts.python, *asked, BACKROOM_AMAZON_PAYMENTS_URL=parts.saved_reply) for _ in range(workers)
        ]
        said = [each.result() for each in began]
    captured = sum(one["states"].get("CAPTURE_INITIATED", 0) for one in said)
    if captured != trips:
        raise RuntimeError(f"of {trips} trips, {workers} workers captured {captured}")
    return trips / float(max(one["seconds"] for one in said))


@contextmanager
def running() -> Iterator[Parts]:
    """PostgreSQL with fsync on, the sandbox that checks signatures, and the saved reply."""
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as name, ExitStack() as undo:
        folder = Path(name)
        making = make_world(folder / "world", NOW.date(), 50)
        postgres = EmbeddedPostgres(folder / "postgres", free_port())
        postgres.start()
        undo.callback(postgres.stop)
        engine = make_engine(postgres.url("postgres"))
        undo.callback(engine.dispose)
        migrate.upgrade(engine)
        set_password(engine, "backroom_pipeline", PASSWORD)
        add_store(engine)
        finish_world(making)
        sandbox, saved = free_port(), free_port()
        url = postgres.url("postgres").set(username="backroom_pipeline", password=PASSWORD)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("BACKROOM_", "JWO_"))}
        environment |= {
            "BACKROOM_HOME": str(folder),
            "BACKROOM_DATABASE_URL": url.render_as_string(hide_password=False),
            "BACKROOM_SANDBOX_PORT": str(sandbox),
            "BACKROOM_SANDBOX_AUTH": "sigv4",
            "BACKROOM_AMAZON_PAYMENTS_URL": f"http://127.0.0.1:{sandbox}",
            "BACKROOM_AMAZON_ACCESS_KEY_ID": "AKIDOFTHISBENCHMARK",
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY": PASSWORD,
            "JWO_SANDBOX_STATE": str(folder / "sandbox"),
            "JWO_SANDBOX_OUTBOX": "kept",
        }
        for module, *arguments in (["jwo_sandbox", "serve"], ["tests.benchmarks.saved_reply", str(saved)]):
            process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, cwd=CHECKOUT)
            undo.callback(process.wait)
            undo.callback(process.terminate)
        parts = Parts(engine, f"http://127.0.0.1:{sandbox}", f"http://127.0.0.1:{saved}", environment, folder)
        _wait_for(parts.sandbox)
        _wait_for(parts.saved_reply)
        world = {"world": str(folder / "world"), "seed": 1, "faults": "none"}
        httpx.post(f"{parts.sandbox}/sandbox/load", json=world, timeout=60).raise_for_status()
        httpx.post(f"{parts.sandbox}/sandbox/clock", json={"now": NOW.isoformat()}, timeout=60).raise_for_status()
        yield parts


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{url}/healthz", timeout=2).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main(full: bool = False, few: int = 1_000, rounds: int = 2) -> None:
    """Measures and prints. `full`: 100,000 trips instead of 10,000."""
    console = Console()
    with running() as parts, console.status("working on charges"):
        goals = measure(parts, few=few, many=few * (100 if full else 10), rounds=rounds)
    reference = "a bare asynchronous client that signs and sends the same calls to the same sandbox, in this run"
    sys.exit(show(console, "charges", goals, reference))


if __name__ == "__main__":
    typer.run(main)
