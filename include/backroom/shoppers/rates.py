"""How often something may be tried: counted in the database, so that every process of the portal counts together.

Who tries is kept as a keyed hash only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from backroom.shoppers.sealing import Seal


@dataclass(frozen=True)
class Limit:
    """At most so many tries of one thing by one in each window of time."""

    name: str
    times: int
    window: timedelta


LINKS_BY_ADDRESS: Final = Limit("link to", 5, timedelta(hours=1))
LINKS_BY_CALLER: Final = Limit("link from", 20, timedelta(hours=1))
LOOK_UPS_BY_CALLER: Final = Limit("look-up from", 10, timedelta(hours=1))
LOOK_UPS_OF_CARD: Final = Limit("look-up of", 5, timedelta(hours=1))
"""Of one store, day and last four, whoever tries: the rest can't be guessed from many places."""
RESENDS_OF_TRIP: Final = Limit("resend of", 3, timedelta(hours=1))
TOKENS_BY_CALLER: Final = Limit("token from", 30, timedelta(hours=1))

_COUNT: Final = text(
    """
    insert into rate_count (bucket, window_start, times) values (:bucket, :start, 1)
    on conflict (bucket, window_start) do update set times = rate_count.times + 1
    returning times
    """
)


def take(connection: Connection, seal: Seal, limit: Limit, who: str, *, now: datetime) -> bool:
    """Counts one more try by `who`; False where it is beyond the limit."""
    seconds = int(limit.window.total_seconds())
    start = datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, tz=now.tzinfo)
    bucket = f"{limit.name} {seal.index(f'{limit.name} {who}')}"
    times: int = connection.execute(_COUNT, {"bucket": bucket, "start": start}).scalar_one()
    return times <= limit.times
