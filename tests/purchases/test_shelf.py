"""Carts priced from a shelf in memory cost what a look-up says, whatever changes meanwhile; others leave that path."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from backroom.db.serving import serving_engine
from backroom.purchases import recording
from backroom.purchases.cart import AuthEvent, Cart, owner_of
from backroom.purchases.cart_facts import look_up
from backroom.purchases.pricing import CartItem, PricedCart, Problem, price_cart
from backroom.purchases.promotions import Promotion
from backroom.purchases.recording import Recorded, Recorder, Taken
from backroom.purchases.shelf import Shelves
from backroom.purchases.storing import Purchase
from tests.purchases.carts import applied
from tests.shoppers.accounts import add_account

START, END = datetime(2026, 3, 22, 17, tzinfo=UTC), datetime(2026, 3, 22, 17, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 22, 17, 10, tzinfo=UTC)
BY_CARD = AuthEvent("11111111-1111-4111-8111-111111111111", by_app=False)
BARCODES = {"036000291452": "A", "0036000291452": "B", "4006381333931": "C"}  # the first two are one number
_numbers = itertools.count(1)


def run(database: Engine | Connection, sql: str, **values: Any) -> None:
    if isinstance(database, Engine):
        with database.begin() as connection:
            connection.execute(text(sql), values)
    else:
        database.execute(text(sql), values)


def add_store(database: Engine | Connection, **changes: Any) -> str:
    """A new store, with the id it got."""
    store_id = f"STORE-{next(_numbers)}"
    values = {"currency": "USD", "inclusive": False, **changes}
    run(
        database,
        "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
        " preauthorization_amount, feeds, prices_include_tax) values (:id, 'a store', 'm', 'America/New_York',"
        " :currency, 'X', 'RETAILER_MANAGED', 75, '{FILES}', :inclusive)",
        id=store_id,
        **values,
    )
    return store_id


def add_item(database: Engine | Connection, store_id: str, sku: str, *, tax_code: str = "GOODS", **more: Any) -> None:
    run(
        database,
        "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code, unit,"
        " seen_in_run) values (:store, :sku, '{}', 'h', 'an item', :tax_code, :unit, 1)",
        store=store_id,
        sku=sku,
        tax_code=tax_code,
        unit=more.get("unit", "unit"),
    )


def add_price(
    database: Engine | Connection, store_id: str, sku: str, amount: Any, since: Any, until: Any = None
) -> None:
    run(
        database,
        "insert into shelf_price (store_id, item_sku, valid_from, valid_to, amount, currency)"
        " values (:store, :sku, :since, :until, :amount, 'USD')",
        store=store_id, sku=sku, since=since, until=until, amount=amount,
    )  # fmt: skip


def add_promotion(
    database: Engine | Connection, store_id: str, promotion: Promotion, since: Any, until: Any = None, **more: Any
) -> None:
    run(
        database,
        "insert into promotion (promotion_id, store_id, kind, shopping_trip_id, percentage, amount, buy_quantity,"
        " get_quantity, minimum_amount, stacks, stacking_order, loyalty, valid_from, valid_to) values (:id, :store,"
        " :kind, :trip, :percentage, :amount, :buy, :get, :minimum, :stacks, :place, :loyalty, :since, :until)",
        id=promotion.promotion_id, store=store_id, kind=promotion.kind, trip=more.get("trip"),
        percentage=promotion.percentage, amount=promotion.amount, buy=promotion.buy_quantity or None,
        get=promotion.get_quantity or None, minimum=promotion.minimum_amount, stacks=promotion.stacks,
        place=promotion.stacking_order, loyalty=more.get("loyalty", False), since=since, until=until,
    )  # fmt: skip
    for sku in promotion.item_skus:
        run(
            database,
            "insert into promotion_item values (:store, :sku, :id)",
            store=store_id,
            sku=sku,
            id=promotion.promotion_id,
        )


@pytest.fixture(scope="module")
def world(database: Engine) -> Engine:
    """A catalog run, and shoppers; stores are made as tests need them."""
    run(
        database,
        "insert into catalog_run (run_id, business_date, source, state, started_at)"
        " overriding system value values (1, '2026-03-22', 's', 'DONE', now())",
    )
    run(database, "insert into shopper (shopper_id, type) values ('ana', 'SHOPPER'), ('kim', 'ASSOCIATE')")
    return database


@pytest.fixture(scope="module")
def serving(world: Engine) -> Engine:
    return serving_engine(world.url, connections=4, timeout_seconds=10, application="a test of shelves")


def cart(store_id: str, *items: str, events: tuple[AuthEvent, ...] = (BY_CARD,), ended: datetime = END) -> Cart:
    """Of SKUs, or barcodes where they are digits; one of each."""
    lines = tuple(
        CartItem(number, name, "SCANCODE" if name.isdigit() else "SKU", Decimal(1), "unit")
        for number, name in enumerate(items or ("A",), 1)
    )
    return Cart("r", f"trip-{uuid.uuid4()}", store_id, START, ended, events, lines, "a card's token")


# -- the same price ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """A price book as it is drawn: what is in the tables, and the carts that are priced by it."""

    inclusive: bool
    units: dict[str, str]
    prices: dict[str, list[tuple[int, int | None, Decimal]]]  # periods in days since START
    taxes: list[tuple[int, int | None, Decimal]]
    promotions: list[tuple[Promotion, int, int | None]]
    carts: list[tuple[int, list[tuple[str, Decimal]]]]  # (minutes since START, lines)


def _decimals(least: str, most: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(least, most, places=places)


@st.composite
def periods(draw: st.DrawFn, values: st.SearchStrategy[Decimal]) -> list[tuple[int, int | None, Decimal]]:
    """Up to three, one after another, with or without a gap; the last one may be open."""
    bounds = sorted(draw(st.sets(st.integers(-3, 3), max_size=4)))
    found: list[tuple[int, int | None, Decimal]] = [
        (since, until, draw(values)) for since, until in itertools.pairwise(bounds) if draw(st.booleans())
    ]
    return found + ([(bounds[-1], None, draw(values))] if bounds and draw(st.booleans()) else [])


@st.composite
def offered(draw: st.DrawFn, promotion_id: str) -> tuple[Promotion, int, int | None]:
    kind = draw(
        st.sampled_from(["LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT"])
    )
    by_amount = kind in ("LINE_AMOUNT", "BASKET_AMOUNT")
    since = draw(st.integers(-3, 2))
    promotion = Promotion(
        promotion_id,
        kind,
        percentage=None if by_amount else draw(_decimals("0.01", "1", 6)),
        amount=draw(_decimals("0.01", "5", 4)) if by_amount else None,
        item_skus=frozenset() if kind.startswith("BASKET") else frozenset(draw(st.sets(st.sampled_from("ABC")))),
        buy_quantity=draw(st.integers(1, 2)) if kind == "BUY_X_GET_Y" else 0,
        get_quantity=draw(st.integers(1, 2)) if kind == "BUY_X_GET_Y" else 0,
        minimum_amount=draw(st.one_of(st.none(), _decimals("0.01", "20", 4))),
        stacks=draw(st.booleans()),
        stacking_order=draw(st.integers(0, 1)),
    )
    return promotion, since, draw(st.one_of(st.none(), st.integers(since + 1, 3)))


@st.composite
def books(draw: st.DrawFn) -> Book:
    lines = st.tuples(
        st.one_of(st.sampled_from("ABC"), st.sampled_from(["036000291452", "0036000291452", "4006381333931"])),
        st.integers(1, 4).map(Decimal),
    )
    minutes = st.one_of(st.integers(-3, 3).map(lambda day: day * 1440), st.integers(-4 * 1440, 4 * 1440))
    return Book(
        draw(st.booleans()),
        {"A": "unit", "B": "unit", "C": draw(st.sampled_from(["unit", "unit", "kg"]))},
        {sku: draw(periods(_decimals("0", "30", 4))) for sku in "ABC"},
        draw(periods(_decimals("0", "0.3", 6))),
        [draw(offered(f"P{number}")) for number in range(draw(st.integers(0, 4)))],
        draw(st.lists(st.tuples(minutes, st.lists(lines, min_size=1, max_size=4)), min_size=1, max_size=6)),
    )


def _day(day: int | None) -> datetime | None:
    return None if day is None else START + timedelta(days=day)


def put(connection: Engine, book: Book) -> str:
    with connection.begin() as together:
        store_id = add_store(together, inclusive=book.inclusive)
        for sku, unit in book.units.items():
            add_item(together, store_id, sku, tax_code="FOOD" if sku == "B" else "GOODS", unit=unit)
            for since, until, amount in book.prices[sku]:
                add_price(together, store_id, sku, amount, _day(since), _day(until))
        for barcode, sku in BARCODES.items():
            run(together, "insert into catalog_barcode values (:s, :b, :k, 'UPC')", s=store_id, b=barcode, k=sku)
        for since, until, rate in book.taxes:
            run(
                together, "insert into tax_rate values (:s, 'GOODS', :since, :until, 'US-NY', :rate)",
                s=store_id, since=_day(since), until=_day(until), rate=rate,
            )  # fmt: skip
        for promotion, since, until in book.promotions:
            own = replace(promotion, promotion_id=f"{store_id}-{promotion.promotion_id}")
            add_promotion(together, store_id, own, _day(since), _day(until))
    return store_id


def _of(promotions: list[Promotion], skus: frozenset[str]) -> set[Promotion]:
    """Only what is in the cart counts: a look-up may name the product of a barcode's other spelling, too."""
    return {
        replace(one, item_skus=one.item_skus & skus)
        for one in promotions
        if one.kind.startswith("BASKET") or one.item_skus & skus
    }


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(book=books())
def test_the_shelf_and_a_look_up_price_the_same_cart_alike(world: Engine, serving: Engine, book: Book) -> None:
    store_id = put(world, book)
    shelves = Shelves()  # one for all of the carts, so that later ones find what earlier ones have left
    for minutes, lines in book.carts:
        items = tuple(
            CartItem(number, name, "SCANCODE" if name.isdigit() else "SKU", quantity, "unit")
            for number, (name, quantity) in enumerate(lines, 1)
        )
        trip = replace(cart(store_id, ended=START + timedelta(minutes=minutes)), items=items)
        shelf, facts = shelves.of(serving, trip), look_up(serving, trip)
        assert shelf is not None
        assert (shelf.currency, shelf.time_zone, shelf.prices_include_tax, shelf.pricing_provider) == (
            facts.currency, facts.time_zone, facts.prices_include_tax, facts.pricing_provider,
        )  # fmt: skip
        products, promotions = shelf.products(trip), shelf.promotions(trip, loyalty_possible=False)
        assert products == facts.products
        known = facts.promotions(trip, None)
        assert promotions is not None
        skus = frozenset(product.item_sku for product in products.values())
        assert _of(promotions, skus) == _of(known, skus)
        by_shelf = price_cart(items, products, promotions, "USD", prices_include_tax=book.inclusive)
        looked_up = price_cart(items, facts.products, known, "USD", prices_include_tax=book.inclusive)
        assert _plainly(by_shelf) == _plainly(looked_up)


