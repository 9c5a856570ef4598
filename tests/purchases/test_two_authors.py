"""docs/pricing.md was written out twice: by the back office, and by the sandbox in its own way. They agree to the cent.

Price books and carts are made up at random and go through files' rows on the sandbox's side.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backroom.purchases.pricing import CartItem, PricedCart, Product, Promotion, price_cart
from jwo_sandbox import arithmetic, retailer_files
from jwo_sandbox.minor_amounts import places

STORE, TRIP, NOW = "S", "trip-1", 1_000_000
MEMBER, STRANGER = "club-1", "club-2"
SKUS = ("A", "B", "C", "a", "Z9", "\N{LATIN SMALL LETTER E WITH ACUTE}")
WEIGHTS = ("kg", "g", "lb", "oz")
KINDS = ("LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT")


@dataclass(frozen=True)
class Offer:
    """One promotion as both sides are told of it; `given_to` is the loyalty account that it was given to."""

    promotion_id: str
    kind: str
    percentage: Decimal | None = None
    amount: Decimal | None = None
    skus: frozenset[str] = frozenset()
    buy: int = 0
    get: int = 0
    minimum: Decimal | None = None
    stacks: bool = False
    order: int = 0
    given_to: str | None = None


@dataclass(frozen=True)
class Case:
    """A store's currency and way with taxes, its products (sku: unit, price, tax rate), its offers, and a cart."""

    currency: str = "USD"
    tax_included: bool = False
    shelf: dict[str, tuple[str, Decimal, Decimal]] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    cart: tuple[tuple[str, Decimal, str], ...] = ()


def by_the_back_office(case: Case) -> list[tuple[Any, ...]]:
    """Per line: list amount, promotion amount, tax, total, and what each promotion took; last the cart's sums."""
    products = {("SKU", sku): Product(sku, unit, price, "T", rate) for sku, (unit, price, rate) in case.shelf.items()}
    items = [CartItem(n, sku, "SKU", quantity, unit) for n, (sku, quantity, unit) in enumerate(case.cart, start=1)]
    promotions = [
        Promotion(
            offer.promotion_id,
            offer.kind,
            offer.percentage,
            offer.amount,
            offer.skus,
            offer.buy,
            offer.get,
            offer.minimum,
            offer.stacks,
            offer.order,
        )
        for offer in case.offers
        if offer.given_to in (None, MEMBER)
    ]
    cart = price_cart(items, products, promotions, case.currency, prices_include_tax=case.tax_included)
    assert isinstance(cart, PricedCart), cart
    lines: list[tuple[Any, ...]] = [
        (
            line.list_amount.amount,
            line.promotion_amount.amount,
            line.tax_amount.amount,
            line.total.amount,
            [(applied.promotion.promotion_id, applied.amount.amount) for applied in line.promotions],
        )
        for line in cart.lines
    ]
    sums = (cart.list_total, cart.promotion_total, cart.tax_total, cart.tax_included_total, cart.total)
    return [*lines, tuple(one.amount for one in sums)]


def by_the_sandbox(case: Case) -> list[tuple[Any, ...]]:
    """The same from the retailer's rows."""
    always = {"valid_from": 0, "valid_to": retailer_files.FOREVER}
    store = retailer_files.Store(
        STORE, "m", "UTC", case.currency, "NONE", Decimal(1), ("FILES",), prices_include_tax=case.tax_included
    )
    files = retailer_files.RetailerFiles(
        stores={STORE: store},
        products={
            (STORE, sku): retailer_files.Product(sku, unit, f"T-{sku}", "") for sku, (unit, _, _) in case.shelf.items()
        },
        prices={(STORE, sku): [retailer_files.Dated(price, **always)] for sku, (_, price, _) in case.shelf.items()},
        taxes={(STORE, f"T-{sku}"): [retailer_files.Dated(rate, **always)] for sku, (_, _, rate) in case.shelf.items()},
        promotions={STORE: [retailer_files.promotion_of(row_of(offer)) for offer in case.offers]},
        accounts=[
            retailer_files.LoyaltyAccount(
                account, None, True, frozenset(offer.promotion_id for offer in case.offers if offer.given_to == account)
            )
            for account in (MEMBER, STRANGER)
        ],
    )
    cart = [
        {"id": sku, "type": "SKU", "quantity": format(quantity, "f"), "unit": unit} for sku, quantity, unit in case.cart
    ]
    priced = arithmetic.price_cart(files, STORE, TRIP, NOW, cart, loyalty_ids=[MEMBER])

    def money(minor: int) -> Decimal:
        return Decimal(minor).scaleb(-places(case.currency))

    lines: list[tuple[Any, ...]] = [
        (
            money(line.list_amount),
            money(line.promotion_amount),
            money(line.tax_amount),
            money(line.total),
            [(promotion_id, money(amount)) for promotion_id, amount in line.promotions],
        )
        for line in priced
    ]
    inside = money(sum(line.tax_amount for line in priced)) if case.tax_included else Decimal(0)
    sums = [sum((line[place] for line in lines), Decimal(0)) for place in range(4)]
    return [*lines, (sums[0], sums[1], sums[2], inside, sums[3])]


