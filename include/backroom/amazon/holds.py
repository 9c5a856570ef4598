"""Holds: until when nobody calls an API that has said "too many requests" (429 with `Retry-After`).

A limit belongs to the account, not to a store or a process: whoever hears a 429 writes the hold, and everyone who
shares the limit asks for it before a batch and obeys it inside. A hold is in business time; who writes one in the
middle of a batch moves the batch's `now` on by the time that has passed since it began (`moved_on`), so that none ends
too early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

PAYMENTS: Final = "PAYMENTS"
"""The payment service: one limit for every store, for charges, refunds and payment status."""

_HOLD: Final = text(
    """
    insert into api_hold (api, held_until, reason, set_at) values (:api, :until, :reason, :now)
    on conflict (api) do update set held_until = excluded.held_until, reason = excluded.reason, set_at = excluded.set_at
    where api_hold.held_until < excluded.held_until
    """
)
_HELD: Final = text("select held_until from api_hold where api = :api and held_until > :now")


def of_store(api: str, store_id: str) -> str:
    """The name of a hold that binds one store only, such as after a 403."""
    return f"{api} {store_id}"


def hold(connection: Connection, api: str, *, until: datetime, reason: str, now: datetime) -> None:
    """Nobody calls `api` before `until` (business time). Never shortens a hold. In the caller's transaction."""
    connection.execute(_HOLD, {"api": api, "until": until, "reason": reason, "now": now})


def held_until(connection: Connection, api: str, *, now: datetime) -> datetime | None:
    """Until when `api` is held, as seen at `now` (business time); None where it may be called."""
    held = connection.execute(_HELD, {"api": api, "now": now}).scalar_one_or_none()
    return held if isinstance(held, datetime) else None


def moved_on(now: datetime, *, clock: Callable[[], float] = time.monotonic) -> Callable[[], datetime]:
    """A batch's own business time: `now` when it began, moved on by the seconds (of `clock`) that have passed since."""
    began = clock()
    return lambda: now + timedelta(seconds=max(clock() - began, 0.0))
