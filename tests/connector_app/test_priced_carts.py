"""A cart over the connector, in a store whose prices include tax: promotions of all kinds are stored with each line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tests.connector_app.conftest import Amazon, cart_body, line, new_uuid
from tests.connector_app.test_purchases import lines, row
from tests.shoppers.accounts import add_account


@pytest.fixture(scope="module")
def berlin(retailer: Engine) -> Engine:
    """STORE-DE: 19 % inside the prices; two products, a multi-buy, a club's tenth, 5.00 off from 20.00."""
    statements = (
        "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
        " preauthorization_amount, feeds, prices_include_tax)"
        " values ('STORE-DE', 's', 'm', 'Europe/Berlin', 'EUR', 'DE', 'NONE', 75, '{FILES}', true)",
        "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code, unit,"
        " seen_in_run) values ('STORE-DE', 'WINE', '{}', 'h', 'wine', 'STD', 'unit', 1),"
        " ('STORE-DE', 'HAM', '{}', 'h', 'ham', 'STD', 'kg', 1)",
        "insert into shelf_price values ('STORE-DE', 'WINE', '2026-01-01Z', null, 4.00, 'EUR'),"
        " ('STORE-DE', 'HAM', '2026-01-01Z', null, 20.00, 'EUR')",
        "insert into tax_rate values ('STORE-DE', 'STD', '2026-01-01Z', null, 'DE', 0.19)",
        "insert into promotion (promotion_id, store_id, kind, percentage, buy_quantity, get_quantity, valid_from)"
        " values ('B2G1', 'STORE-DE', 'BUY_X_GET_Y', 1, 2, 1, '2026-01-01Z')",
        "insert into promotion_item values ('STORE-DE', 'WINE', 'B2G1')",
        "insert into promotion (promotion_id, store_id, kind, percentage, stacks, loyalty, valid_from, description)"
        " values ('CLUB', 'STORE-DE', 'BASKET_PERCENTAGE', 0.1, true, true, '2026-01-01Z', 'a tenth for members')",
        "insert into promotion (promotion_id, store_id, kind, amount, minimum_amount, stacks, stacking_order,"
        " valid_from) values ('FIVE', 'STORE-DE', 'BASKET_AMOUNT', 5, 20, true, 1, '2026-01-01Z')",
    )
    with retailer.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
        add_account(connection, "MEMBER-1", "a card", "the club", None, ["CLUB"])
    return retailer


def test_a_members_cart_is_stored_with_every_promotion_and_the_tax_inside(amazon: Amazon, berlin: Engine) -> None:
    body = cart_body(line("WINE", "3"), line("HAM", "0.5", "kg"), storeId="STORE-DE")
    body["shoppingTrip"]["authEvents"].append(
        {"id": new_uuid(), "payloadType": "SCAN_CODE", "scanResult": {"id": "MEMBER-1", "type": "LOYALTY"}}
    )
    assert amazon.purchases(body).status_code == 201
    trip = body["idempotentShoppingTripId"]
    with berlin.connect() as connection:
        kept = connection.execute(text("select raw_body::text from purchase where shopping_trip_id = :t"), {"t": trip})
        assert ("MEMBER-1" in (said := kept.scalar_one()), "loyalty-" in said) == (False, True), "kept without the id"
    wine, ham = lines(berlin, trip)
    # 12.00 - 4.00 - 0.80 = 7.20; 10.00 - 1.00 = 9.00; 5.00 by 12 to 10: 2.73 and 2.27
    assert [(one["promotion_id"], one["amount"]) for one in wine["promotions"]] == [
        ("B2G1", "4.00"), ("CLUB", "0.80"), ("FIVE", "2.73"),
    ]  # fmt: skip
    assert wine["promotions"][1] == {
        "promotion_id": "CLUB", "kind": "BASKET_PERCENTAGE", "description": "a tenth for members", "amount": "0.80",
    }  # fmt: skip
    assert [(one["promotion_id"], one["amount"]) for one in ham["promotions"]] == [("CLUB", "1.00"), ("FIVE", "2.27")]
    assert [(one["promotion_amount"], one["tax_amount"], one["tax_included"], one["total"]) for one in (wine, ham)] == [
        (Decimal("7.53"), Decimal("0.71"), True, Decimal("4.47")),
        (Decimal("3.27"), Decimal("1.07"), True, Decimal("6.73")),
    ]
    purchase = row(berlin, "purchase", trip)
    assert {name: purchase[name] for name in purchase if name.endswith("total")} == {
        "list_total": Decimal("22.00"), "promotion_total": Decimal("10.80"), "tax_total": Decimal("1.78"),
        "tax_included_total": Decimal("1.78"), "total": Decimal("11.20"),
    }  # fmt: skip
    assert (purchase["entry_method"], purchase["shopper_id"]) == ("CREDIT_CARD", None)
    assert row(berlin, "charge", trip)["total"] == Decimal("11.20")


def test_without_the_card_the_clubs_promotion_does_not_count(amazon: Amazon, berlin: Engine) -> None:
    body = cart_body(line("WINE", "1"), storeId="STORE-DE")
    amazon.purchases(body)
    (wine,) = lines(berlin, body["idempotentShoppingTripId"])
    assert (wine["promotions"], wine["total"], wine["tax_amount"]) == ([], Decimal("4.00"), Decimal("0.64"))