def _plainly(priced: PricedCart | list[Problem]) -> Any:
    """All amounts, and what each promotion took."""
    if isinstance(priced, list):
        return priced
    lines = [
        (line.product, line.list_minor, line.promotion_minor, line.tax_minor, line.total_minor, applied(line))
        for line in priced.lines
    ]
    return priced.total, lines


# -- what raises the version -------------------------------------------------------------------------------------------

KEPT = "store_id = :store"
CHANGES = {
    "shelf_price": (
        "insert into shelf_price (store_id, item_sku, valid_from, amount, currency)"
        " values (:store, 'Z', '2026-01-01Z', 1, 'USD')",
        "amount = 2",
    ),
    "tax_rate": ("insert into tax_rate values (:store, 'Z', '2026-01-01Z', null, 'US-NY', 0.1)", "rate = 0.2"),
    "catalog_item": (
        "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, unit, seen_in_run)"
        " values (:store, 'Z', '{}', 'h', 'an item', 'unit', 1)",
        "unit = 'kg'",
    ),
    "catalog_barcode": ("insert into catalog_barcode values (:store, '96385074', 'Z', 'EAN')", "item_sku = 'Y'"),
    "promotion": (
        "insert into promotion (promotion_id, store_id, kind, percentage, valid_from)"
        " values (cast(:store as text) || '-V', :store, 'LINE_PERCENTAGE', 0.1, '2026-01-01Z')",
        "percentage = 0.2",
    ),
    "promotion_item": (
        "insert into promotion_item select store_id, 'Z', promotion_id from promotion where store_id = :store",
        "item_sku = 'Y'",
    ),
}


