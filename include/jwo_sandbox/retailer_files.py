"""The retailer's own files, as the sandbox reads them: stores, prices, promotions, taxes, catalog, loyalty accounts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from jwo_sandbox import instants

FOREVER = 2**62
KINDS = ("LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT")
"""Of promotions, in the order in which those that stack are applied where their `stacking_order` is the same."""


@dataclass(frozen=True)
class Store:
    """One store; the pre-authorization amount is in the store's currency."""

    store_id: str
    merchant: str
    time_zone: str
    currency: str
    risk_strategy: str
    preauthorization_amount: Decimal
    feeds: tuple[str, ...]
    prices_include_tax: bool = False
    after_decline: str = "none"
    store_type: str = "JWO"


@dataclass(frozen=True)
class Dated:
    """A value with the moments between which it is in force: from <= t < to."""

    value: Decimal
    valid_from: int
    valid_to: int

    def in_force(self, moment: int) -> bool:
        """Whether it holds at that moment."""
        return self.valid_from <= moment < self.valid_to


@dataclass(frozen=True)
class Promotion:
    """A row of promotions.csv. `percentage` is a fraction; `amount` and `minimum_amount` are in the currency."""

    promotion_id: str
    kind: str
    valid_from: int
    valid_to: int
    item_skus: frozenset[str] = frozenset()
    shopping_trip_id: str = ""
    percentage: Fraction = Fraction(0)
    amount: Fraction = Fraction(0)
    buy_quantity: int = 0
    get_quantity: int = 0
    minimum_amount: Fraction | None = None
    stacks: bool = False
    stacking_order: int = 0
    loyalty: bool = False

    def in_force(self, moment: int) -> bool:
        """Whether it holds at that moment."""
        return self.valid_from <= moment < self.valid_to


@dataclass(frozen=True)
class LoyaltyAccount:
    """An entry of loyalty.json, without what is scanned."""

    loyalty_id: str
    shopper_id: str | None
    active: bool
    promotion_ids: frozenset[str]


@dataclass(frozen=True)
class Product:
    """What a shelf knows of one SKU."""

    item_sku: str
    unit: str
    tax_code: str
    barcode: str


@dataclass
class RetailerFiles:
    """Everything that pricing needs, by store."""

    stores: dict[str, Store] = field(default_factory=dict)
    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    barcodes: dict[tuple[str, str], str] = field(default_factory=dict)
    prices: dict[tuple[str, str], list[Dated]] = field(default_factory=dict)
    promotions: dict[str, list[Promotion]] = field(default_factory=dict)
    taxes: dict[tuple[str, str], list[Dated]] = field(default_factory=dict)
    accounts: list[LoyaltyAccount] = field(default_factory=list)


def read(folder: Path) -> RetailerFiles:
    """Read a world's folder. Raises OSError or ValueError when a file is missing or malformed."""
    files = RetailerFiles(stores=read_stores(folder / "stores.json"))
    for row in _rows(folder / "prices.csv"):
        key = (row["store_id"], row["item_sku"])
        files.prices.setdefault(key, []).append(_dated(row, "price"))
    for row in _rows(folder / "promotions.csv"):
        files.promotions.setdefault(row["store_id"], []).append(promotion_of(row))
    for row in _rows(folder / "taxes.csv"):
        key = (row["store_id"], row["product_tax_code"])
        files.taxes.setdefault(key, []).append(_dated(row, "rate"))
    for path in sorted((folder / "catalog").iterdir()):
        _add_products(files, path)
    if (folder / "loyalty.json").exists():
        files.accounts = [_account(row) for row in json.loads((folder / "loyalty.json").read_text())]
    return files


def read_stores(path: Path) -> dict[str, Store]:
    """The stores by id."""
    return {
        row["store_id"]: Store(
            store_id=row["store_id"],
            merchant=row["merchant"],
            time_zone=row["time_zone"],
            currency=row["currency"],
            risk_strategy=row["risk_strategy"],
            preauthorization_amount=Decimal(row["preauthorization_amount"]),
            feeds=tuple(row["feeds"]),
            prices_include_tax=bool(row.get("prices_include_tax")),
            after_decline=row.get("after_decline", "none"),
            store_type=row.get("store_type", "JWO"),
        )
        for row in json.loads(path.read_text())
    }


def promotion_of(row: dict[str, Any]) -> Promotion:
    """The promotion of a row of promotions.csv; the columns from `amount` on may be missing from the file."""
    if row["kind"] not in KINDS:
        raise ValueError(f"promotions.csv: unknown kind {row['kind']!r}")
    return Promotion(
        promotion_id=row["promotion_id"],
        kind=row["kind"],
        valid_from=instants.parse(row["valid_from"]),
        valid_to=_end(row),
        item_skus=frozenset(sku.strip() for sku in row["item_sku"].split(";") if sku.strip()),
        shopping_trip_id=row["shopping_trip_id"],
        percentage=Fraction(row["percentage"] or 0),
        amount=Fraction(row.get("amount") or 0),
        buy_quantity=int(row.get("buy_quantity") or 0),
        get_quantity=int(row.get("get_quantity") or 0),
        minimum_amount=Fraction(row["minimum_amount"]) if row.get("minimum_amount") else None,
        stacks=row.get("stacks") == "true",
        stacking_order=int(row.get("stacking_order") or 0),
        loyalty=row.get("loyalty") == "true",
    )


def _add_products(files: RetailerFiles, path: Path) -> None:
    for row in _rows(path) if path.suffix == ".csv" else _parquet_rows(path):
        sku = row["item_sku"]
        if not sku or not row["item_name"]:
            continue
        files.products[row["store_id"], sku] = Product(
            sku, row["unit"] or "unit", row["product_tax_code"] or "", row["external_product_id"]
        )
        for barcode in (row["external_product_id"], *(row["additional_external_product_ids"] or "").split(";")):
            if barcode:
                files.barcodes[row["store_id"], barcode] = sku


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    yield from parquet.read_table(path).to_pylist()


def _dated(row: dict[str, Any], column: str) -> Dated:
    return Dated(Decimal(row[column]), instants.parse(row["valid_from"]), _end(row))


def _end(row: dict[str, Any]) -> int:
    return instants.parse(row["valid_to"]) if row["valid_to"] else FOREVER


def _account(row: dict[str, Any]) -> LoyaltyAccount:
    promotions = frozenset(row.get("promotion_ids", ()))
    return LoyaltyAccount(row["loyalty_id"], row.get("shopper_id"), row.get("active", True), promotions)
