"""Connections for processes that answer calls: a pool of its own for each kind of call, every wait bounded.

A call takes a connection that commits each statement by itself, so that a look-up and one statement that writes all are
two round trips. What needs several statements together asks for a transaction on the same pool. Statements are planned
once per connection: their parameters are keys, for which one plan is good.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import RawCursor
from psycopg.rows import RowMaker, namedtuple_row
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

# Every look-up is of a few keys in an index. A plan that is made when tables are empty must still be good when they are
# full, so nothing that reads a whole table is considered.
ONE_GOOD_PLAN = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


def serving_engine(url: URL | str, *, connections: int, timeout_seconds: float, application: str) -> Engine:
    """At most so many connections; a statement or a wait for a lock ends after `timeout_seconds` with an error."""
    milliseconds = int(timeout_seconds * 1000)
    options = {
        "timezone": "UTC",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        **ONE_GOOD_PLAN,
    }
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=timeout_seconds,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # each statement has committed; a transaction ends itself
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(2, int(timeout_seconds)),
            "application_name": application,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "prepare_threshold": 0,
            "tcp_user_timeout": 2 * milliseconds,  # a server that does not even acknowledge
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Several statements that commit together."""
    with engine.connect() as connection:
        together = connection.execution_options(isolation_level="READ COMMITTED")
        with together.begin():
            yield together


_PARAMETER = re.compile(r"%\((\w+)\)s")


class Statement:
    """One SQL statement with `%(name)s` parameters, prepared once per connection; it commits by itself.

    Goes to the driver without SQLAlchemy's own layer and with its parameters numbered once, which would each cost as
    much again as the statement.
    """

    def __init__(self, sql: str) -> None:
        self._names = list(dict.fromkeys(_PARAMETER.findall(sql)))
        numbers = {name: f"${number}" for number, name in enumerate(self._names, 1)}
        self._sql = _PARAMETER.sub(lambda found: numbers[found[1]], sql).encode()
        self._row: RowMaker[Any] | None = None

    def one(self, database: Engine | Connection, parameters: Mapping[str, Any]) -> Any:
        """Its only row, or None. On a Connection it is part of that transaction; on an Engine it commits by itself.

        Raises psycopg's errors; where a connection of the engine is lost, its pool begins anew.
        """
        if isinstance(database, Connection):
            return self._run(database.connection.driver_connection, parameters)
        pooled = database.raw_connection()
        try:
            return self._run(pooled.driver_connection, parameters)
        except psycopg.OperationalError as error:
            if is_lost(error):
                pooled.invalidate()
                database.dispose()  # the others were made before the loss, too
            raise
        finally:
            pooled.close()

    def _run(self, driver: Any, parameters: Mapping[str, Any]) -> Any:
        cursor = RawCursor(driver, row_factory=self._rows)
        cursor.execute(self._sql, [parameters[name] for name in self._names], prepare=True)
        return cursor.fetchone() if cursor.rownumber is not None else None

    def _rows(self, cursor: Any) -> RowMaker[Any]:
        """Rows by their columns' names. A statement's columns never change, so they are looked at once."""
        if self._row is None:
            self._row = namedtuple_row(cursor)
        return self._row


def is_lost(error: BaseException) -> bool:
    """Whether the database went away, so that a fresh connection may still do; not a time-out of a statement."""
    original = error.orig if isinstance(error, OperationalError) else error
    return isinstance(original, psycopg.OperationalError) and not isinstance(
        original, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable
    )
