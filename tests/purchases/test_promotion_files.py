"""promotions.csv: every column of every kind is checked, and loading replaces the products of a promotion too."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.errors import SourceFileError
from backroom.purchases.price_book import load_promotions

COLUMNS = (
    "promotion_id", "store_id", "kind", "item_sku", "shopping_trip_id", "percentage", "valid_from", "valid_to",
    "description", "amount", "buy_quantity", "get_quantity", "minimum_amount", "stacks", "stacking_order", "loyalty",
)  # fmt: skip
GOOD = {"promotion_id": "P", "store_id": "S1", "valid_from": "2026-01-01T00:00:00Z"}
BXGY = {"kind": "BUY_X_GET_Y", "item_sku": "A;B", "percentage": "1", "buy_quantity": "2", "get_quantity": "1"}


def write(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    file = folder / "promotions.csv"
    lines = [",".join(columns), *(",".join(({**GOOD, **row}).get(name, "") for name in columns) for row in rows)]
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def stored(engine: Engine, store_id: str = "S1") -> dict[str, tuple[object, ...]]:
    """By promotion id: kind, and the products in their order."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select promotion_id, kind, array(select item_sku from promotion_item as item"
                " where item.promotion_id = promotion.promotion_id and item.store_id = promotion.store_id order by 1)"
                " from promotion where store_id = :store"
            ),
            {"store": store_id},
        )
        return {row[0]: (row[1], row[2]) for row in rows}


def test_every_kind_is_loaded_with_its_products(stores: Engine, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"promotion_id": "LP", "kind": "LINE_PERCENTAGE", "item_sku": "A; B;C", "percentage": "0.125"},
        {"promotion_id": "LA", "kind": "LINE_AMOUNT", "item_sku": "A", "amount": "0.5000"},
        {"promotion_id": "BXGY", **BXGY},
        {"promotion_id": "BP", "kind": "BASKET_PERCENTAGE", "percentage": "0.1", "shopping_trip_id": "T"},
        {
            "promotion_id": "BA", "kind": "BASKET_AMOUNT", "amount": "5", "minimum_amount": "50.00", "stacks": "true",
            "stacking_order": "7", "loyalty": "true", "description": "five off fifty",
        },
    )  # fmt: skip
    with stores.begin() as connection:
        assert load_promotions(connection, file) == 5
    assert stored(stores) == {
        "LP": ("LINE_PERCENTAGE", ["A", "B", "C"]),
        "LA": ("LINE_AMOUNT", ["A"]),
        "BXGY": ("BUY_X_GET_Y", ["A", "B"]),
        "BP": ("BASKET_PERCENTAGE", []),
        "BA": ("BASKET_AMOUNT", []),
    }
    with stores.connect() as connection:
        row = connection.execute(text("select * from promotion where promotion_id = 'BA'")).one()
    assert (row.amount, row.minimum_amount, row.stacks, row.stacking_order, row.loyalty, row.percentage) == (
        Decimal(5), Decimal(50), True, 7, True, None,
    )  # fmt: skip
    assert row.valid_from == datetime(2026, 1, 1, tzinfo=UTC)


def test_loading_again_replaces_promotions_and_their_products(stores: Engine, tmp_path: Path) -> None:
    with stores.begin() as connection:
        load_promotions(connection, write(tmp_path, BXGY, {"promotion_id": "GONE", **BXGY}))
        load_promotions(connection, write(tmp_path, {**BXGY, "item_sku": "B;C"}))
        load_promotions(connection, write(tmp_path, {"promotion_id": "THEIRS", **BXGY, "store_id": "S2"}))
    assert stored(stores) == {"P": ("BUY_X_GET_Y", ["B", "C"])}
    assert stored(stores, "S2") == {"THEIRS": ("BUY_X_GET_Y", ["A", "B"])}