def row_of(offer: Offer) -> dict[str, str]:
    """The row of promotions.csv."""

    def text(value: Decimal | None) -> str:
        return "" if value is None else format(value, "f")

    return {
        "promotion_id": offer.promotion_id,
        "store_id": STORE,
        "kind": offer.kind,
        "item_sku": ";".join(sorted(offer.skus)),
        "shopping_trip_id": "",
        "percentage": text(offer.percentage),
        "valid_from": "1970-01-01T00:00:00Z",
        "valid_to": "",
        "description": "",
        "amount": text(offer.amount),
        "buy_quantity": str(offer.buy or ""),
        "get_quantity": str(offer.get or ""),
        "minimum_amount": text(offer.minimum),
        "stacks": "true" if offer.stacks else "",
        "stacking_order": str(offer.order),
        "loyalty": "true" if offer.given_to else "",
    }


def decimals(low: str, high: str, step: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=step)


# small ones are likely, so that something is left for the promotions that come later
parts = st.sampled_from([Decimal("0.1"), Decimal("0.05"), Decimal("0.5"), Decimal(1)]) | decimals("0.000001", "0.4", 6)
amounts = decimals("0.01", "1", 2) | decimals("0.0001", "12", 4)


@st.composite
def offers(draw: st.DrawFn, promotion_id: str, minimums: list[Decimal]) -> Offer:
    kind = draw(st.sampled_from([*KINDS, "BASKET_AMOUNT"]))
    of_products = not kind.startswith("BASKET")
    by_percentage = kind in ("LINE_PERCENTAGE", "BASKET_PERCENTAGE", "BUY_X_GET_Y")
    small = st.integers(1, 3)
    return Offer(
        promotion_id,
        kind,
        percentage=draw(parts) if by_percentage else None,
        amount=None if by_percentage else draw(amounts),
        skus=draw(st.frozensets(st.sampled_from(SKUS), min_size=1)) if of_products else frozenset(),
        buy=draw(small) if kind == "BUY_X_GET_Y" else 0,
        get=draw(small) if kind == "BUY_X_GET_Y" else 0,
        minimum=draw(st.none() | st.sampled_from(minimums)),
        stacks=draw(st.booleans()),
        order=draw(st.integers(0, 2)),
        given_to=draw(st.sampled_from([None, None, None, MEMBER, STRANGER])),
    )


def lines_of(shelf: dict[str, tuple[str, Decimal, Decimal]]) -> st.SearchStrategy[tuple[str, Decimal, str]]:
    """A line of the cart: a product, and a quantity in a unit that fits it."""

    def quantity(sku: str) -> st.SearchStrategy[tuple[str, Decimal, str]]:
        if shelf[sku][0] == "unit":
            pieces = st.integers(1, 7).map(Decimal) | st.sampled_from([Decimal("1.5"), Decimal("2.0"), Decimal("0.25")])
            return st.tuples(st.just(sku), pieces, st.just("unit"))
        light, heavy = decimals("1", "900", 2), decimals("0.001", "3", 3)
        return st.sampled_from(WEIGHTS).flatmap(
            lambda unit: st.tuples(st.just(sku), light if unit in ("g", "oz") else heavy, st.just(unit))
        )

    return st.sampled_from(sorted(shelf)).flatmap(quantity)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    currency = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    # few prices, so that ties are many; the others have more places than the currency
    prices = st.sampled_from([Decimal(2), Decimal("2.5"), Decimal("3.33")]) | decimals("0.0001", "9", 4)
    if currency == "JPY":
        prices = st.integers(1, 400).map(Decimal) | decimals("0.5", "90", 2)
    rates = st.sampled_from([Decimal(0), Decimal("0.2"), Decimal("0.08875")]) | decimals("0", "0.3", 6)
    units = st.sampled_from(["unit", "unit", "unit", *WEIGHTS])
    skus = draw(st.lists(st.sampled_from(SKUS), min_size=1, max_size=4, unique=True))
    shelf = {sku: draw(st.tuples(units, prices, rates)) for sku in skus}
    cart = tuple(draw(st.lists(lines_of(shelf), min_size=1, max_size=6)))
    bare = Case(currency=currency, tax_included=draw(st.booleans()), shelf=shelf, cart=cart)
    listed, cent = by_the_sandbox(bare)[-1][0], Decimal(1).scaleb(-places(currency))
    minimums = [minimum for minimum in (listed - cent, listed, listed + cent / 10) if minimum > 0] or [cent]
    ids = draw(st.lists(st.sampled_from(["P1", "P10", "P2", "p1", "Q", "R", "S"]), max_size=6, unique=True))
    return replace(bare, offers=tuple(draw(offers(promotion_id, minimums)) for promotion_id in ids))


