"""A price book to load and carts to price."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

PRICES = "store_id,item_sku,price,currency,valid_from,valid_to\n"
PROMOTIONS = "promotion_id,store_id,kind,item_sku,shopping_trip_id,percentage,valid_from,valid_to,description\n"
TAXES = "store_id,product_tax_code,jurisdiction,rate,valid_from,valid_to\n"


@pytest.fixture(scope="module")
def stores(database: Engine) -> Engine:
    """Two stores, in USD and JPY."""
    with database.begin() as connection:
        for store_id, zone, currency in (("S1", "America/New_York", "USD"), ("S2", "Asia/Tokyo", "JPY")):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction,"
                    " risk_strategy, preauthorization_amount, feeds)"
                    " values (:id, 'a store', 'm', :zone, :currency, 'X', 'RETAILER_MANAGED', 75, '{FILES}')"
                ),
                {"id": store_id, "zone": zone, "currency": currency},
            )
    return database


@pytest.fixture
def price_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes prices.csv, promotions.csv or taxes.csv from data lines."""
    headers = {"prices": PRICES, "promotions": PROMOTIONS, "taxes": TAXES}

    def write(kind: str, *lines: str) -> Path:
        file = tmp_path / f"{kind}.csv"
        file.write_text(headers[kind] + "".join(f"{line}\n" for line in lines))
        return file

    return write