def test_a_file_without_the_newer_columns_is_still_good(stores: Engine, tmp_path: Path) -> None:
    old = {"kind": "LINE_PERCENTAGE", "item_sku": "A", "percentage": "0.125"}
    with stores.begin() as connection:
        load_promotions(connection, write(tmp_path, old, columns=COLUMNS[:9]))
        row = connection.execute(text("select * from promotion where promotion_id = 'P'")).one()
    assert (row.stacks, row.stacking_order, row.loyalty, row.amount) == (False, 0, False, None)
    shorter = tuple(name for name in COLUMNS if name != "percentage")
    with pytest.raises(SourceFileError, match="line 1: the column 'percentage' is missing"), stores.begin() as again:
        load_promotions(again, write(tmp_path, columns=shorter))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"kind": "LINE_PERCENTAGE", "item_sku": "A"}, "line 3: column 'percentage': LINE_PERCENTAGE needs it"),
        ({"kind": "LINE_AMOUNT", "item_sku": "A"}, "line 3: column 'amount': LINE_AMOUNT needs it"),
        ({"kind": "LINE_AMOUNT", "amount": "1"}, "line 3: column 'item_sku': LINE_AMOUNT needs it"),
        ({"kind": "BASKET_AMOUNT", "amount": "1", "item_sku": "A"}, "column 'item_sku': BASKET_AMOUNT has none"),
        ({"kind": "BASKET_AMOUNT", "amount": "1", "percentage": "1"}, "column 'percentage': BASKET_AMOUNT has none"),
        ({**BXGY, "get_quantity": ""}, "line 3: column 'get_quantity': BUY_X_GET_Y needs it"),
        ({**BXGY, "amount": "1"}, "line 3: column 'amount': BUY_X_GET_Y has none"),
        ({**BXGY, "shopping_trip_id": "T"}, "column 'shopping_trip_id': goes with BASKET_… only, not with BUY_X_GET_Y"),
        ({**BXGY, "item_sku": "A;"}, "line 3, column 'item_sku': an empty SKU; write A;B;C (it is 'A;')"),
        ({**BXGY, "item_sku": "A;B;A"}, "line 3, column 'item_sku': names a SKU twice"),
        ({**BXGY, "item_sku": "A" * 256}, "line 3, column 'item_sku.0'"),
        ({**BXGY, "percentage": "1.1"}, "line 3, column 'percentage': percentage is a fraction above 0"),
        ({**BXGY, "buy_quantity": "0"}, "line 3, column 'buy_quantity': not from 1 to 1000000 (it is '0')"),
        ({**BXGY, "buy_quantity": "1.5"}, "line 3, column 'buy_quantity': not a whole number such as 2"),
        ({**BXGY, "get_quantity": "٣"}, "line 3, column 'get_quantity': not a whole number"),
        ({**BXGY, "minimum_amount": "0"}, "line 3, column 'minimum_amount': not above 0"),
        ({**BXGY, "minimum_amount": "-1"}, "line 3, column 'minimum_amount': not a plain decimal number"),
        ({**BXGY, "stacks": "yes"}, "line 3, column 'stacks': neither true nor false (it is 'yes')"),
        ({**BXGY, "stacking_order": "-1"}, "line 3, column 'stacking_order': not a whole number from 0"),
        ({**BXGY, "loyalty": "1"}, "line 3, column 'loyalty': neither true nor false"),
        ({"kind": "LINE_AMOUNT", "item_sku": "A", "amount": "0"}, "line 3, column 'amount': not above 0"),
        ({"kind": "LINE_AMOUNT", "item_sku": "A", "amount": "0.00001"}, "more than 4 decimal places"),
        ({"kind": "BUY_ONE"}, "line 3, column 'kind'"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_column(
    stores: Engine, tmp_path: Path, row: dict[str, str], complaint: str
) -> None:
    with stores.begin() as connection:
        load_promotions(connection, write(tmp_path, {"promotion_id": "STANDS", **BXGY}))
    file = write(tmp_path, {"promotion_id": "NEW", **BXGY}, row)
    with pytest.raises(SourceFileError) as refused, stores.begin() as connection:
        load_promotions(connection, file)
    assert str(refused.value).startswith(str(file))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert set(stored(stores)) == {"STANDS"}


def test_the_pipelines_role_may_load_promotions(stores: Engine, tmp_path: Path) -> None:
    file = write(tmp_path, BXGY)
    with stores.connect() as connection:
        connection.execute(text("set role backroom_pipeline"))
        assert load_promotions(connection, file) == 1
