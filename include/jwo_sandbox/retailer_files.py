"""The retailer's own files, as the sandbox reads them: stores, prices, promotions, taxes, catalog."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from jwo_sandbox import instants

FOREVER = 2**62
EVERY_BASKET = ""


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


@dataclass(frozen=True)
class Dated:
    """A value with the moments between which it is in force: from <= t < to."""

    value: Decimal
    valid_from: int
    valid_to: int
    name: str = ""

    def in_force(self, moment: int) -> bool:
        """Whether it holds at that moment."""
        return self.valid_from <= moment < self.valid_to


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
    line_promotions: dict[tuple[str, str], list[Dated]] = field(default_factory=dict)
    basket_promotions: dict[tuple[str, str], list[Dated]] = field(default_factory=dict)
    taxes: dict[tuple[str, str], list[Dated]] = field(default_factory=dict)


def read(folder: Path) -> RetailerFiles:
    """Read a world's folder. Raises OSError or ValueError when a file is missing or malformed."""
    files = RetailerFiles(stores=read_stores(folder / "stores.json"))
    for row in _rows(folder / "prices.csv"):
        key = (row["store_id"], row["item_sku"])
        files.prices.setdefault(key, []).append(_dated(row, "price"))
    for row in _rows(folder / "promotions.csv"):
        if row["kind"] == "LINE_PERCENTAGE":
            key, promotions = (row["store_id"], row["item_sku"]), files.line_promotions
        elif row["kind"] == "BASKET_PERCENTAGE":
            key, promotions = (row["store_id"], row["shopping_trip_id"] or EVERY_BASKET), files.basket_promotions
        else:
            raise ValueError(f"promotions.csv: unknown kind {row['kind']!r}")
        promotions.setdefault(key, []).append(_dated(row, "percentage", row["promotion_id"]))
    for row in _rows(folder / "taxes.csv"):
        key = (row["store_id"], row["product_tax_code"])
        files.taxes.setdefault(key, []).append(_dated(row, "rate"))
    for path in sorted((folder / "catalog").iterdir()):
        _add_products(files, path)
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
        )
        for row in json.loads(path.read_text())
    }


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


def _dated(row: dict[str, Any], column: str, name: str = "") -> Dated:
    valid_to = instants.parse(row["valid_to"]) if row["valid_to"] else FOREVER
    return Dated(Decimal(row[column]), instants.parse(row["valid_from"]), valid_to, name)
