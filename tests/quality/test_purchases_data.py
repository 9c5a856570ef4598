"""The suite of purchases: sums of lines, tax that prices hold, promotions that a line names."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.quality import suites
from backroom.quality.data_sets import DATA_SETS

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF = '[{"promotion_id": "HALF", "kind": "LINE_PERCENTAGE", "description": "", "amount": "1.19"}]'


@pytest.fixture(scope="module")
def purchases(database: Engine) -> Engine:
    """A store whose prices hold the tax: one purchase that adds up, one line whose promotions are not what it says."""
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds, prices_include_tax)"
                " values ('S', 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50, '{FILES}', true)"
            )
        )
        for trip, promotions in (("good", HALF), ("bad", "[]")):
            connection.execute(
                text(
                    "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                    " entry_method, trip_started_at, trip_ended_at, state, currency, list_total, promotion_total,"
                    " tax_total, tax_included_total, total, body_hash, raw_body, response_body, received_at)"
                    " values (cast(:trip as text), cast(:trip as text), 'r', 'S', '2026-03-01', 'CREDIT_CARD',"
                    " '2026-03-01T10:00Z', '2026-03-01T10:10Z', 'PRICED', 'USD', 2.38, 1.19, 0.19, 0.19, 1.19, 'h',"
                    " '{}', '', now())"
                ),
                {"trip": trip},
            )
            connection.execute(
                text(
                    "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku, quantity,"
                    " unit, list_price, list_amount, promotions, promotion_amount, tax_rate, tax_jurisdiction,"
                    " tax_amount, tax_included, total) values (:trip, 1, 'A', 'SKU', 'A', 1, 'unit', 2.38, 2.38,"
                    " cast(:promotions as jsonb), 1.19, 0.19, 'X', 0.19, true, 1.19)"
                ),
                {"trip": trip, "promotions": promotions},
            )
    return database


def test_a_purchase_is_the_sum_of_its_lines_also_where_prices_hold_the_tax(purchases: Engine) -> None:
    with purchases.connect() as connection:
        rows = {row.key: row for row in connection.execute(text(DATA_SETS["purchases"]))}
    good = rows["good"]
    assert (good.sum_of_parts, good.lines_total, good.lines_tax, good.lines_tax_included) == (
        Decimal("1.19"), Decimal("1.19"), Decimal("0.19"), Decimal("0.19"),
    )  # fmt: skip
    assert (good.lines_promotions_mistaken, rows["bad"].lines_promotions_mistaken) == (0, 1)


def test_a_line_whose_promotions_do_not_add_up_is_found(purchases: Engine, tmp_path: Path) -> None:
    results = suites.check(purchases, data_sets=["purchases"], run="r", now=NOW, docs_folder=tmp_path)
    failed = {one.column_name: one.sample for one in results if not one.success and one.is_critical}
    assert failed.pop("has_its_charge")  # these purchases have none
    assert failed == {"lines_promotions_mistaken": ["bad"]}
