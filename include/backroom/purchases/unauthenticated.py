"""Carts of callers who did not prove who they are (403): kept in bounded number, the others counted.

A role that is missing on the ordering path's list turns true carts away, and each is a lost sale; so they are kept. But
anybody may be calling, so that strangers must fill neither the disk nor the database: of each reason for a 403, a
process keeps the first carts of an hour only, and their waiting bodies have so many bytes together. What is beyond is
counted. The bounds are per reason, so that a flood of unsigned calls takes no room from a caller under a wrong ARN.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.purchases.kept_bodies import to_keep
from backroom.purchases.refusals import alert_of_refused, trip_id_in, without_card_numbers

STATUS: Final = 403
TOLD_EVERY: Final = timedelta(minutes=1)

_KEEP = text("""
    insert into refused_cart (status, reason, body, shopping_trip_id, received_at)
    select 403, :reason, :body, :trip_id, :now
    where (select coalesce(sum(octet_length(body)), 0) from refused_cart
           where status = 403 and reason = :reason and settled_at is null) + :size <= :most_bytes
""")
_COUNT = text("""
    insert into refused_call_count (hour, reason, calls) values (:hour, :reason, :calls)
    on conflict (hour, reason) do update set calls = refused_call_count.calls + excluded.calls
""")
_NOT_KEPT = text("select coalesce(sum(calls), 0) from refused_call_count where hour > :since")

Count = tuple[datetime, str]
"""An hour (UTC) and the reason of the refusals."""


class Bounds:
    """What one process keeps of an hour. Safe among its threads; touches no database."""

    def __init__(self, most_an_hour: int) -> None:
        """`most_an_hour`: carts of each reason."""
        self._most = most_an_hour
        self._lock = threading.Lock()
        self._hour: datetime | None = None
        self._kept: Counter[str] = Counter()
        self._beyond: Counter[Count] = Counter()
        self._told_at: datetime | None = None

    def has_room(self, reason: str, *, now: datetime) -> bool:
        """Whether this hour's next cart of that reason is kept; otherwise it is counted here."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._lock:
            if hour != self._hour:
                self._hour = hour
                self._kept.clear()
            if self._kept[reason] < self._most:
                self._kept[reason] += 1
                return True
            self._beyond[hour, reason] += 1
            return False

    def due_counts(self, *, now: datetime) -> dict[Count, int]:
        """What was counted and is to be written down now, once: at most every minute, so that a flood writes little."""
        with self._lock:
            if not self._beyond or (self._told_at is not None and now - self._told_at < TOLD_EVERY):
                return {}
            self._told_at = now
            due = dict(self._beyond)
            self._beyond.clear()
            return due

    def put_back(self, counts: dict[Count, int]) -> None:
        """Counts that could not be written down."""
        with self._lock:
            self._beyond.update(counts)


def keep_unauthenticated(connection: Connection, *, reason: str, body: bytes, most_bytes: int, now: datetime) -> bool:
    """Keeps a cart that was answered 403, without card numbers, and alerts; where there is no room it is counted.

    `most_bytes`: of all bodies of this reason that wait. Carts that come at the same moment may exceed it by one each.
    """
    kept = to_keep(without_card_numbers(body))
    values = {"reason": reason, "body": kept, "size": len(kept), "trip_id": trip_id_in(body), "now": now}
    if connection.execute(_KEEP, {**values, "most_bytes": most_bytes}).rowcount:
        alert_of_refused(connection, status=STATUS, reason=reason, now=now)
        return True
    count(connection, {(now.replace(minute=0, second=0, microsecond=0), reason): 1}, now=now)
    return False


def count(connection: Connection, counts: dict[Count, int], *, now: datetime) -> None:
    """Writes down how many carts were answered 403 and not kept, and says so in the alert of those that were."""
    for (hour, reason), calls in sorted(counts.items()):
        connection.execute(_COUNT, {"hour": hour, "reason": reason, "calls": calls})
        raise_alert(
            connection,
            key=f"refused-cart:{STATUS}:authentication",
            severity="critical",
            title=f"Carts are refused with {STATUS} ({reason}), and {calls} more were not kept",
            what_to_do="`backroom carts refused list` shows those that were kept: is it Amazon under a role that "
            "BACKROOM_CONNECTOR_ORDERING_ARNS lacks, or a stranger, whom the gateway should not let through?",
            now=now,
        )


def not_kept(connection: Connection, *, since: datetime) -> int:
    """How many carts were answered 403 and only counted, in the hours that began after `since` (UTC)."""
    return int(connection.execute(_NOT_KEPT, {"since": since}).scalar_one())