def version(engine: Engine, store_id: str) -> int:
    with engine.connect() as connection:
        return int(
            connection.scalar(text("select version from price_book_version where store_id = :id"), {"id": store_id})
            or 0
        )


@pytest.mark.parametrize("table", CHANGES)
def test_every_change_raises_the_version_of_its_store_and_of_no_other(world: Engine, table: str) -> None:
    store_id, other = add_store(world), add_store(world)
    if table == "catalog_barcode":
        add_item(world, store_id, "Z")
        add_item(world, store_id, "Y")
    if table == "promotion_item":
        run(world, CHANGES["promotion"][0], store=store_id)
    insert, change = CHANGES[table]
    elsewhere, before = version(world, other), version(world, store_id)
    for sql in (
        insert,
        f"update {table} set {change} where {KEPT}",
        f"delete from {table} where {KEPT}",
    ):
        run(world, sql, store=store_id)
        after = version(world, store_id)
        assert after > before, sql
        before = after
    assert version(world, other) == elsewhere


def test_a_store_begins_with_a_version_and_its_own_changes_raise_it(world: Engine) -> None:
    store_id = add_store(world)
    first = version(world, store_id)
    assert first >= 1
    run(world, "update store set prices_include_tax = true where store_id = :store", store=store_id)
    second = version(world, store_id)
    assert second > first
    run(world, "delete from store where store_id = :store", store=store_id)
    assert version(world, store_id) > second  # and never begins anew: a shelf may remember the old number


