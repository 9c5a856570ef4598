"""Shoppers who want money back: in full, in part, by line, several requests at once, the same one twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from sqlalchemy import Engine, text

from backroom.errors import BackroomError
from backroom.refunds import deciding, requesting
from backroom_stack.simulation.scenario import Scenario

ASKS: Final = 0.15  # of the trips that were charged
AGAIN: Final = 0.3  # of those: the same request twice
AT_ONCE: Final = 0.3  # of those: three requests at the same moment
REASONS: Final = ("DAMAGED_ITEM", "EXPIRED_ITEM", "UNWANTED_ITEM", "JWO_TECH_ERROR", "OTHER")
_TRIPS: Final = text(
    """
    select p.shopping_trip_id, p.total, p.trip_ended_at,
           (select min(l.line_number) from purchase_line l where l.shopping_trip_id = p.shopping_trip_id) as line
    from purchase p where p.state = 'PRICED' and p.total > 0 and p.trip_ended_at > :since and p.trip_ended_at <= :upto
    order by p.shopping_trip_id
    """
)
_WAITING: Final = text("select request_id, requested_at from refund_request where state = 'AWAITING_APPROVAL'")
Ask = Callable[[str], None]


class Refunding:
    """Who asks is drawn by the trip; when, too."""

    def __init__(self, scenario: Scenario, engine: Engine) -> None:
        self._scenario, self._engine = scenario, engine
        self._due: list[tuple[datetime, str, Decimal, int]] = []
        self._seen_up_to = datetime.min.replace(tzinfo=UTC)
        self._pool = ThreadPoolExecutor(4)
        self.counts: Counter[str] = Counter()

    def come(self, now: datetime) -> int:
        """Whoever asks by now, and whoever decides what needs a second person; how much was done."""
        self._draw(now)
        asking = [one for one in self._due if one[0] <= now]
        self._due = [one for one in self._due if one[0] > now]
        for _, trip, total, line in asking:
            self._ask(trip, total, line, now)
        return len(asking) + self._approve(now)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _draw(self, now: datetime) -> None:
        with self._engine.connect() as connection:
            trips = connection.execute(_TRIPS, {"since": self._seen_up_to, "upto": now}).all()
        self._seen_up_to = now
        for trip in trips:
            chance = self._scenario.chance("refund", trip.shopping_trip_id)
            if chance.random() < ASKS:
                at = trip.trip_ended_at + timedelta(minutes=chance.randrange(20, 90 * 60))
                self._due.append((at, trip.shopping_trip_id, trip.total, trip.line))

    def _ask(self, trip: str, total: Decimal, line: int, now: datetime) -> None:
        chance = self._scenario.chance("refund of", trip)
        ways = [self._way(trip, total, line, now, chance) for _ in range(3 if chance.random() < AT_ONCE else 1)]
        asks = [
            (f"{trip}-{number}", way) for number, way in enumerate(ways) for _ in range(1 + (chance.random() < AGAIN))
        ]
        for asked in [self._pool.submit(way, key) for key, way in asks]:
            asked.result()

    def _way(self, trip: str, total: Decimal, line: int, now: datetime, chance: Random) -> Ask:
        """All, a part, or a line."""
        kind, reason = chance.choice(["all", "part", "part", "line"]), chance.choice(REASONS)
        part = (total * chance.randrange(10, 70) / 100).quantize(Decimal("0.01"))

        def ask(key: str) -> None:
            try:
                with self._engine.begin() as connection:
                    requesting.request(
                        connection,
                        shopping_trip_id=trip,
                        amount=part if kind == "part" else None,
                        lines=[(line, None)] if kind == "line" else None,
                        reason=reason,
                        requested_by="service-desk",
                        asked_key=key,
                        now=now,
                    )
                self.counts["refund requests"] += 1
            except BackroomError:
                self.counts["refund requests refused"] += 1

        return ask

    def _approve(self, now: datetime) -> int:
        with self._engine.connect() as connection:
            waiting = connection.execute(_WAITING).all()
        for row in waiting:
            says_yes = self._scenario.chance("approval", row.request_id).random() < 0.7
            decide = deciding.approve if says_yes else deciding.reject
            try:
                with self._engine.begin() as connection:
                    decide(connection, row.request_id, by="supervisor", reason="simulated", now=now)
                self.counts["refunds approved" if says_yes else "refunds rejected"] += 1
            except BackroomError:
                with self._engine.begin() as connection:
                    deciding.reject(connection, row.request_id, by="supervisor", reason="too much", now=now)
                self.counts["approvals refused"] += 1
        return len(waiting)
