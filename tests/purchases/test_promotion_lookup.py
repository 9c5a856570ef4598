"""Which promotions count for a trip: its products, its basket, its instant, and the loyalty accounts that it scanned.

Carts are looked up in one query when they come in, and promotions alone when a stored cart is priced: both must agree.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.purchases.cart import AuthEvent, Cart, GateRecord, owner_of
from backroom.purchases.cart_facts import look_up
from backroom.purchases.price_lookup import products_of, promotions_for
from backroom.purchases.pricing import CartItem
from backroom.purchases.promotions import Promotion
from tests.shoppers.accounts import add_account

END = datetime(2026, 3, 22, 17, 9, tzinfo=UTC)
BY_CARD = AuthEvent("11111111-1111-4111-8111-111111111111", by_app=False)
AS_ANA = AuthEvent("22222222-2222-4222-8222-222222222222", by_app=True, shopper_id="ana", shopper_type="SHOPPER")
CLUB_CARD = AuthEvent("33333333-3333-4333-8333-333333333333", by_app=True, shopper_id="CLUB-1", shopper_type="LOYALTY")
OLD_CARD = AuthEvent("44444444-4444-4444-8444-444444444444", by_app=True, shopper_id="CLUB-9", shopper_type="LOYALTY")


@pytest.fixture(scope="module")
def offers(stores: Engine) -> Engine:
    """Promotions of every kind at S1, some for loyalty accounts only; two products."""
    with stores.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_run (business_date, source, state, started_at)"
                " values ('2026-03-22', 's', 'DONE', now())"
            )
        )
        for sku in ("A", "B"):
            connection.execute(
                text(
                    "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, unit, seen_in_run)"
                    " values ('S1', :sku, '{}', 'h', 'an item', 'unit', (select max(run_id) from catalog_run))"
                ),
                {"sku": sku},
            )
        for values in (
            "('LINE', 'S1', 'LINE_PERCENTAGE', 0.1, null, null, null, null, false, null)",
            "('AMOUNT', 'S1', 'LINE_AMOUNT', null, 0.5, null, null, null, false, null)",
            "('BXGY', 'S1', 'BUY_X_GET_Y', 1, null, 2, 1, null, false, null)",
            "('BASKET', 'S1', 'BASKET_PERCENTAGE', 0.05, null, null, null, 20, false, null)",
            "('OURS', 'S1', 'BASKET_AMOUNT', null, 3, null, null, null, false, 'T1')",
            "('THEIRS', 'S1', 'BASKET_AMOUNT', null, 3, null, null, null, false, 'T2')",
            "('CLUB', 'S1', 'BASKET_PERCENTAGE', 0.15, null, null, null, null, true, null)",
            "('CLUB-LINE', 'S1', 'LINE_PERCENTAGE', 0.25, null, null, null, null, true, null)",
            "('ELSEWHERE', 'S2', 'BASKET_PERCENTAGE', 0.5, null, null, null, null, false, null)",
        ):
            connection.execute(
                text(
                    "insert into promotion (promotion_id, store_id, kind, percentage, amount, buy_quantity,"
                    " get_quantity, minimum_amount, loyalty, shopping_trip_id, valid_from, valid_to)"
                    f" values {values[:-1]}, '2026-03-01Z', '2026-04-01Z')"
                )
            )
        connection.execute(
            text(
                "insert into promotion_item values ('S1', 'A', 'LINE'), ('S1', 'A', 'AMOUNT'), ('S1', 'A', 'BXGY'),"
                " ('S1', 'B', 'BXGY'), ('S1', 'C', 'BXGY'), ('S1', 'B', 'CLUB-LINE')"
            )
        )
        connection.execute(text("insert into shopper (shopper_id, type) values ('ana', 'SHOPPER'), ('bo', 'SHOPPER')"))
        add_account(connection, "CLUB-1", "h1", "club", None, ["CLUB", "CLUB-LINE"])
        add_account(connection, "CLUB-2", "h2", "club", "ana", ["CLUB"])
        add_account(connection, "CLUB-9", "h9", "club", "bo", ["CLUB"], active=False)
    return stores


def cart(*events: AuthEvent, skus: str = "AB", trip: str = "T1", ended: datetime = END) -> Cart:
    items = tuple(CartItem(number, sku, "SKU", Decimal(1), "unit") for number, sku in enumerate(skus, 1))
    return Cart("r", trip, "S1", ended - timedelta(minutes=9), ended, events or (BY_CARD,), items)


def found(connection: Connection, trip: Cart) -> dict[str, Promotion]:
    """By id, as both ways of looking find them."""
    skus = {product.item_sku for product in products_of(connection, trip).values()}
    alone = {one.promotion_id: one for one in promotions_for(connection, trip, skus)}
    facts = look_up(connection, trip)
    at_once = {one.promotion_id: one for one in facts.promotions(trip, owner_of(trip, facts.gate).shopper_id)}
    assert at_once == alone
    return alone


def test_promotions_of_the_carts_products_of_its_basket_and_of_every_basket_count(offers: Engine) -> None:
    with offers.connect() as connection:
        promotions = found(connection, cart())
    assert promotions == {
        "LINE": Promotion("LINE", "LINE_PERCENTAGE", Decimal("0.1"), item_skus=frozenset("A")),
        "AMOUNT": Promotion("AMOUNT", "LINE_AMOUNT", amount=Decimal("0.5"), item_skus=frozenset("A")),
        "BXGY": Promotion("BXGY", "BUY_X_GET_Y", Decimal(1), None, frozenset("AB"), 2, 1),
        "BASKET": Promotion("BASKET", "BASKET_PERCENTAGE", Decimal("0.05"), minimum_amount=Decimal(20)),
        "OURS": Promotion("OURS", "BASKET_AMOUNT", amount=Decimal(3)),
    }


def test_those_of_other_products_and_other_trips_do_not(offers: Engine) -> None:
    with offers.connect() as connection:
        assert set(found(connection, cart(skus="B", trip="T9"))) == {"BXGY", "BASKET"}


@pytest.mark.parametrize(
    ("ended", "counts"),
    [
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 1, tzinfo=UTC), True),
        (datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 4, 1, tzinfo=UTC), False),
    ],
)
def test_a_promotion_counts_from_its_first_instant_until_before_its_last(
    offers: Engine, ended: datetime, counts: bool
) -> None:
    with offers.connect() as connection:
        assert bool(found(connection, cart(ended=ended))) is counts


@pytest.mark.parametrize(
    ("events", "club"),
    [
        ((BY_CARD,), set()),
        ((BY_CARD, CLUB_CARD), {"CLUB", "CLUB-LINE"}),
        ((AS_ANA,), {"CLUB"}),  # an account of hers, which need not be scanned
        ((AS_ANA, CLUB_CARD), {"CLUB", "CLUB-LINE"}),
        ((BY_CARD, OLD_CARD), set()),  # no longer active
    ],
)
def test_loyalty_promotions_count_only_where_the_trips_accounts_were_given_them(
    offers: Engine, events: tuple[AuthEvent, ...], club: set[str]
) -> None:
    with offers.connect() as connection:
        promotions = found(connection, cart(*events))
    assert {name for name in promotions if name.startswith("CLUB")} == club


def test_the_shopper_may_be_known_from_the_gate_alone(offers: Engine) -> None:
    nameless = AuthEvent(AS_ANA.auth_event_id, by_app=True)
    with offers.connect() as connection:
        trip = cart(nameless)
        assert "CLUB" not in {one.promotion_id for one in promotions_for(connection, trip, {"A"})}
        given = promotions_for(connection, trip, {"A"}, shopper_id="ana")
    assert "CLUB" in {one.promotion_id for one in given}


def test_loyalty_cards_are_read_off_the_cart_each_once() -> None:
    assert cart(BY_CARD, CLUB_CARD, OLD_CARD, CLUB_CARD).loyalty_ids == ("CLUB-1", "CLUB-9")
    assert cart(BY_CARD, AS_ANA).loyalty_ids == ()


@pytest.mark.parametrize(
    ("events", "method", "shopper"),
    [
        ((CLUB_CARD, AS_ANA), "APP", "ana"),
        ((CLUB_CARD, BY_CARD), "CREDIT_CARD", None),
        ((CLUB_CARD,), "APP", None),
        ((AuthEvent("c", by_app=False, shopper_id="CLUB-1", shopper_type="LOYALTY"), AS_ANA), "CREDIT_CARD", None),
    ],
)
def test_a_loyalty_card_lets_nobody_in(events: tuple[AuthEvent, ...], method: str, shopper: str | None) -> None:
    owner = owner_of(cart(*events), {})
    assert (owner.entry_method, owner.shopper_id, owner.shopper_type) == (
        method, shopper, "SHOPPER" if shopper else None,
    )  # fmt: skip


def test_a_code_that_the_gate_knows_is_an_entry_whatever_was_scanned_beside_it() -> None:
    gate = {CLUB_CARD.auth_event_id: GateRecord(admitted=True, shopper_id="bo", shopper_type="SHOPPER")}
    assert owner_of(cart(CLUB_CARD), gate).shopper_id == "bo"


def test_the_connectors_role_may_look_them_up(offers: Engine) -> None:
    with offers.connect() as connection:
        connection.execute(text("set role backroom_connector"))
        assert "CLUB" in found(connection, cart(BY_CARD, CLUB_CARD))