def test_a_promotion_that_moves_to_another_store_raises_both(world: Engine) -> None:
    store_id, other = add_store(world), add_store(world)
    run(world, CHANGES["promotion"][0], store=store_id)
    before = version(world, store_id), version(world, other)
    run(world, "update promotion set store_id = :other where store_id = :store", store=store_id, other=other)
    assert version(world, store_id) > before[0]
    assert version(world, other) > before[1]


def test_an_undone_change_does_not(world: Engine) -> None:
    store_id = add_store(world)
    before = version(world, store_id)
    with world.connect() as connection:
        run(connection, CHANGES["shelf_price"][0], store=store_id)
        connection.rollback()
    assert version(world, store_id) == before


# -- through the recorder ----------------------------------------------------------------------------------------------


@pytest.fixture
def shop(world: Engine) -> str:
    """A store with A at 2.00, B at 3.00, no taxes."""
    store_id = add_store(world)
    for sku, amount in (("A", 2), ("B", 3)):
        add_item(world, store_id, sku)
        add_price(world, store_id, sku, amount, "2026-01-01Z")
    return store_id


@dataclass
class Counted:
    """A recorder, and how many carts took the long way."""

    recorder: Recorder
    looked_up: list[str]

    def record(self, trip: Cart) -> Recorded:
        return self.recorder.record(trip, '{"a": 1}', now=NOW, new_id=lambda: str(uuid.uuid4()))


@pytest.fixture
def counted(serving: Engine, monkeypatch: pytest.MonkeyPatch) -> Counted:
    looked_up: list[str] = []
    plain: Callable[..., Any] = recording.record_purchase

    def count(database: Engine, trip: Cart, *args: Any, **more: Any) -> Recorded:
        looked_up.append(trip.shopping_trip_id)
        found: Recorded = plain(database, trip, *args, **more)
        return found

    monkeypatch.setattr(recording, "record_purchase", count)
    return Counted(Recorder(serving), looked_up)


def stored(engine: Engine, trip: Cart) -> Any:
    with engine.connect() as connection:
        return connection.execute(
            text(
                "select purchase.*, (select count(*) from purchase_line line"
                "  where line.shopping_trip_id = purchase.shopping_trip_id) as lines,"
                " (select count(*) from charge where charge.shopping_trip_id = purchase.shopping_trip_id) as charges,"
                " (select coalesce(sum(quantity), 0) from stock_moved"
                "  where source = purchase.shopping_trip_id) as moved"
                " from purchase where shopping_trip_id = :trip"
            ),
            {"trip": trip.shopping_trip_id},
        ).one()


