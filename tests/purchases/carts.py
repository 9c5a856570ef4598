"""Builders of carts, products and promotions in plain text, and carts for hypothesis to draw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from backroom.purchases.minor_units import GRAMS
from backroom.purchases.pricing import CartItem, PricedCart, PricedLine, Product, price_cart
from backroom.purchases.promotions import Promotion


def item(sku: str = "A", quantity: str = "1", unit: str = "unit", number: int = 1) -> CartItem:
    return CartItem(number, sku, "SKU", Decimal(quantity), unit)


def product(
    price: str | None, sku: str = "A", sold_by: str = "unit", rate: str = "0", jurisdiction: str | None = None
) -> Product:
    return Product(sku, sold_by, None if price is None else Decimal(price), "CODE", Decimal(rate), jurisdiction)


def promotion(promotion_id: str, kind: str, *skus: str, **values: Any) -> Promotion:
    """Text becomes Decimal where the field is one."""
    decimals = {name: Decimal(values[name]) for name in ("percentage", "amount", "minimum_amount") if name in values}
    return Promotion(promotion_id, kind, item_skus=frozenset(skus), **{**values, **decimals})


@dataclass
class Till:
    """A cart in the making: lines of (SKU, price, quantity), promotions, and what it all costs."""

    currency: str = "USD"
    prices_include_tax: bool = False
    items: list[CartItem] = field(default_factory=list)
    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    promotions: list[Promotion] = field(default_factory=list)

    def line(
        self, sku: str, price: str, quantity: str = "1", *, unit: str = "unit", sold_by: str | None = None,
        rate: str = "0",
    ) -> Till:  # fmt: skip
        self.items.append(item(sku, quantity, unit, len(self.items) + 1))
        self.products["SKU", sku] = product(price, sku, sold_by or unit, rate, "X" if rate != "0" else None)
        return self

    def offer(self, promotion_id: str, kind: str, *skus: str, **values: Any) -> Till:
        self.promotions.append(promotion(promotion_id, kind, *skus, **values))
        return self

    def cart(self) -> PricedCart:
        priced = price_cart(
            self.items, self.products, self.promotions, self.currency, prices_include_tax=self.prices_include_tax
        )
        assert isinstance(priced, PricedCart), priced
        return priced

    def totals(self) -> list[str]:
        """Of the lines, as text."""
        return [str(line.total.amount) for line in self.cart().lines]

    def off(self) -> list[str]:
        """What promotions took off the lines, as text."""
        return [str(line.promotion_amount.amount) for line in self.cart().lines]


def applied(line: PricedLine) -> list[tuple[str, str]]:
    """(promotion id, amount) of a line, in the order applied."""
    return [(one.promotion.promotion_id, str(one.amount.amount)) for one in line.promotions]


amounts = st.decimals("0", "9999", places=4)
weights = st.sampled_from(sorted(GRAMS))
quantities = st.one_of(st.integers(1, 30).map(Decimal), st.decimals("0.001", "999", places=3))
shares = st.one_of(
    st.decimals("0.000001", "1", places=6), st.sampled_from([Decimal("0.1"), Decimal("0.5"), Decimal(1)])
)
currencies = st.sampled_from(["USD", "JPY", "KWD"])
SKUS = "ABCD"


@st.composite
def promotions(draw: st.DrawFn, promotion_id: str, *, most_off: str = "9999", **fixed: Any) -> Promotion:
    """Of any kind; `fixed` settles fields, `most_off` bounds amounts."""
    offs = st.one_of(st.decimals("0.0001", "9.9999", places=4), st.decimals("0.0001", most_off, places=4))
    kind = fixed.get("kind") or draw(
        st.sampled_from(["LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT"])
    )
    by_amount = kind in ("LINE_AMOUNT", "BASKET_AMOUNT")
    drawn = Promotion(
        promotion_id,
        kind,
        percentage=None if by_amount else draw(shares),
        amount=draw(offs) if by_amount else None,
        item_skus=frozenset() if kind.startswith("BASKET") else frozenset(draw(st.sets(st.sampled_from(SKUS)))),
        buy_quantity=draw(st.integers(1, 3)) if kind == "BUY_X_GET_Y" else 0,
        get_quantity=draw(st.integers(1, 3)) if kind == "BUY_X_GET_Y" else 0,
        minimum_amount=draw(st.one_of(st.none(), amounts.filter(bool))),
        stacks=draw(st.booleans()),
        stacking_order=draw(st.integers(0, 2)),
    )
    return replace(drawn, **fixed)


@st.composite
def tills(draw: st.DrawFn, *, most_expensive: str = "9999", most_off: str = "9999", **fixed: Any) -> Till:
    """A cart of up to eight lines of four products, with up to five promotions; `fixed` settles their fields."""
    amounts = st.decimals("0", most_expensive, places=4)
    products = {}
    for sku in SKUS:
        sold_by = draw(st.one_of(st.just("unit"), weights))
        rate = draw(st.one_of(st.just(Decimal(0)), st.decimals("0", "0.999999", places=6)))
        # few prices, so that equal ones are common
        price = draw(st.one_of(amounts, st.sampled_from([Decimal("0.99"), Decimal("2.5")])))
        products["SKU", sku] = Product(sku, sold_by, price, "CODE", rate, "X")
    items = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        sku = draw(st.sampled_from(SKUS))
        unit = "unit" if products["SKU", sku].sold_by == "unit" else draw(weights)
        items.append(CartItem(number, sku, "SKU", draw(quantities), unit))
    offers = [draw(promotions(f"P{number}", most_off=most_off, **fixed)) for number in range(draw(st.integers(0, 6)))]
    return Till(draw(currencies), draw(st.booleans()), items, products, offers)
