"""The queue of payment status reports: claimed under a lease and a fencing number, every attempt kept.

`next_attempt_at` is business time; the lease runs on the database's own clock, as for charges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text, update

from backroom.amazon.exact_json import dumps
from backroom.amazon.outcomes import Answer
from backroom.debts.tables import payment_status_attempt
from backroom.money import Money


@dataclass(frozen=True)
class Report:
    """A report that is ours until its lease ends; `fencing` tells whether it still is."""

    report_id: int
    shopping_trip_id: str
    store_id: str
    total: Money
    settled: Money
    status_time: datetime
    rejections: int
    attempts: int
    fencing: int


@dataclass(frozen=True)
class Attempt:
    """A call that may be made now: its intent is committed."""

    attempt_id: int
    number: int


_STORES: Final = text(
    "select distinct store_id from payment_status_report where state = 'DUE' and next_attempt_at <= :now"
    " and (lease_until is null or lease_until < clock_timestamp()) order by store_id"
)
_CLAIM: Final = text(
    """
    update payment_status_report r
    set lease_until = clock_timestamp() + make_interval(secs => :lease), fencing = r.fencing + 1,
        attempts = r.attempts + 1
    where r.report_id = (
        select report_id from payment_status_report
        where store_id = :store_id and state = 'DUE' and next_attempt_at <= :now
          and (lease_until is null or lease_until < clock_timestamp())
        order by next_attempt_at, report_id limit 1
        for update skip locked
    )
    returning r.*
    """
)
_ABANDONED: Final = text(
    "update payment_status_attempt set outcome = 'UNKNOWN', finished_at = :now,"
    """ answer = '{"problem": "LEASE_LOST"}' where report_id = :report_id and outcome is null"""
)
_INTEND: Final = text(
    "insert into payment_status_attempt (report_id, number, fencing, request, intended_at)"
    " values (:report_id, :number, :fencing, cast(:request as jsonb), :now) returning attempt_id"
)
_LOCK: Final = text(
    "select from payment_status_report where report_id ="
    " (select report_id from payment_status_attempt where attempt_id = :attempt_id) for update"
)
_AGAIN: Final = text(
    "update payment_status_report set lease_until = null, next_attempt_at = :next, rejections = :rejections"
    " where report_id = :report_id and fencing = :fencing and state = 'DUE'"
)
_END: Final = text(
    "update payment_status_report set state = :state, lease_until = null, next_attempt_at = null, finished_at = :now,"
    " rejections = :rejections where report_id = :report_id and fencing = :fencing and state = 'DUE'"
)
_HOLD: Final = text(
    "update payment_status_report set next_attempt_at = :until where store_id = :store_id and state = 'DUE'"
    " and next_attempt_at < :until and (lease_until is null or lease_until < clock_timestamp())"
)


def stores_with_due(connection: Connection, *, now: datetime) -> list[str]:
    """Stores that have a report due at `now` (business time) and not being worked on."""
    return list(connection.execute(_STORES, {"now": now}).scalars())


def claim(
    connection: Connection, *, store_id: str, request_of: Any, now: datetime, lease_seconds: int
) -> tuple[Report, Attempt] | None:
    """The store's longest-due report and the intent to send it; both must be committed before the call.

    An intent that was left without an outcome is unknown: its worker is gone.
    """
    row = (
        connection.execute(_CLAIM, {"store_id": store_id, "now": now, "lease": lease_seconds}).mappings().one_or_none()
    )
    if row is None:
        return None
    mine = _report(row)
    connection.execute(_ABANDONED, {"report_id": mine.report_id, "now": now})
    intent = {
        "report_id": mine.report_id,
        "number": mine.attempts,
        "fencing": mine.fencing,
        "request": json.dumps(_as_kept(request_of(mine))),
        "now": now,
    }
    return mine, Attempt(connection.execute(_INTEND, intent).scalar_one(), mine.attempts)


def conclude(connection: Connection, attempt: Attempt, answer: Answer, *, now: datetime) -> None:
    """Writes the outcome: a fact, kept also where the lease was lost.

    The report's row is locked first, as who claims it does: both touch the report and its attempts.
    """
    connection.execute(_LOCK, {"attempt_id": attempt.attempt_id})
    connection.execute(
        update(payment_status_attempt)
        .where(payment_status_attempt.c.attempt_id == attempt.attempt_id)
        .values(
            outcome=answer.outcome,
            http_status=answer.status,
            answer=answer.for_the_record(),
            latency_seconds=answer.latency_seconds,
            finished_at=now,
        )
    )


def again(connection: Connection, mine: Report, *, at: datetime, rejections: int) -> None:
    """It is sent again from `at` on; no effect where the lease was lost."""
    connection.execute(_AGAIN, {**_mine(mine), "next": at, "rejections": rejections})


def end(connection: Connection, mine: Report, state: str, *, rejections: int, now: datetime) -> bool:
    """Nothing more is to be done with it; False where the lease was lost."""
    ended = connection.execute(_END, {**_mine(mine), "state": state, "rejections": rejections, "now": now})
    return ended.rowcount == 1


def hold_store(connection: Connection, *, store_id: str, until: datetime) -> None:
    """Nothing of the store is due before `until` (business time)."""
    connection.execute(_HOLD, {"store_id": store_id, "until": until})


def _mine(mine: Report) -> dict[str, Any]:
    return {"report_id": mine.report_id, "fencing": mine.fencing}


def _report(row: RowMapping) -> Report:
    return Report(
        report_id=row["report_id"],
        shopping_trip_id=row["shopping_trip_id"],
        store_id=row["store_id"],
        total=Money(row["total"], row["currency"]),
        settled=Money(row["settled"], row["currency"]),
        status_time=row["status_time"],
        rejections=row["rejections"],
        attempts=row["attempts"],
        fencing=row["fencing"],
    )


def _as_kept(request: Mapping[str, Any]) -> Any:
    """As sent, with amounts as exact text."""
    return json.loads(dumps(request), parse_float=str)