def test_a_plain_cart_is_priced_from_the_shelf_alone(world: Engine, shop: str, counted: Counted) -> None:
    trip = cart(shop, "A", "B", "A")
    assert counted.record(trip).outcome == "PRICED"
    assert counted.looked_up == []
    found = stored(world, trip)
    assert (found.total, found.lines, found.charges, found.moved) == (7, 3, 1, -3)


def test_a_cart_after_a_change_has_the_new_price_and_the_next_one_is_on_the_shelf_again(
    world: Engine, shop: str, counted: Counted
) -> None:
    before, first, second = cart(shop), cart(shop), cart(shop)
    counted.record(before)
    run(world, "update shelf_price set amount = 5 where store_id = :s and item_sku = 'A'", s=shop)
    counted.record(first)
    counted.record(second)
    assert [stored(world, trip).total for trip in (before, first, second)] == [2, 5, 5]
    assert counted.looked_up == [first.shopping_trip_id]


def _new_tax(world: Engine, shop: str) -> None:
    run(world, "insert into tax_rate values (:s, 'GOODS', '2026-01-01Z', null, 'US-NY', 0.5)", s=shop)


def _new_promotion(world: Engine, shop: str) -> None:
    half = Promotion(f"{shop}-half", "LINE_PERCENTAGE", Decimal("0.5"), item_skus=frozenset("A"))
    add_promotion(world, shop, half, "2026-01-01Z")


def _new_basket_promotion(world: Engine, shop: str) -> None:
    add_promotion(world, shop, Promotion(f"{shop}-off", "BASKET_AMOUNT", amount=Decimal("0.25")), "2026-01-01Z")


def _tax_inside(world: Engine, shop: str) -> None:
    run(world, "update store set prices_include_tax = true where store_id = :s", s=shop)


def _another_unit(world: Engine, shop: str) -> None:
    run(world, "update catalog_item set unit = 'kg' where store_id = :s and item_sku = 'A'", s=shop)


def _gone(world: Engine, shop: str) -> None:
    run(world, "delete from catalog_item where store_id = :s and item_sku = 'A'", s=shop)


@pytest.mark.parametrize(
    ("change", "total", "state"),
    [
        (_new_tax, "3", "PRICED"),
        (_new_promotion, "1", "PRICED"),
        (_new_basket_promotion, "1.75", "PRICED"),
        (_tax_inside, "2", "PRICED"),
        (_another_unit, "0", "BAD_CART"),
        (_gone, "0", "BAD_CART"),
    ],
)
def test_whatever_changes_counts_for_the_next_cart(
    world: Engine, shop: str, counted: Counted, change: Callable[[Engine, str], None], total: str, state: str
) -> None:
    counted.record(cart(shop))
    change(world, shop)
    trip = cart(shop)
    assert counted.record(trip).outcome == state
    assert stored(world, trip).total == Decimal(total)


def test_a_change_that_is_not_committed_yet_does_not_hold_a_cart_up(world: Engine, shop: str, counted: Counted) -> None:
    counted.record(cart(shop))
    trip = cart(shop)
    with world.begin() as connection:
        run(connection, "update shelf_price set amount = 5 where store_id = :s", s=shop)
        counted.record(trip)
    assert stored(world, trip).total == 2


def test_a_cart_that_comes_late_keeps_the_price_of_its_end(world: Engine, shop: str, counted: Counted) -> None:
    run(world, "update shelf_price set valid_to = '2026-03-22T17:05Z' where store_id = :s", s=shop)
    add_price(world, shop, "A", 9, "2026-03-22T17:05Z")
    late = cart(shop, ended=END - timedelta(minutes=4, microseconds=1))
    on_time, at_the_change = cart(shop), cart(shop, ended=END - timedelta(minutes=4))
    for trip in (on_time, late, at_the_change):  # the late one after the product of now is at hand
        counted.record(trip)
    assert [stored(world, trip).total for trip in (on_time, late, at_the_change)] == [9, 2, 9]
    assert counted.looked_up == []


