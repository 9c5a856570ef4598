"""Whose trip it is: the one condition by which pages, exports and erasures look at trips."""

from __future__ import annotations

from typing import Any, Final

from backroom.entry.card_of_trip import CARD_OF_TRIP
from backroom.shoppers.contacts import Holders

OWN: Final = f"""p.shopping_trip_id in (
    select cast(:only as text)
    union all
    select mine.shopping_trip_id from purchase mine where mine.shopper_id = any(:shoppers)
    union all
    select mine.shopping_trip_id from purchase mine
    where mine.shopper_id is null and mine.shopper_identity = any(:cards)
    union all
    select mine.shopping_trip_id from shopper_authorization heard
    join purchase mine on mine.shopping_trip_id = heard.shopping_trip_id
    where heard.shopper_identity = any(:cards) and mine.shopper_id is null and mine.shopper_identity is null
      and ({CARD_OF_TRIP.format(trip="mine.shopping_trip_id")}) = any(:cards)
)"""  # noqa: S608 - constants of the code
"""Of `purchase p`: that it is theirs. A card's trip is its holder's only where no shopper of the app made it.

Each part is found by an index of its own.
"""


def values_of_holders(holders: Holders, only: str | None = None) -> dict[str, Any]:
    """What `OWN` asks for; `only`: one trip beside theirs."""
    return {"only": only, "shoppers": list(holders.shopper_ids), "cards": list(holders.cards)}
