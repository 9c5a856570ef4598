"""The servers of a measurement: PostgreSQL with fsync on, the connector and the reference, as in production."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from tests.benchmarks import retailer
from tests.benchmarks.requests_made import ARNS, SECRET

PASSWORD = "of-this-benchmark"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Servers:
    """Ports on 127.0.0.1."""

    connector: int
    bare: int
    log: Path


@contextmanager
def running() -> Iterator[Servers]:
    """A filled database, the connector behind the gateway's secret, and the reference, both as the connector's role."""
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", free_port())
        postgres.start()
        try:
            owner = make_engine(postgres.url("postgres"))
            migrate.upgrade(owner)
            retailer.fill(owner)
            set_password(owner, "backroom_connector", PASSWORD)
            owner.dispose()
            url = postgres.url("postgres").set(username="backroom_connector", password=PASSWORD)
            with _served(Path(folder), url.render_as_string(hide_password=False)) as servers:
                yield servers
        finally:
            postgres.stop()


@contextmanager
def _served(folder: Path, database: str) -> Iterator[Servers]:
    servers = Servers(free_port(), free_port(), folder / "log")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BACKROOM_")},
        **ARNS,
        "BACKROOM_HOME": str(folder),
        "BACKROOM_DATABASE_URL": database,
        "BACKROOM_CONNECTOR_AUTH": "gateway",
        "BACKROOM_CONNECTOR_GATEWAY_SECRET": SECRET,
        "BACKROOM_CONNECTOR_PORT": str(servers.connector),
        "BACKROOM_ENV": "production",
        **{name: value for name, value in os.environ.items() if name.startswith("BACKROOM_CONNECTOR_")},
        "BACKROOM_METRICS_TOKEN": SECRET,
    }
    commands = ["-m", "connector_app.amazon"], ["-m", "tests.benchmarks.serve_bare", str(servers.bare)]
    with servers.log.open("wb") as log:
        started = [
            subprocess.Popen([sys.executable, *command], env=environment, cwd=CHECKOUT, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            _wait_for(servers, started)
            yield servers
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(20)


def _wait_for(servers: Servers, started: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 60
    for port, path, ready in ((servers.connector, "readyz", 200), (servers.bare, "readyz", 404)):
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/{path}").status_code == ready:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline or any(process.poll() is not None for process in started):
                raise RuntimeError(f"a server did not come up: {servers.log.read_text()[-2000:]}")
            time.sleep(0.1)
