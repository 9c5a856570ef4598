"""Log lines as JSON on standard error, one a line, for services. Secrets and personal data have no way in.

Only what a caller names is logged, names of secrets are struck out, and an exception is logged as its type and where
it was raised: its text may quote a request.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

FORBIDDEN = frozenset(
    {"address", "authorization", "body", "code", "email", "identity_key", "key", "password", "secret", "token"}
)
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}


def configure(level: str) -> None:
    """Sets structlog up for this process. `level` is one of LEVELS."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            strike_out,
            where_it_was_raised,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),  # standard error as it is at that moment
        cache_logger_on_first_use=False,
    )


def call_answered(**facts: Any) -> None:
    """The line of a call that was answered, at level info: ids and outcomes, and nothing else may be in `facts`.

    A busy server writes hundreds a second, so it does without the steps that keep secrets out of other lines.
    """
    line = {"event": "call", "level": "info", "timestamp": datetime.now(UTC).replace(tzinfo=None), **facts}
    sys.stderr.write(
        orjson.dumps(
            line, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_APPEND_NEWLINE
        ).decode()
    )


def _json(line: Any, **_: Any) -> str:
    return orjson.dumps(line, default=str).decode()


def strike_out(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Removes the values of names that may hold a secret or an address."""
    for name in line:
        if name.lower() in FORBIDDEN:
            line[name] = "…"
    return line


def where_it_was_raised(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces an exception by its type and its frames, innermost last; never its text."""
    error = line.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        line["error"] = f"{type(error).__module__}.{type(error).__qualname__}"
        line["raised_at"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]
        ]
    return line


class JsonLines(logging.Formatter):
    """The standard library's records in the same shape, for servers that log through it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; of an exception only its type."""
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__qualname__
        return json.dumps(line)


def of_server(*loggers: str) -> dict[str, Any]:
    """A configuration for `logging.config` in which these loggers write JSON lines to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "backroom.logs.JsonLines"}},
        "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {name: {"handlers": ["json"], "propagate": False} for name in loggers},
    }
