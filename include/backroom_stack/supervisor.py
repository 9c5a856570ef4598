"""Starts the parts in order, keeps an eye on them, and ends them all."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, require_free_port
from backroom.db.engine import URL_FILE, check_reachable, database_url
from backroom.db.roles import ROLES, set_password
from backroom.errors import ConfigurationError
from backroom.settings import CHECKOUT, Settings
from backroom_stack import stripe_stand_in
from backroom_stack.airflow_api import AirflowApi
from backroom_stack.environment import Environment
from backroom_stack.part import Part, PartFailed, answers, run_to_end
from backroom_stack.secrets_file import load_or_make, write_private

SERVICES = ("db", "aws", "sandbox", "connector", "portal", "console", "airflow")
ASKED_FOR = ("stripe",)
"""Parts that start only where they are named: a system without a store that charges through Stripe needs none."""
PORTS = {
    "aws": ("aws_port", "the AWS stand-in", "BACKROOM_AWS_PORT"),
    "sandbox": ("sandbox_port", "the sandbox", "BACKROOM_SANDBOX_PORT"),
    "connector": ("connector_port", "the connector", "BACKROOM_CONNECTOR_PORT"),
    "portal": ("portal_port", "the portal", "BACKROOM_PORTAL_PORT"),
    "console": ("console_port", "the console", "BACKROOM_CONSOLE_PORT"),
    "stripe": ("stripe_port", "the Stripe stand-in", "BACKROOM_STRIPE_PORT"),
    "airflow": ("airflow_port", "Airflow", "BACKROOM_AIRFLOW_PORT"),
}
STATE = ("postgres", "airflow", "logs", "world", "sandbox", "reports")
Tell = Callable[[str], None]


class Supervisor:
    """The parts of one installation. Use as a context manager: leaving it ends what was started."""

    def __init__(
        self,
        config: Settings,
        services: tuple[str, ...],
        tell: Tell,
        *,
        schedules: bool,
        fresh: bool = False,
        patience_seconds: float | None = None,
    ) -> None:
        """`tell` is called with one line whenever a part is ready. `fresh` removes what an earlier run left.

        `patience_seconds`: how long our client waits for Amazon's answers; None: as configured.
        """
        unknown = [name for name in services if name not in SERVICES + ASKED_FOR]
        if unknown:
            known = " ".join(SERVICES + ASKED_FOR)
            raise ConfigurationError(f"SERVICES names {', '.join(unknown)}; there are {known}")
        self.config = config
        self.services = services
        self.tell = tell
        self.schedules = schedules
        self.fresh = fresh
        self.patience_seconds = patience_seconds
        self.server: EmbeddedPostgres | None = None
        self.logs = config.home / "logs"
        self.parts: list[Part] = []
        self._exit = ExitStack()

    def __enter__(self) -> Supervisor:
        with ExitStack() as undo:
            undo.enter_context(_only_one(self.config.home))
            for service in self.services:
                if service in PORTS:
                    attribute, what, variable = PORTS[service]
                    require_free_port(getattr(self.config, attribute), what, variable)
            if self.fresh:
                _remove_state(self.config.home)
            undo.callback(self._stop_parts)
            self.environment = self._database(undo)
            self._exit = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def start(self) -> None:
        """Start every asked part but the database, which runs already; return when all are ready."""
        steps: list[Callable[[], None]] = []
        if "aws" in self.services or "sandbox" in self.services:
            steps.append(self._amazon)
        if "connector" in self.services:
            steps.append(self._connector)
        if "portal" in self.services:
            steps.append(self._portal)
        if "console" in self.services:
            steps.append(self._console)
        if "stripe" in self.services:
            steps.append(self._stripe)
        if "airflow" in self.services:
            steps.append(self._airflow)
        with ThreadPoolExecutor(len(steps) or 1) as side_by_side:
            for started in [side_by_side.submit(step) for step in steps]:
                started.result()

    def watch(self) -> None:
        """Returns never, but raises PartFailed when a part ends."""
        while True:
            if self.server is not None and not self.server.alive():
                raise PartFailed(f"PostgreSQL ended; its log is {self.server.folder / 'postgres.log'}")
            for part in self.parts:
                if not part.alive():
                    raise PartFailed(f"{part.name} ended: {part.last_words()} (whole log: {part.log})")
            time.sleep(1)

    def _start(self, *parts: Part) -> None:
        for part in parts:
            self.parts.append(part)
            part.start()
        for part in parts:
            part.wait_ready()
            self.tell(f"{part.name} is ready")

    def _stop_parts(self) -> None:
        with ThreadPoolExecutor(8) as side_by_side:
            list(side_by_side.map(Part.stop, reversed(self.parts)))

    def _database(self, undo: ExitStack) -> Environment:
        secrets = load_or_make(self.config.home)
        if self.config.database_url is None:
            server = EmbeddedPostgres(self.config.home / "postgres", self.config.db_port)
            server.start()
            undo.callback(server.stop)
            self.server = server
            admin = server.url("postgres")
            owner = server.url("backroom")
        else:
            owner = database_url(self.config)
            admin = owner
            engine = create_engine(owner)
            check_reachable(engine)
            engine.dispose()
        airflow = owner.set(
            database=f"{owner.database}_airflow",
            username="backroom_airflow",
            password=secrets["airflow_database_password"],
        )
        _create_databases(admin, owner, airflow)
        engine = create_engine(owner)
        environment = Environment(
            self.config, secrets, owner, airflow, self.patience_seconds, stripe_stand_in="stripe" in self.services
        )
        revision = migrate.upgrade(engine, privacy_keys=environment.privacy_keys)
        for role in ROLES:
            set_password(engine, role, secrets[f"{role.removeprefix('backroom_')}_password"])
        engine.dispose()
        if self.config.database_url is None:
            left = self.config.home / URL_FILE
            write_private(left, owner.set(drivername="postgresql").render_as_string(hide_password=False))
            undo.callback(left.unlink, missing_ok=True)
        self.tell(f"PostgreSQL is ready, schema at revision {revision}")
        return environment

    def _amazon(self) -> None:
        python = sys.executable
        environment = self.environment.sandbox()
        if "aws" in self.services:
            self._start(
                Part(
                    "the AWS stand-in",
                    [python, "-m", "jwo_sandbox", "aws"],
                    environment,
                    self.logs / "aws.log",
                    answers(f"http://127.0.0.1:{self.config.aws_port}/moto-api/"),
                )
            )
            run_to_end(
                "making buckets, queues and topics",
                [python, "-m", "jwo_sandbox", "aws-resources"],
                environment,
                self.logs / "aws-resources.log",
            )
        if "sandbox" in self.services:
            self._start(
                Part(
                    "the sandbox",
                    [python, "-m", "jwo_sandbox", "serve"],
                    environment,
                    self.logs / "sandbox.log",
                    answers(f"http://127.0.0.1:{self.config.sandbox_port}/healthz"),
                )
            )

    def _connector(self) -> None:
        self._start(
            Part(
                "the connector",
                [sys.executable, "-m", "connector_app.amazon"],
                self.environment.connector(),
                self.logs / "connector.log",
                answers(f"http://127.0.0.1:{self.config.connector_port}/readyz"),
            )
        )

    def _portal(self) -> None:
        self._start(
            Part(
                "the portal",
                [sys.executable, "-m", "connector_app.portal"],
                self.environment.portal(),
                self.logs / "portal.log",
                answers(f"http://127.0.0.1:{self.config.portal_port}/readyz"),
            )
        )

    def _console(self) -> None:
        self._start(
            Part(
                "the console",
                [sys.executable, "-m", "connector_app.console"],
                self.environment.console(airflow="airflow" in self.services),
                self.logs / "console.log",
                answers(f"http://127.0.0.1:{self.config.console_port}/readyz"),
            )
        )

    def _stripe(self) -> None:
        port = self.config.stripe_port
        self._start(
            Part(
                "the Stripe stand-in",
                [sys.executable, "-m", "backroom_stack.stripe_stand_in", "--port", str(port)],
                self.environment.common(),
                self.logs / "stripe.log",
                answers(f"http://127.0.0.1:{port}{stripe_stand_in.HEALTH}"),
            )
        )
        if "portal" in self.services:
            secret = self.environment.secrets["stripe_webhook_secret"]
            stripe_stand_in.tell_webhooks_to(port, self.config.portal_port, secret)

    def _airflow(self) -> None:
        environment = self.environment.airflow(schedules=self.schedules)
        passwords = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        write_private(passwords, json.dumps({"admin": self.environment.secrets["airflow_admin_password"]}))
        airflow = [sys.executable, "-m", "airflow"]
        run_to_end("airflow db migrate", [*airflow, "db", "migrate"], environment, self.logs / "airflow-migrate.log")
        base = f"http://127.0.0.1:{self.config.airflow_port}"
        api = answers(f"{base}/api/v2/monitor/health")
        self._start(
            Part("Airflow's API server", [*airflow, "api-server"], environment, self.logs / "airflow-api.log", api),
            *(
                Part(
                    f"Airflow's {name}",
                    [*airflow, name],
                    environment,
                    self.logs / f"airflow-{name}.log",
                    lambda name=name: _healthy(base, name),  # type: ignore[misc]
                )
                for name in ("scheduler", "dag-processor", "triggerer")
            ),
        )
        pools = json.loads((CHECKOUT / "deploy" / "airflow" / "pools.json").read_text())
        AirflowApi(base, self.environment.secrets["airflow_admin_password"]).make_pools(pools)


def _healthy(base: str, name: str) -> bool:
    import httpx

    try:
        health = httpx.get(f"{base}/api/v2/monitor/health", timeout=2).json()
    except (httpx.TransportError, ValueError):
        return False
    return bool(health.get(name.replace("-", "_"), {}).get("status") == "healthy")


def _remove_state(home: Path) -> None:
    for left in STATE:
        shutil.rmtree(home / left, ignore_errors=True)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "supervisor.lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"BACKROOM_HOME: {home} can't be written to: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"the system is running already from {home}; stop it first, or set BACKROOM_HOME to another folder"
            ) from error
        yield


def _create_databases(admin: URL, backroom: URL, airflow: URL) -> None:
    """Both databases where missing; Airflow's belongs to a role of its own that can't see Backroom's."""
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        role = connection.execute(text("select 1 from pg_roles where rolname = :r"), {"r": airflow.username}).first()
        verb = "alter" if role else "create"
        connection.exec_driver_sql(
            connection.execute(
                text("select format(:verb || ' role %I login password %L', cast(:r as text), cast(:p as text))"),
                {"verb": verb, "r": airflow.username, "p": airflow.password},
            ).scalar_one()
        )
        quote = engine.dialect.identifier_preparer.quote
        for url in (backroom, airflow):
            there = connection.execute(text("select 1 from pg_database where datname = :n"), {"n": url.database})
            if there.first() is None:
                connection.exec_driver_sql(f"create database {quote(str(url.database))}")
        connection.exec_driver_sql(
            f"alter database {quote(str(airflow.database))} owner to {quote(str(airflow.username))}"
        )
        connection.exec_driver_sql(f"revoke connect on database {quote(str(backroom.database))} from public")
    engine.dispose()
