"""Which fault befalls which call: a pure function of (seed, trip, operation, attempt).

A plan gives rates per operation and kind. Trips that are known when the plan is made are ranked by a hash, and the
first of them get the faults, so that 2 % of 1,000 trips are 20 and not about 20; a trip that comes later is judged by
its hash alone. So no fault depends on who arrives first. Single trips can be given faults by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jwo_sandbox import planting

THROTTLED = "THROTTLED"
THROTTLED_LONG = "THROTTLED_LONG"
SERVER_ERROR = "SERVER_ERROR"
UNAVAILABLE = "UNAVAILABLE"
DROPPED_BEFORE = "DROPPED_BEFORE"
DROPPED_AFTER = "DROPPED_AFTER"
HANGS_AFTER = "HANGS_AFTER"
SLOW_AFTER = "SLOW_AFTER"
REJECTED = "REJECTED"
DECLINED = "DECLINED"
DECLINED_ONCE = "DECLINED_ONCE"
PARTIAL = "PARTIAL"
PENDING = "PENDING"
PENDING_FOREVER = "PENDING_FOREVER"
TWICE = "TWICE"
PARALLEL = "PARALLEL"
ANNOUNCED_TWICE = "ANNOUNCED_TWICE"
REWRITTEN = "REWRITTEN"
BROKEN_ROW = "BROKEN_ROW"
DELIVERED_TWICE = "DELIVERED_TWICE"
FINAL_ERROR = "FINAL_ERROR"
FATAL = "FATAL"
CANCELLED = "CANCELLED"
NOT_TOLD = "NOT_TOLD"
LATE = "LATE"

TRANSPORT = frozenset(
    {THROTTLED, THROTTLED_LONG, SERVER_ERROR, UNAVAILABLE, DROPPED_BEFORE, DROPPED_AFTER, HANGS_AFTER, SLOW_AFTER}
)
PUBLISHED_RETRY_AFTER = 600
KINDS: dict[str, frozenset[str]] = {
    "adjust": TRANSPORT | {DECLINED, DECLINED_ONCE, PARTIAL, PENDING, PENDING_FOREVER},
    "capture": TRANSPORT,
    "settlement": frozenset({DECLINED, LATE}),
    "cancel": TRANSPORT,
    "refund": TRANSPORT,
    "payment_status": TRANSPORT | {REJECTED},
    "transactional_data": TRANSPORT,
    "shopper_identity": TRANSPORT,
    "catalog_upload": TRANSPORT | {FINAL_ERROR},
    "catalog_cart_upload": TRANSPORT | {FINAL_ERROR},
    "catalog_archive": TRANSPORT | {FINAL_ERROR},
    "catalog_status": TRANSPORT,
    "catalog_ingestion": frozenset({FATAL, CANCELLED}),
    "catalog_news": frozenset({DELIVERED_TWICE, NOT_TOLD}),
    "gate": frozenset({TWICE, PARALLEL}),
    "purchases": frozenset({TWICE, PARALLEL}),
    "file": frozenset({ANNOUNCED_TWICE, REWRITTEN, BROKEN_ROW}),
    "event": frozenset({DELIVERED_TWICE}),
    "report": planting.KINDS | planting.AS_IT_IS | planting.IN_EVENTS | planting.IN_PAYOUTS,
}
"""Operations and what may befall each. `settlement` is what becomes of a capture that was initiated, `report` what
the retailer is told wrongly of a trip. Calls, ingestions and news of the catalog are named by their number."""
EVERY_ATTEMPT = frozenset({DECLINED, PARTIAL})
"""Kinds that befall every attempt; the others befall the first alone."""

DEMO: dict[str, Any] = {
    "rates": {
        "adjust": {
            DECLINED: 0.025,
            DECLINED_ONCE: 0.005,
            PENDING: 0.02,
            PENDING_FOREVER: 0.0017,
            THROTTLED: 0.01,
            SERVER_ERROR: 0.01,
            DROPPED_AFTER: 0.006,
            HANGS_AFTER: 0.004,
        },
        "capture": {THROTTLED: 0.01, SERVER_ERROR: 0.0012, DROPPED_AFTER: 0.006, HANGS_AFTER: 0.004},
        "settlement": {DECLINED: 0.01},
        "cancel": {THROTTLED: 0.1, SERVER_ERROR: 0.1},
        "file": {ANNOUNCED_TWICE: 0.03, REWRITTEN: 0.03, BROKEN_ROW: 0.01},
        "event": {DELIVERED_TWICE: 0.02},
    }
}
NAMED: dict[str, dict[str, Any]] = {"none": {}, "demo": DEMO}


@dataclass(frozen=True)
class FaultPlan:
    """Rates, the faults of single trips, and the figures that faults need."""

    seed: int = 0
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    trips: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    ranked: dict[str, dict[str, str]] = field(default_factory=dict)
    retry_after_seconds: int = 1
    pending_minutes: int = 30
    settle_minutes: int = 20
    late_minutes: int = 500
    """How much later a capture settles, where the plan says so."""
    planted_after_minutes: int = 0
    """How long after its settlement an order is told as it is, before the break in its rows; 0: never."""
    repeated_capture: str = "twice"
    catalog_polls: int = 3
    later_attempts: float = 0.0
    """What of the transport faults' rates holds for each attempt after the first, drawn anew; 0: none befalls them."""

    def fault(self, trip_id: str, operation: str, attempt: int) -> str | None:
        """What befalls this attempt (counted from 1), or None."""
        named = self.trips.get(trip_id, {}).get(operation)
        if named is not None:
            return (named[attempt - 1] or None) if attempt <= len(named) else None
        known = self.ranked.get(operation)
        if known is not None and trip_id in known:
            kind: str | None = known[trip_id] or None
        else:
            kind = self._by_hash(trip_id, operation)
        if kind and (attempt == 1 or kind in EVERY_ATTEMPT):
            return kind
        later = attempt > 1 and self.later_attempts > 0
        return self._by_hash(f"{trip_id}|{attempt}", operation, TRANSPORT, self.later_attempts) if later else None

    def reports(self, trip_id: str) -> list[str]:
        """What the retailer is told wrongly of a trip; by name, a trip may have several such kinds."""
        named = self.trips.get(trip_id, {}).get("report")
        if named is None:
            named = [self.fault(trip_id, "report", 1) or ""]
        return [kind for kind in named if kind]

    def _by_hash(
        self, subject: str, operation: str, among: frozenset[str] | None = None, share: float = 1.0
    ) -> str | None:
        place = _draw(self.seed, operation, subject) / 2**64
        for kind, rate in self.rates.get(operation, {}).items():
            if among is not None and kind not in among:
                continue
            if place < rate * share:
                return kind
            place -= rate * share
        return None


