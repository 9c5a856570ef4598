"""What every test may ask for: one embedded PostgreSQL per worker, a fresh database per module."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from httpx._transports import default as httpx_transport
from sqlalchemy import Engine, create_engine

from backroom.db import engine as database_engine
from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.settings import settings

pytest_plugins = ["tests.airflow_fixtures", "tests.sandbox_fixtures"]

_numbers = itertools.count(1)

# Made anew for nearly every test, and read from large files each time: certificates (50 ms), AWS's APIs (150 ms).
setattr(httpx_transport, "create_ssl_context", cache(httpx_transport.create_ssl_context))  # noqa: B010
setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))  # noqa: B010

# Airflow reads its configuration when it is first imported, so this worker's server is settled on before that.
PORT = free_port()
PASSWORD = "tests"
CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.update(
    {
        "AIRFLOW_HOME": tempfile.mkdtemp(prefix="backroom-airflow-"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{PORT}/airflow",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AWS_EC2_METADATA_DISABLED": "true",
        "BACKROOM_PRIVACY_KEYS": "c2VhbHMtYWRkcmVzc2VzLW9mLXRlc3RzLW9ubHktMTI=",  # of tests only
    }
)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """This worker's server, with a migrated template database."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), PORT, durable=False, password=PASSWORD)
    server.start()
    admin = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database backroom_template")
    template = create_engine(server.url("backroom_template"))
    migrate.upgrade(template)
    template.dispose()
    admin.dispose()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    """monkeypatch for module-scoped fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, module_patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty BACKROOM_HOME."""
    folder = tmp_path_factory.mktemp("home")
    module_patch.setenv("BACKROOM_HOME", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, home: Path, module_patch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A fresh, migrated database, which this process's `engine()` and its children use too (as superuser)."""
    name = f"backroom_{next(_numbers)}"
    admin = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"create database {name} template backroom_template")
    url = postgres.url(name)
    module_patch.setenv("BACKROOM_DATABASE_URL", url.render_as_string(hide_password=False))
    forget_configuration()
    yield database_engine.engine()
    database_engine.engine().dispose()
    forget_configuration()
    with admin.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
    admin.dispose()


def forget_configuration() -> None:
    """Settings and engine are read again at the next use."""
    settings.cache_clear()
    database_engine.engine.cache_clear()


# What takes longest comes first, so that no worker is left alone with it at the end. A part's files in this order too.
FIRST = (
    "tests/stack/test_demo",
    "tests/quality",  # with all that runs DAGs, see below
    "tests/simulation",
    "tests/benchmarks",
    "tests/connector_app/portal/test_journeys",
    "tests/reconciliation/test_played",
    "tests/connector_app/test_with_the_sandbox",
    "tests/charges",
    "tests/connector_app/console/test_browser",
    "tests/connector_app",
    "tests/jwo_sandbox",
    "tests/catalog",
)
TOGETHER = "what runs DAGs or suites of expectations"


@cache
def scope(file: str) -> str:
    """What one worker runs at a stretch: a file's tests; all those that need Airflow or Great Expectations.

    Each takes some 15 s of a processor to load and set up, in every worker that needs it.
    """
    heavy = file.startswith("tests/quality/") or re.search(r"\b(dag_bag|airflow_home)\b", (CHECKOUT / file).read_text())
    return TOGETHER if heavy else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long scopes first."""
    places: dict[str, int] = {}
    for item in items:
        place = next((place for place, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))
        named = scope(item.nodeid.partition("::")[0])
        places[named] = min(place, places.get(named, place))
    items.sort(key=lambda item: places[scope(item.nodeid.partition("::")[0])])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """`--dist loadfile`, by the scopes above."""
    from xdist.scheduler import LoadFileScheduling

    class LoadByScope(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid.partition("::")[0])

    return LoadByScope(config, log)
