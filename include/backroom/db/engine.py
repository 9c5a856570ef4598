"""One engine per process, from one URL. Each process connects as its own role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, OperationalError

from backroom.errors import ConfigurationError, DatabaseUnreachable
from backroom.settings import Settings, settings

URL_FILE = "database.url"


def database_url(config: Settings | None = None) -> URL:
    """The configured URL, else the one that the embedded server's owner left. Raises DatabaseUnreachable."""
    config = config or settings()
    if config.database_url is not None:
        raw = config.database_url.get_secret_value()
    else:
        left = config.home / URL_FILE
        if not left.exists():
            raise DatabaseUnreachable(
                "no database: BACKROOM_DATABASE_URL is not set and the embedded one is not running; "
                "start it with `make up` or set the URL"
            )
        raw = left.read_text().strip()
    try:
        url = make_url(raw)
    except ArgumentError as error:
        raise ConfigurationError(
            "BACKROOM_DATABASE_URL is not a URL; write postgresql://user:password@host:5432/name"
        ) from error
    if url.get_backend_name() != "postgresql":
        raise ConfigurationError(f"BACKROOM_DATABASE_URL is for {url.get_backend_name()}; Backroom needs postgresql://")
    return url.set(drivername="postgresql+psycopg")


def make_engine(url: URL | str, *, pool_size: int = 8, application: str = "backroom") -> Engine:
    """An engine whose sessions speak UTC; dead connections are noticed before use."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text may end in a log
        connect_args={
            "connect_timeout": 5,
            "application_name": application,
            "options": "-c timezone=UTC -c lock_timeout=30s",
        },
    )


@lru_cache(maxsize=1)
def engine() -> Engine:
    """This process's engine. Nothing is connected yet."""
    return make_engine(database_url(), pool_size=settings().db_pool_size)


@contextmanager
def transaction() -> Iterator[Connection]:
    """A connection in a transaction: committed at the end, rolled back on an error."""
    with engine().begin() as connection:
        yield connection


def check_reachable(target: Engine) -> None:
    """Raises DatabaseUnreachable, in one line and without the password."""
    try:
        with target.connect() as connection:
            connection.execute(text("select 1"))
    except OperationalError as error:
        where = target.url.set(password=None, username=None).render_as_string()
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
        raise DatabaseUnreachable(f"no database at {where}: {reason}; is it running, is the URL right?") from error
