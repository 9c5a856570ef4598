"""The parts that a simulation runs against: an embedded PostgreSQL of its own, the sandbox, the connector."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import Engine, create_engine

from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import make_engine
from backroom.db.roles import ROLES, set_password
from backroom.settings import Settings
from backroom_stack.environment import Environment
from backroom_stack.part import Part, answers
from backroom_stack.secrets_file import load_or_make

PATIENCE_SECONDS: Final = 0.7  # how long a worker waits for an answer
LEASE_SECONDS: Final = 3  # more than three times that


@dataclass(frozen=True)
class Stack:
    """Where the running parts are; `engine` is the pipeline's."""

    engine: Engine
    sandbox_url: str
    environment: Environment
    home: Path

    def of_workers(self) -> dict[str, str]:
        """The environment of a worker: the pipeline's, with little patience and a short lease."""
        return self.environment.pipeline() | {
            "BACKROOM_CHARGE_LEASE_SECONDS": str(LEASE_SECONDS),
            "BACKROOM_DB_POOL_SIZE": "12",
            "BACKROOM_LOG_LEVEL": "ERROR",
        }


@contextmanager
def running(config: Settings, home: Path) -> Iterator[Stack]:
    """Starts all parts on free ports, with nothing left of an earlier run in `home`; ends them at the end."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    config = config.model_copy(
        update={
            "home": home,
            "sandbox_port": free_port(),
            "connector_port": free_port(),
            "connector_auth": "sigv4",
            "database_url": None,
        }
    )
    with ExitStack() as undo:
        server = EmbeddedPostgres(home / "postgres", free_port(), durable=False)
        server.start()
        undo.callback(server.stop)
        secrets = load_or_make(home)
        owner = server.url("backroom")
        _migrate(server, secrets)
        environment = Environment(config, secrets, owner, owner, PATIENCE_SECONDS)
        sandbox = f"http://127.0.0.1:{config.sandbox_port}"
        connector = f"http://127.0.0.1:{config.connector_port}"
        python = sys.executable
        parts = [
            Part(
                "the sandbox",
                [python, "-m", "jwo_sandbox", "serve"],
                environment.sandbox() | {"JWO_SANDBOX_OUTBOX": "kept"},
                home / "logs" / "sandbox.log",
                answers(f"{sandbox}/healthz"),
            ),
            Part(
                "the connector",
                [python, "-m", "connector_app.amazon"],
                environment.connector() | {"BACKROOM_LOG_LEVEL": "ERROR", "BACKROOM_CONNECTOR_WORKERS": "1"},
                home / "logs" / "connector.log",
                answers(f"{connector}/readyz"),
            ),
        ]
        for part in parts:
            undo.callback(part.stop)
            part.start()
        for part in parts:
            part.wait_ready()
        engine = make_engine(environment.role_url("pipeline").replace("postgresql://", "postgresql+psycopg://"))
        undo.callback(engine.dispose)
        yield Stack(engine, sandbox, environment, home)


def plain_client(base_url: str = "", timeout: float = 30) -> httpx.Client:
    """To the sandbox's control API on this machine: without what only TLS and proxies need, which takes a while."""
    return httpx.Client(base_url=base_url, timeout=timeout, trust_env=False, verify=False)  # noqa: S501 - no TLS at all


def _migrate(server: EmbeddedPostgres, secrets: dict[str, str]) -> None:
    admin = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database backroom")
    admin.dispose()
    owner = create_engine(server.url("backroom"))
    migrate.upgrade(owner)
    for role in ROLES:
        set_password(owner, role, secrets[f"{role.removeprefix('backroom_')}_password"])
    owner.dispose()
