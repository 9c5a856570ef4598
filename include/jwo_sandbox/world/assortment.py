"""The catalog: real products with their most frequent price, made-up barcodes, tax codes, and goods sold by weight."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from jwo_sandbox.barcodes import check_digit
from jwo_sandbox.world.baskets import Basket, Source

WEIGHED_DEPARTMENTS = ("PRODUCE", "MEAT", "SEAFOOD", "DELI")
WEIGHED_SHARE = 0.25
UNSOLD = 20
"""At least so many products that nobody buys that day."""
TAX_CODES = {
    "FOOD_EXEMPT": ("GROCERY", "PRODUCE", "MEAT", "MEAT-PCKGD", "PASTRY", "SEAFOOD", "SEAFOOD-PCKGD", "FROZEN GROCERY"),
    "FOOD_PREPARED": ("DELI", "RESTAURANT", "SALAD BAR", "CHEF SHOPPE"),
    "ALCOHOL": ("SPIRITS",),
}
"""Departments by tax code; the others have the standard one."""
STANDARD_TAX = "GENERAL"
CATALOG_COLUMNS = [
    "item_sku",
    "external_product_id",
    "external_product_id_type",
    "additional_external_product_ids",
    "item_name",
    "store_id",
    "standard_price",
    "brand_name",
    "product_tax_code",
    "product_category",
    "product_subcategory",
    "unit",
]


@dataclass(frozen=True)
class Article:
    """One product of ours; its price in cents per unit, by store."""

    product_id: int
    name: str
    brand: str
    category: str
    subcategory: str
    department: str
    tax_code: str
    barcode: str
    more_barcodes: tuple[str, ...]
    unit: str
    cents: dict[str, int] = field(default_factory=dict)

    @property
    def sku(self) -> str:
        """Our stock keeping unit."""
        return f"SKU-{self.product_id}"


@dataclass
class Assortment:
    """The articles by product id, and which of them each store has on its shelves."""

    articles: dict[int, Article]
    sold: dict[str, set[int]]
    shelves: dict[str, list[int]]
    broken: list[dict[str, str]] = field(default_factory=list)


def assemble(
    source: Source, baskets: list[Basket], per_store: int, store_ids: list[str], rng: random.Random
) -> Assortment:
    """What each store's baskets hold, and others up to `per_store` products (but always some that are not sold)."""
    sold: dict[str, set[int]] = {store_id: set() for store_id in store_ids}
    for basket in baskets:
        sold[basket.store_id].update(line.product_id for line in basket.lines)
    everything = set().union(*sold.values())
    prices, extra = _prices(baskets), _extra(source, everything, max(UNSOLD, per_store - len(everything)), rng)
    rows = source.products[source.products["product_id"].isin(everything | extra.keys())].sort_values("product_id")
    articles = {}
    for row in rows.to_dict("records"):
        article = _article(row, rng)
        product_id = article.product_id
        overall = prices.get(("", product_id)) or extra[product_id]
        cents = {store_id: prices.get((store_id, product_id), overall) for store_id in store_ids}
        articles[product_id] = replace(article, cents=cents)
    shelves = {}
    for store_id in store_ids:
        others = [product_id for product_id in articles if product_id not in sold[store_id]]
        filling = rng.sample(others, min(len(others), max(UNSOLD, per_store - len(sold[store_id]))))
        shelves[store_id] = sorted(sold[store_id].union(filling))
    return Assortment(articles, sold, shelves)


def catalog_rows(assortment: Assortment, store_id: str, rng: random.Random) -> list[dict[str, str]]:
    """A store's catalog file, with two broken rows among the products that no basket holds."""
    shelf = assortment.shelves[store_id]
    rows = [_row(assortment.articles[product_id], store_id) for product_id in shelf]
    unsold = [place for place, product_id in enumerate(shelf) if product_id not in assortment.sold[store_id]]
    wrong_digit, nameless = (rows[place] for place in rng.sample(unsold, 2))
    barcode = wrong_digit["external_product_id"]
    wrong_digit["external_product_id"] = barcode[:-1] + str((int(barcode[-1]) + 1) % 10)
    nameless["item_name"] = ""
    for row, what in ((wrong_digit, "check digit is wrong"), (nameless, "name is missing")):
        assortment.broken.append({"store_id": store_id, "item_sku": row["item_sku"], "what": what})
    return rows