def test_a_loyalty_promotion_is_looked_up_for_those_who_may_have_it(world: Engine, shop: str, counted: Counted) -> None:
    club = Promotion(f"{shop}-club", "LINE_PERCENTAGE", Decimal("0.5"), item_skus=frozenset("A"))
    add_promotion(world, shop, club, "2026-01-01Z", loyalty=True)
    card = f"CLUB-{shop}"
    with world.begin() as connection:
        add_account(connection, card, f"card of {card}", "club", None, [club.promotion_id])
    scanned = AuthEvent(str(uuid.uuid4()), by_app=True, shopper_id=card, shopper_type="LOYALTY")
    member, stranger, other_item = cart(shop, events=(BY_CARD, scanned)), cart(shop), cart(shop, "B")
    for trip in (member, stranger, other_item):
        counted.record(trip)
    assert [stored(world, trip).total for trip in (member, stranger, other_item)] == [1, 2, 3]
    assert counted.looked_up == [member.shopping_trip_id]


def test_a_baskets_own_promotion_counts_for_it_alone(world: Engine, shop: str, counted: Counted) -> None:
    ours, other = cart(shop), cart(shop)
    counted.record(cart(shop))
    own = Promotion(f"{shop}-own", "BASKET_PERCENTAGE", Decimal("0.5"))
    add_promotion(world, shop, own, "2026-01-01Z", trip=ours.shopping_trip_id)
    counted.record(cart(shop))  # the shelf is up to date again
    counted.looked_up.clear()
    counted.record(ours)
    counted.record(other)
    assert [stored(world, trip).total for trip in (ours, other)] == [1, 2]
    assert counted.looked_up == [ours.shopping_trip_id]


def _gate(world: Engine, event_id: str, status: int) -> None:
    run(
        world,
        "insert into gate_decision values (:id, 'r', 'S', 'h', :now, :status, 'X', 'ana', 'SHOPPER', '', '{}', :now)",
        id=event_id,
        now=NOW,
        status=status,
    )


@pytest.mark.parametrize(("status", "owner"), [(200, ("APP", "ana")), (401, ("CREDIT_CARD", None))])
def test_whom_our_gate_refused_did_not_come_in_by_the_app(
    world: Engine, shop: str, counted: Counted, status: int, owner: tuple[str, str | None]
) -> None:
    by_app = AuthEvent(str(uuid.uuid4()), by_app=True, shopper_id="ana", shopper_type="SHOPPER")
    _gate(world, by_app.auth_event_id, status)
    trip = cart(shop, events=(by_app, BY_CARD))
    counted.record(trip)
    found = stored(world, trip)
    assert (found.entry_method, found.shopper_id) == owner
    assert bool(counted.looked_up) is (status == 401)


def test_a_shopper_of_whom_only_the_gate_knows_the_name_is_looked_up(
    world: Engine, shop: str, counted: Counted
) -> None:
    nameless = AuthEvent(str(uuid.uuid4()), by_app=True)
    _gate(world, nameless.auth_event_id, 200)
    trip = cart(shop, events=(nameless,))
    counted.record(trip)
    assert stored(world, trip).shopper_id == "ana"
    assert counted.looked_up == [trip.shopping_trip_id]


@pytest.mark.parametrize(
    ("items", "outcome"), [(("A", "NOBODY-KNOWS"), "BAD_CART"), (("A", "96385074"), "BAD_CART"), (("A",), "PRICED")]
)
def test_an_item_that_nobody_knows_makes_a_bad_cart_with_a_question(
    world: Engine, shop: str, counted: Counted, items: tuple[str, ...], outcome: str
) -> None:
    counted.record(cart(shop))
    trip = cart(shop, *items)
    assert counted.record(trip).outcome == outcome
    with world.connect() as connection:
        asked = connection.scalar(
            text("select count(*) from review_case where subject = :trip"), {"trip": trip.shopping_trip_id}
        )
    assert asked == (1 if outcome == "BAD_CART" else 0)
    assert stored(world, trip).charges == (0 if outcome == "BAD_CART" else 1)


def test_an_item_that_is_new_is_put_on_the_shelf_that_is_there(world: Engine, shop: str, counted: Counted) -> None:
    counted.record(cart(shop, "A"))
    trip = cart(shop, "A", "B")
    counted.record(trip)
    assert (stored(world, trip).total, counted.looked_up) == (5, [])


