"""The business time of a run: what every task hands to the back office as `now`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backroom.clock import parse_instant
from backroom.errors import ConfigurationError


def of(context: Mapping[str, Any]) -> datetime:
    """The run's business time in UTC; a retry or a cleared run gets the same one again.

    The run's logical date; for a run without one (started by hand or by a partition key) `now` of its conf, an ISO
    8601 instant with its zone, else the moment from which it may run. Raises ConfigurationError where conf's `now`
    is malformed.
    """
    run = context["dag_run"]
    if run.logical_date is not None:
        return _utc(run.logical_date)
    asked = (run.conf or {}).get("now")
    if asked is None:
        return _utc(run.run_after)
    try:
        return parse_instant(str(asked))
    except ValueError as error:
        raise ConfigurationError(f"conf of run {run.run_id}: now: {error}") from error


def _utc(moment: datetime) -> datetime:
    """A plain datetime: Airflow's own are of another class, which not every driver takes."""
    plain = moment.astimezone(UTC)
    return datetime(
        plain.year, plain.month, plain.day, plain.hour, plain.minute, plain.second, plain.microsecond, tzinfo=UTC
    )
