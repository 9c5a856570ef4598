"""The price book is loaded whole or not at all; what is wrong is named by file, line and column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.errors import SourceFileError
from backroom.purchases.commands import app
from backroom.purchases.price_book import load_prices, load_promotions, load_taxes

PriceFile = Callable[..., Path]


def prices(engine: Engine, store_id: str) -> list[tuple[str, Decimal]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("select item_sku, amount from shelf_price where store_id = :store order by 1, valid_from"),
            {"store": store_id},
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


def test_a_file_replaces_the_rows_of_the_stores_that_it_names(stores: Engine, price_file: PriceFile) -> None:
    with stores.begin() as connection:
        load_prices(
            connection,
            price_file("prices", "S1,A,1.50,USD,2026-01-01T00:00:00Z,", "S2,A,200,JPY,2026-01-01T00:00:00Z,"),
        )
        load_prices(
            connection,
            price_file(
                "prices",
                "S1,B,2.25,USD,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z",
                "S1,B,2.50,USD,2026-02-01T00:00:00Z,",
            ),
        )
    assert prices(stores, "S1") == [("B", Decimal("2.25")), ("B", Decimal("2.5"))]
    assert prices(stores, "S2") == [("A", Decimal(200))]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("S1,A,cheap,USD,2026-01-01T00:00:00Z,", "line 3, column 'price'"),
        ("S1,A,-1,USD,2026-01-01T00:00:00Z,", "line 3, column 'price'"),
        ("S1,A,1e3,USD,2026-01-01T00:00:00Z,", "line 3, column 'price'"),
        ("S1,A,1.00001,USD,2026-01-01T00:00:00Z,", "more than 4 decimal places"),
        ("S1,A,1.00,USD,2026-01-01T00:00:00,", "line 3, column 'valid_from'"),
        ("S1,A,1.00,USD,2026-01-01T00:00:00Z,2025-01-01T00:00:00Z", "valid_to is not after valid_from"),
        ("S1,A,1.00,EUR,2026-01-01T00:00:00Z,", "'EUR' is not the store's currency"),
        ("S9,A,1.00,USD,2026-01-01T00:00:00Z,", "there is no store 'S9'"),
        ("S1,OK,3.00,USD,2026-05-01T00:00:00Z,", "the price of line 2 is still valid then"),
        ("S1,A,1.00,USD", "line 3: 4 cells under 6 columns"),
        (',"A', "line 3"),
        (",A,1.00,USD,2026-01-01T00:00:00Z,", "line 3, column 'store_id'"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_loaded(
    stores: Engine, price_file: PriceFile, line: str, complaint: str
) -> None:
    before = prices(stores, "S1")
    file = price_file("prices", "S1,OK,1.00,USD,2026-01-01T00:00:00Z,", line)
    with pytest.raises(SourceFileError) as refused, stores.begin() as connection:
        load_prices(connection, file)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert prices(stores, "S1") == before


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("P1,S1,LINE_PERCENTAGE,,,0.1,2026-01-01T00:00:00Z,,", "column 'item_sku': LINE_PERCENTAGE needs it"),
        ("P1,S1,LINE_PERCENTAGE,A,T,0.1,2026-01-01T00:00:00Z,,", "column 'shopping_trip_id': goes with BASKET_… only"),
        ("P1,S1,BASKET_PERCENTAGE,,T,12.5,2026-01-01T00:00:00Z,,", "0.125 is 12.5 %"),
        ("P1,S1,BUY_ONE,A,,0.1,2026-01-01T00:00:00Z,,", "column 'kind'"),
        ("P0,S1,BASKET_PERCENTAGE,,,0.1,2026-01-01T00:00:00Z,,", "'P0' is there twice"),
        ("THEIRS,S1,BASKET_PERCENTAGE,,,0.1,2026-01-01T00:00:00Z,,", "'THEIRS' belongs to another store"),
    ],
)
def test_a_wrong_promotion_is_named(stores: Engine, price_file: PriceFile, line: str, complaint: str) -> None:
    with stores.begin() as connection:
        load_promotions(
            connection, price_file("promotions", "THEIRS,S2,BASKET_PERCENTAGE,,,0.1,2026-01-01T00:00:00Z,,")
        )
    file = price_file("promotions", "P0,S1,LINE_PERCENTAGE,A,,0.125000,2026-01-01T00:00:00Z,,ok", line)
    with pytest.raises(SourceFileError) as refused, stores.begin() as connection:
        load_promotions(connection, file)
    assert complaint in str(refused.value)
    assert "line 3" in str(refused.value)


def test_tax_rates_do_not_overlap(stores: Engine, price_file: PriceFile) -> None:
    file = price_file(
        "taxes",
        "S1,FOOD,NY,0.082500,2026-03-01T00:00:00Z,",
        "S1,FOOD,NY,0.080000,2026-01-01T00:00:00Z,2026-03-02T00:00:00Z",
    )
    with pytest.raises(SourceFileError, match=r"line 2, .*the rate of line 3"), stores.begin() as connection:
        load_taxes(connection, file)


def test_the_pipelines_role_may_load(stores: Engine, price_file: PriceFile) -> None:
    file = price_file("prices", "S1,A,1.50,USD,2026-01-01T00:00:00Z,")
    with stores.connect() as connection:
        connection.execute(text("set role backroom_pipeline"))
        assert load_prices(connection, file) == 1


def test_the_command_loads_all_three_files_or_none(stores: Engine, price_file: PriceFile) -> None:
    folder = price_file("prices", "S2,NEW,150,JPY,2026-01-01T00:00:00Z,").parent
    price_file("promotions")
    refused = CliRunner().invoke(app, ["load", "--folder", str(folder)])
    assert isinstance(refused.exception, SourceFileError)
    assert ("NEW", Decimal(150)) not in prices(stores, "S2")
    price_file("taxes", "S2,FOOD,JP,0.080000,2026-01-01T00:00:00Z,")
    done = CliRunner().invoke(app, ["load", "--folder", str(folder)])
    assert done.output == "1 prices, 0 promotions, 1 tax rates loaded\n"
    assert ("NEW", Decimal(150)) in prices(stores, "S2")