def test_copies_in_one_batch_have_one_effect_and_one_answer(world: Engine, shop: str, counted: Counted) -> None:
    trip, others = cart(shop), [cart(shop, "B") for _ in range(4)]
    with ThreadPoolExecutor(24) as pool, world.begin() as holder:
        run(holder, "lock table purchase in share mode")  # what comes meanwhile goes together
        answers = [pool.submit(counted.record, replace(trip, request_id=str(number))) for number in range(20)]
        rest = [pool.submit(counted.record, other) for other in others]
        while len(counted.recorder._together._waiting) < 16:
            pass
        holder.rollback()
        bodies = {answer.result().body for answer in answers}
        assert {one.result().outcome for one in rest} == {"PRICED"}
    assert len(bodies) == 1
    found = stored(world, trip)
    assert (found.lines, found.charges, found.moved) == (1, 1, -1)
    assert bodies == {bytes(found.response_body)}
    assert [stored(world, other).total for other in others] == [3] * 4


def test_a_copy_leaves_the_shelf_as_it_is(
    world: Engine, shop: str, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked up because it is a copy: nothing speaks against the shelf, which would be fetched anew."""
    trip = cart(shop)
    counted.record(trip)
    shelf = counted.recorder._shelves._shelves[shop]
    assert counted.record(trip).outcome == "REPEATED"
    assert counted.record(replace(trip, started_at=START - timedelta(minutes=1))).outcome == "DIFFERENT_CART"
    assert counted.looked_up == [trip.shopping_trip_id] * 2
    assert counted.recorder._shelves._shelves[shop] is shelf
    run(world, "update shelf_price set amount = 5 where store_id = :s and item_sku = 'A'", s=shop)
    counted.record(cart(shop))
    assert shop not in counted.recorder._shelves._shelves, "a cart that the shelf's version kept out is another matter"


def test_carts_of_one_statement_go_in_the_order_of_their_trips_and_of_copies_the_first(
    world: Engine, shop: str, serving: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that two processes with the same trips never wait for each other in a circle."""
    sent: list[list[tuple[str, str]]] = []
    plain = recording.store

    def watched(database: Engine, purchases: Sequence[Purchase]) -> set[str]:
        sent.append([(one.cart.shopping_trip_id, one.purchase_id) for one in purchases])
        return plain(database, purchases)

    monkeypatch.setattr(recording, "store", watched)
    trips = [replace(cart(shop), shopping_trip_id=f"order-{name}") for name in ("c", "a", "b", "a")]
    recorder = Recorder(serving)
    taken = [Taken(lambda trip=trip: (trip, "{}"), NOW, lambda n=n: f"P{n}") for n, trip in enumerate(trips)]
    recorder._work(taken)
    assert sent == [[("order-a", "P1"), ("order-b", "P2"), ("order-c", "P0")]]
    assert [one.stored for one in taken] == [True, True, True, False]


def test_a_recorder_agrees_with_itself_about_what_a_price_is(world: Engine, shop: str, serving: Engine) -> None:
    """The amounts of a cart that was stored from the shelf are those of one that was looked up."""
    _new_tax(world, shop)
    _new_promotion(world, shop)
    one, other = cart(shop, "A", "B"), cart(shop, "A", "B")
    Recorder(serving).record(one, "{}", now=NOW, new_id=lambda: str(uuid.uuid4()))
    recording.record_purchase(serving, other, "{}", now=NOW, new_id=lambda: str(uuid.uuid4()))
    with world.connect() as connection:
        rows = [
            connection.execute(
                text(
                    "select line_number, item_sku, quantity, list_price, list_amount, promotions, promotion_amount,"
                    " tax_rate, tax_jurisdiction, tax_amount, total from purchase_line where shopping_trip_id = :trip"
                    " order by line_number"
                ),
                {"trip": trip.shopping_trip_id},
            ).all()
            for trip in (one, other)
        ]
    assert rows[0] == rows[1]
    facts = look_up(serving, one)
    priced = price_cart(one.items, facts.products, facts.promotions(one, owner_of(one, {}).shopper_id), "USD")
    assert isinstance(priced, PricedCart), [Problem]
    assert priced.total.amount == stored(world, one).total