def _prices(baskets: list[Basket]) -> dict[tuple[str, int], int]:
    """The most frequent whole-cent price of a product in each store, and over both (store ""); of equals the higher."""
    seen: dict[tuple[str, int], Counter[int]] = {}
    for basket in baskets:
        for line in basket.lines:
            cents, rest = divmod(line.gross_cents, line.quantity)
            for store in (basket.store_id, ""):
                prices = seen.setdefault((store, line.product_id), Counter())
                prices[max(1, cents)] += 1 if rest == 0 else 0
    return {key: max(prices.items(), key=lambda item: (item[1], item[0]))[0] for key, prices in seen.items()}


def _extra(source: Source, sold: set[int], count: int, rng: random.Random) -> dict[int, int]:
    """Products that no chosen basket holds, with the most frequent price of the whole year."""
    rows = source.transactions
    product_ids = sorted(set(source.products["product_id"]) & set(rows["product_id"].unique()) - sold)
    chosen = set(rng.sample(product_ids, min(count, len(product_ids))))
    rows = rows[rows["product_id"].isin(chosen) & (rows["quantity"] > 0) & (rows["quantity"] <= 100)]
    gross = rows["sales_value"] + rows["retail_disc"] + rows["coupon_match_disc"]
    cents = (gross * 100 / rows["quantity"]).round().astype("int64")
    found: dict[int, int] = {}
    counts = cents.groupby([rows["product_id"], cents]).size()
    best: dict[int, tuple[int, int]] = {}
    for (product_id, price), times in counts.items():
        if price > 0:
            best[int(product_id)] = max(best.get(int(product_id), (0, 0)), (int(times), int(price)))
    found.update({product_id: price for product_id, (_, price) in best.items()})
    return found


def _article(row: dict[str, Any], rng: random.Random) -> Article:
    product_id, department = int(row["product_id"]), str(row["department"])
    category, kind, size = (_clean(row[name]) for name in ("product_category", "product_type", "package_size"))
    weighed = department in WEIGHED_DEPARTMENTS and rng.random() < WEIGHED_SHARE
    unit = rng.choice(("lb", "lb", "kg")) if weighed else "unit"
    name = " ".join(part for part in (kind.title() or category.title() or "Grocery", "" if weighed else size) if part)
    more = _with_check_digit(f"20{product_id:010d}") if rng.random() < 0.05 else None
    codes = (code for code, departments in TAX_CODES.items() if department in departments)
    return Article(
        product_id=product_id,
        name=name[:100],
        brand="Store Brand" if row["brand"] == "Private" else "National Brand",
        category=category.title() or "Other",
        subcategory=kind.title() or "Other",
        department=department,
        tax_code=next(codes, STANDARD_TAX),
        barcode=_with_check_digit(f"7{product_id:010d}"),
        more_barcodes=(more,) if more else (),
        unit=unit,
    )


def _row(article: Article, store_id: str) -> dict[str, str]:
    cents = article.cents[store_id]
    values = (
        article.sku,
        article.barcode,
        "UPC",
        ";".join(article.more_barcodes),
        article.name,
        store_id,
        f"{cents // 100}.{cents % 100:02d}",
        article.brand,
        article.tax_code,
        article.category,
        article.subcategory,
        article.unit,
    )
    return dict(zip(CATALOG_COLUMNS, values, strict=True))


def _clean(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return " ".join("".join(character for character in text if " " <= character <= "~").split())


def _with_check_digit(digits: str) -> str:
    return digits + check_digit(digits)
