"""Looks at both books while the simulation goes on: what is wrong for a while only is wrong too.

What Backroom counts as final may be behind the sandbox's books, never ahead of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sqlalchemy import Engine, text

from backroom_stack.simulation.stack import plain_client

_OURS: Final = text(
    """
    select c.shopping_trip_id, case when c.state = 'PARKED' then 0 else c.captured end as captured,
           coalesce(d.outstanding, 0) as outstanding, c.total
    from charge c left join debt d using (shopping_trip_id)
    where c.captured > 0 or d.outstanding > 0
    """
)


class Looks:
    """`breaches` are (number of the check, what was seen)."""

    def __init__(self, engine: Engine, sandbox_url: str) -> None:
        self._engine = engine
        self._http = plain_client(sandbox_url, timeout=120)
        self._seen: dict[tuple[int, str], str] = {}
        self.count = 0

    @property
    def breaches(self) -> list[tuple[int, str]]:
        """Each once."""
        return [(number, found) for (number, _), found in self._seen.items()]

    def look(self) -> None:
        """Hold our books against the sandbox's as they are now: ours are read first, so theirs may be further on."""
        with self._engine.connect() as connection:
            ours = connection.execute(_OURS).all()
        theirs = {trip["shopping_trip_id"]: trip for trip in self._http.get("/sandbox/money").json()["trips"]}
        self.count += 1
        for row in ours:
            trip = theirs.get(row.shopping_trip_id)
            if trip is None:
                continue
            if row.captured > Decimal(trip["captured"]):
                found = f"{row.shopping_trip_id}: {row.captured} counted as captured, {trip['captured']} was by then"
                self._seen.setdefault((2, row.shopping_trip_id), found)
            if row.outstanding > 0 and Decimal(trip["captured"]) == row.total:
                found = (
                    f"{row.shopping_trip_id}: {row.outstanding} owed, though all of {row.total} was captured by then"
                )
                self._seen.setdefault((5, row.shopping_trip_id), found)

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()
