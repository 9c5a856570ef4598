"""Builders of the catalog's tests: stores, source files, valid barcodes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from stdnum import ean

from backroom.settings import settings

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
TODAY = date(2026, 3, 2)
COLUMNS = [
    "item_sku",
    "external_product_id",
    "external_product_id_type",
    "additional_external_product_ids",
    "item_name",
    "store_id",
    "standard_price",
    "product_tax_code",
    "unit",
]


def upc(number: int) -> str:
    """A valid UPC-A of that number."""
    body = f"{number:011d}"
    return body + str(ean.calc_check_digit(body))


def item(number: int, **changes: str) -> dict[str, str]:
    """A good row of the source."""
    return {
        "item_sku": f"SKU-{number}",
        "external_product_id": upc(number),
        "external_product_id_type": "UPC",
        "additional_external_product_ids": "",
        "item_name": f"Product {number}",
        "store_id": "STORE-001",
        "standard_price": "1.99",
        "product_tax_code": "FOOD",
        "unit": "unit",
    } | changes


def write_csv(folder: Path, rows: Iterable[dict[str, str]], store: str = "STORE-001") -> Path:
    """The store's file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{store}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def ask(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    """A query's rows."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets settings of the catalog by their names without BACKROOM_, for one test."""

    def set_to(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"BACKROOM_{name.upper()}", str(value))
        settings.cache_clear()

    yield set_to
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def clean(database: Engine) -> Engine:
    """The module's database with an active store, an inactive one and no catalog."""
    with database.begin() as connection:
        connection.execute(
            text(
                "truncate catalog_run, catalog_item, catalog_barcode, catalog_accepted, catalog_notification,"
                " review_case, alert, store cascade"
            )
        )
        for store in ("STORE-001", "STORE-002"):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                    " preauthorization_amount, feeds, active) values (:store, 'A shop', 'acme', 'America/New_York',"
                    " 'USD', 'NY', 'NONE', 75, '{FILES}', :active)"
                ),
                {"store": store, "active": store == "STORE-001"},
            )
    return database
