"""Loyalty cards: a few of the day's trips show one. Drawn apart, so that the rest of the day stays as it is."""

from __future__ import annotations

import random
import uuid
from typing import Any

from jwo_sandbox import instants

SHARE = 0.03
FEWEST = 4
PROVIDER = "Backroom Green Points"
AFTER_ENTRY = 8 * instants.SECOND


def give_cards(trips: list[dict[str, Any]], shoppers: dict[str, dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Rows of loyalty.json; puts `loyalty` into the trips that show a card. The last card is in no file.

    Cards of shoppers who come by app are theirs (`shopper_id`); those of card entry belong to nobody whom we know.
    """
    rng = random.Random(f"loyalty {seed}")  # noqa: S311 (a repeatable day, not a secret)
    ordinary = [trip for trip in trips if trip["kind"] == "ORDINARY" and trip["cart"]]
    chosen = rng.sample(ordinary, min(len(ordinary), max(FEWEST, int(SHARE * len(trips)))))
    owners = {way: row["shopper_id"] for row in shoppers.values() for way in (*row["keys"], *row["tokens"])}
    accounts: dict[str, dict[str, Any]] = {}
    for number, trip in enumerate(chosen, start=1):
        entry = trip["entries"][0]
        shopper_id = owners.get(entry.get("token") or entry.get("key"))
        loyalty_id = f"green-{shopper_id or f'{number:05d}'}"
        known = accounts.get(loyalty_id, {"key": f"GP-{rng.getrandbits(48):012x}"})
        trip["loyalty"] = {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "at": instants.text(instants.parse(entry["at"]) + AFTER_ENTRY),
            "key": known["key"] if number < len(chosen) else f"GP-unknown-{rng.getrandbits(32):08x}",
        }
        if number < len(chosen):
            accounts[loyalty_id] = {
                "loyalty_id": loyalty_id,
                "key": known["key"],
                "provider": PROVIDER,
                **({"shopper_id": shopper_id} if shopper_id else {}),
                "promotion_ids": [],
            }
    return [accounts[name] for name in sorted(accounts)]


def give_promotions(accounts: list[dict[str, Any]], promotion_ids: list[str]) -> list[dict[str, Any]]:
    """The accounts with promotions that are theirs."""
    return [{**account, "promotion_ids": promotion_ids} for account in accounts]