def make_plan(asked: Any, seed: int, trips: Mapping[str, bool] = MappingProxyType({})) -> FaultPlan:
    """The plan of a load request: "none", "demo", or an object.

    `trips` says of each known trip whether it has a cart: adjustments and captures are ranked among those that have
    one, cancellations among those that have none. The object:
    {"rates": {operation: {kind: rate}}, "trips": {trip id: {operation: [kind of attempt 1, 2, …]}}} and any of
    retry_after_seconds, pending_minutes, settle_minutes, late_minutes, planted_after_minutes, repeated_capture ("twice"
    or "harmless"), catalog_polls, later_attempts.
    "" in a trip's list is an attempt without a fault. The list of `report` is no list of attempts: all its kinds are
    planted, as far as they go together (planting.check_together). Raises ValueError for what it does not know.
    """
    plan = NAMED.get(asked or "none") if asked is None or isinstance(asked, str) else asked
    if not isinstance(plan, dict):
        raise ValueError(f"faults: must be one of {sorted(NAMED)} or an object (it is {asked!r})")
    known = {"rates", "trips", "retry_after_seconds", "pending_minutes", "settle_minutes", "repeated_capture"}
    known |= {"catalog_polls", "later_attempts", "late_minutes", "planted_after_minutes"}
    unknown = set(plan) - known
    if unknown:
        raise ValueError(f"faults: unknown {sorted(unknown)}")
    rates = {name: {kind: float(rate) for kind, rate in kinds.items()} for name, kinds in plan.get("rates", {}).items()}
    named_trips = plan.get("trips", {})
    for operation, kinds in [*rates.items(), *(item for named in named_trips.values() for item in named.items())]:
        strange = set(kinds) - KINDS.get(operation, frozenset()) - {""}
        if operation not in KINDS or strange:
            raise ValueError(f"faults: {operation} with {sorted(kinds)}; known: {sorted(KINDS.get(operation, KINDS))}")
    for named in named_trips.values():
        planting.check_together([kind for kind in named.get("report", ()) if kind])
    ranked = {
        operation: _ranked(seed, operation, kinds, [trip for trip, has_cart in trips.items() if has_cart is wanted])
        for operation, kinds in rates.items()
        for wanted in [operation != "cancel"]
        if operation not in ("file", "event")
    }
    figures = {name: plan[name] for name in plan if name not in ("rates", "trips")}
    if "later_attempts" in figures:
        figures["later_attempts"] = float(figures["later_attempts"])
    return FaultPlan(seed=seed, rates=rates, trips=named_trips, ranked=ranked, **figures)


def _ranked(seed: int, operation: str, kinds: dict[str, float], trip_ids: list[str]) -> dict[str, str]:
    """Each known trip's kind ("" for none): the trips with the smallest hashes get the kinds, in the plan's order."""
    order = sorted(trip_ids, key=lambda trip_id: _draw(seed, operation, trip_id))
    found = dict.fromkeys(order, "")
    start = 0
    for kind, rate in kinds.items():
        count = int(rate * len(order) + 0.5)
        found.update(dict.fromkeys(order[start : start + count], kind))
        start += count
    return found


def _draw(seed: int, operation: str, subject: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{operation}|{subject}".encode()).digest()[:8])
