"""What one simulation is made of: its size, its faults, its kills, its hours. All a function of the seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Literal

CaptureRepeat = Literal["safe", "double"]

# How an operation's rate of faults is shared out. A throttle stops everyone for a while, so it is rare.
_ON_THE_WAY: Final = {
    "SERVER_ERROR": 0.12,
    "UNAVAILABLE": 0.08,
    "DROPPED_BEFORE": 0.10,
    "DROPPED_AFTER": 0.15,
    "HANGS_AFTER": 0.03,
    "SLOW_AFTER": 0.04,
}
_OF_CARDS: Final = {
    "DECLINED": 0.12,
    "DECLINED_ONCE": 0.10,
    "PARTIAL": 0.10,
    "PENDING": 0.10,
    "PENDING_FOREVER": 0.03,
}
_CALLS_A_THROTTLE: Final = 400
LATER_ATTEMPTS: Final = 0.5
STEP: Final = timedelta(minutes=20)
SHORTEST, LONGEST = 9, 144  # steps in which the trips come
TRIPS_A_STEP: Final = 40


@dataclass(frozen=True)
class Scenario:
    """One simulation. `faults` is the share of trips whose calls of each kind go wrong; `days` that the trips take."""

    seed: int
    trips: int
    faults: float
    kills: int
    days: int | None = None
    capture_repeat: CaptureRepeat = "double"
    workers: int = 3

    @property
    def freezes(self) -> int:
        """How often a worker is stopped beyond its lease, and resumed."""
        return (self.kills + 4) // 5

    @property
    def span(self) -> timedelta:
        """The time in which the trips come."""
        return (
            timedelta(days=self.days) if self.days else STEP * min(max(self.trips // TRIPS_A_STEP, SHORTEST), LONGEST)
        )

    @property
    def small(self) -> bool:
        """Whether it is to be over soon: fewer moments, at more of which the books are looked at."""
        return self.trips <= 1000

    @property
    def moments_between_looks(self) -> int:
        """After how many moments both books are looked at."""
        return 3 if self.small else 40

    def timeline(self, start: datetime) -> list[datetime]:
        """The moments at which the world is looked at: often while trips come, then until every token has ended."""
        step = max(STEP, self.span / LONGEST)
        moments = [start + step * number for number in range(1, round(self.span / step) + 1)]
        for upto, pause in ((12, 3), (60, 6), (240, 30)) if self.small else ((12, 1), (60, 3), (240, 12)):
            last = start + self.span + timedelta(hours=upto)
            while moments[-1] < last:
                moments.append(moments[-1] + timedelta(hours=pause))
        return moments

    def plan(self) -> dict[str, Any]:
        """The sandbox's fault plan."""
        throttles = 1 / max(_CALLS_A_THROTTLE, self.trips / 15) if self.faults else 0.0
        seen = 4 * (self.kills + self.freezes) / (2 * self.trips)  # calls at which a worker can be caught
        way = {kind: self.faults * share for kind, share in _ON_THE_WAY.items()}
        way["SLOW_AFTER"] = max(way["SLOW_AFTER"], min(0.3, seen)) if self.kills else way["SLOW_AFTER"]
        way |= {"THROTTLED": throttles, "THROTTLED_LONG": throttles}
        return {
            "rates": {
                "adjust": {**way, **{kind: self.faults * share for kind, share in _OF_CARDS.items()}},
                "capture": way,
                "cancel": way,
                "refund": way,
                "payment_status": {**way, "REJECTED": self.faults * 0.3},
                "settlement": {"DECLINED": self.faults * 0.2},
                "gate": {"TWICE": self.faults * 0.2, "PARALLEL": self.faults * 0.2},
                "purchases": {"TWICE": self.faults * 0.4, "PARALLEL": self.faults * 0.4},
                "event": {"DELIVERED_TWICE": self.faults},
            },
            "retry_after_seconds": 1,
            "pending_minutes": 90,
            "settle_minutes": 120,
            "repeated_capture": "twice" if self.capture_repeat == "double" else "harmless",
            "later_attempts": LATER_ATTEMPTS,
        }

    def chance(self, *about: object) -> Random:
        """Chance that depends on the seed and on what it is about, not on what happened before."""
        return Random("|".join(map(str, (self.seed, *about))))  # noqa: S311 - repeatable, not secret