@st.composite
def alike(draw: st.DrawFn) -> Case:
    """Lines and promotions so alike that ties and the order of things decide, over few products and kinds."""
    price = st.sampled_from([Decimal(1), Decimal("3.33")])
    shelf = {sku: ("unit", draw(price), Decimal("0.2") if sku == "C" else Decimal(0)) for sku in "CBA"}
    every = frozenset(shelf)
    half, one = Decimal("0.5"), Decimal(1)
    kinds = [
        Offer("", "BUY_X_GET_Y", percentage=half, skus=every, buy=1, get=1),
        Offer("", "BUY_X_GET_Y", percentage=one, skus=every, buy=2, get=1),
        Offer("", "LINE_PERCENTAGE", percentage=half, skus=frozenset("AC")),
        Offer("", "LINE_AMOUNT", amount=half, skus=every),
        Offer("", "BASKET_PERCENTAGE", percentage=Decimal("0.1")),
        Offer("", "BASKET_AMOUNT", amount=Decimal("1.01")),
    ]
    pieces = st.sampled_from([Decimal(1), Decimal(2), Decimal(3), Decimal("1.5")])
    stacks = draw(st.booleans())
    return Case(
        shelf=shelf,
        offers=tuple(
            replace(draw(st.sampled_from(kinds)), promotion_id=promotion_id, stacks=stacks)
            for promotion_id in draw(st.permutations(["P1", "P2", "P3"]))[: draw(st.integers(1, 3))]
        ),
        cart=tuple(draw(st.lists(st.tuples(st.sampled_from("ABC"), pieces, st.just("unit")), min_size=2, max_size=5))),
    )


def in_pieces(*cart: tuple[str, str, int, str], offers: tuple[Offer, ...]) -> Case:
    """A cart of (SKU, price, how many, tax rate)."""
    shelf = {sku: ("unit", Decimal(price), Decimal(rate)) for sku, price, _, rate in cart}
    return Case(shelf=shelf, offers=offers, cart=tuple((sku, Decimal(pieces), "unit") for sku, _, pieces, _ in cart))


FIVE_OFF = Offer("D", "BASKET_AMOUNT", amount=Decimal(5), stacks=True)
NINE_OFF_A = Offer("L", "LINE_AMOUNT", amount=Decimal(9), skus=frozenset("A"))
SHARED = (("A", "10", 1, "0"), ("B", "6", 1, "0"), ("C", "1", 1, "0"))
TAX_DECIDES = in_pieces(
    ("A", "10", 1, "0.2"),
    ("B", "90", 1, "0"),
    offers=(
        Offer("L", "LINE_AMOUNT", amount=Decimal(2), skus=frozenset("A")),
        Offer("D", "BASKET_AMOUNT", amount=Decimal("2.10")),
    ),
)


@settings(deadline=None, max_examples=80)
@given(cases())
@example(TAX_DECIDES)
def test_two_programs_written_from_the_page_agree_line_by_line(case: Case) -> None:
    assert by_the_sandbox(case) == by_the_back_office(case)


@settings(deadline=None, max_examples=80)
@given(alike())
def test_they_agree_where_the_order_of_things_decides(case: Case) -> None:
    assert by_the_sandbox(case) == by_the_back_office(case)


@pytest.mark.parametrize(
    ("case", "promotions"),
    [
        (in_pieces(*SHARED, offers=(FIVE_OFF,)), ["2.95", "1.76", "0.29"]),
        (in_pieces(*SHARED, offers=(FIVE_OFF, NINE_OFF_A)), ["10.00", "3.43", "0.57"]),
        (TAX_DECIDES, ["2.00", "0.00"]),
    ],
)
def test_what_they_agree_on_is_what_the_page_says(case: Case, promotions: list[str]) -> None:
    priced = by_the_sandbox(case)
    assert [str(line[1]) for line in priced[:-1]] == promotions
    assert priced == by_the_back_office(case)
