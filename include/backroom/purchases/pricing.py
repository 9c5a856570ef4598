"""What a cart costs: pure arithmetic over the price book as it was at the trip's end. docs/pricing.md is the rule.

Per line, in whole minor units of the currency, each step rounded half up:

    list_amount      = list price x quantity (in the unit that the product is sold by)
    promotion_amount = what the promotions take off it (promotions.py)
    tax_amount       = (list_amount - promotion_amount) x the store's rate for the product's tax code, on top of it;
                       or, where the store's prices include tax, what of it is tax
    total            = list_amount - promotion_amount + tax_amount, or without the tax where it is inside

The cart's totals are the sums of its lines. A cart with a line that can't be priced has no price at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct

from backroom.money import Money, places
from backroom.purchases.minor_units import decimal, for_quantity, part_of, part_within
from backroom.purchases.price_words import line_in_words
from backroom.purchases.promotions import BasketLine, Promotion, reduce

LARGEST = 10**10  # an amount must stay below it: what the books' columns hold


class CartItem(Struct, frozen=True, gc=False):
    """A line of the cart as it came; `item_type` is SKU or SCANCODE, `unit` is unit, kg, g, lb or oz."""

    line_number: int
    item_id: str
    item_type: str
    quantity: Decimal
    unit: str
    line_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What the catalog and the price book say of a product at that store and instant."""

    item_sku: str
    sold_by: str
    list_price: Decimal | None
    product_tax_code: str = ""
    tax_rate: Decimal = Decimal(0)
    tax_jurisdiction: str | None = None
    written: dict[tuple[str, str], str] = field(default_factory=dict, compare=False, repr=False)
    """What `line_rows` has written of it once already, by the item that stood for it."""


@dataclass(frozen=True, slots=True)
class AppliedPromotion:
    """What one promotion took off one line."""

    promotion: Promotion
    amount: Money


class PricedLine(Struct):
    """A line with all that its price is made of; the amounts in `…_minor` are whole minor units of `currency`."""

    item: CartItem
    product: Product
    list_price: Decimal  # per unit that the product is sold by
    currency: str
    list_minor: int
    taken: Sequence[tuple[Promotion, int]]  # off this line, in the order applied
    tax_minor: int
    tax_included: bool
    total_minor: int

    @property
    def promotion_minor(self) -> int:
        """What all promotions took off, in minor units."""
        return sum([amount for _, amount in self.taken])

    @property
    def list_amount(self) -> Money:
        """List price x quantity."""
        return _money(self.list_minor, self.currency)

    @property
    def promotions(self) -> tuple[AppliedPromotion, ...]:
        """What each promotion took off, in the order applied."""
        return tuple(AppliedPromotion(one, _money(amount, self.currency)) for one, amount in self.taken)

    @property
    def promotion_amount(self) -> Money:
        """What all promotions took off."""
        return _money(self.promotion_minor, self.currency)

    @property
    def tax_amount(self) -> Money:
        """On the reduced amount, or inside it where `tax_included`."""
        return _money(self.tax_minor, self.currency)

    @property
    def total(self) -> Money:
        """What the shopper pays for the line."""
        return _money(self.total_minor, self.currency)

    def explain(self) -> str:
        """The sum in words, as a receipt or a person who checks it needs it."""
        return line_in_words(self)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line can't be priced."""

    item: CartItem
    reason: str


@dataclass(frozen=True, slots=True)
class PricedCart:
    """The lines in the cart's order and their sums; all of one currency.

    `tax_included_total` is what of `tax_total` the list prices hold already, so that
    total = list_total - promotion_total + tax_total - tax_included_total.
    """

    lines: tuple[PricedLine, ...]
    currency: str
    tax_included: bool
    list_minor: int
    promotion_minor: int
    tax_minor: int
    total_minor: int

    @property
    def list_total(self) -> Money:
        """Of all lines."""
        return _money(self.list_minor, self.currency)

    @property
    def promotion_total(self) -> Money:
        """Of all lines."""
        return _money(self.promotion_minor, self.currency)

    @property
    def tax_total(self) -> Money:
        """Of all lines, on top or inside."""
        return _money(self.tax_minor, self.currency)

    @property
    def tax_included_total(self) -> Money:
        """The tax total where prices include tax, otherwise zero."""
        return _money(self.tax_minor if self.tax_included else 0, self.currency)

    @property
    def total(self) -> Money:
        """What the shopper pays."""
        return _money(self.total_minor, self.currency)


def price_cart(
    items: Sequence[CartItem],
    products: Mapping[tuple[str, str], Product],
    promotions: Iterable[Promotion],
    currency: str,
    *,
    prices_include_tax: bool = False,
) -> PricedCart | list[Problem]:
    """The priced cart, or what stands in the way. `products` are keyed by (item_type, item_id).

    `promotions` are all that are valid at that store and instant, and for that trip where they name one or are for
    holders of a loyalty account only.
    """
    digits = places(currency)
    found: list[tuple[CartItem, Product, BasketLine]] = []
    problems: list[Problem] = []
    for item in items:
        product = products.get((item.item_type, item.item_id))
        line = _basket_line(item, product, currency, digits)
        if isinstance(line, str):
            problems.append(Problem(item, line))
        elif product is not None:
            found.append((item, product, line))
    if problems:
        return problems
    tax = part_within if prices_include_tax else part_of
    rates = [product.tax_rate for _, product, _ in found]

    def taxes(remaining: Sequence[int]) -> list[int]:
        return [tax(left, rate) if rate else 0 for left, rate in zip(remaining, rates, strict=True)]

    def payable(remaining: Sequence[int]) -> int:
        return sum(remaining) + (0 if prices_include_tax else sum(taxes(remaining)))

    list_amounts, largest = [line.list_amount for _, _, line in found], LARGEST * 10**digits
    if 2 * sum(list_amounts) >= largest and payable(list_amounts) >= largest:  # no tax is as high as the price
        return [Problem(items[0], f"the cart's amount is not below {LARGEST} {currency}")]
    reduced = reduce([line for _, _, line in found], promotions, digits, payable)
    lines = [
        PricedLine(item, product, line.list_price, currency, line.list_amount, taken, tax_minor, prices_include_tax,
                   left if prices_include_tax else left + tax_minor)
        for (item, product, line), left, taken, tax_minor in zip(
            found, reduced.remaining, reduced.applied, taxes(reduced.remaining), strict=True
        )
    ]  # fmt: skip
    list_minor = sum([line.list_minor for line in lines])
    return PricedCart(
        lines=tuple(lines),
        currency=currency,
        tax_included=prices_include_tax,
        list_minor=list_minor,
        promotion_minor=list_minor - sum(reduced.remaining),
        tax_minor=sum([line.tax_minor for line in lines]),
        total_minor=sum([line.total_minor for line in lines]),
    )


def _basket_line(item: CartItem, product: Product | None, currency: str, digits: int) -> BasketLine | str:
    """The line at its list price, or why there is none."""
    if product is None:
        known_as = "barcode" if item.item_type == "SCANCODE" else "SKU"
        return f"no product of this store has the {known_as} {item.item_id!r}"
    price = product.list_price
    if price is None:
        return f"{product.item_sku!r} has no shelf price at the trip's end"
    amount = for_quantity(price, item.quantity, item.unit, product.sold_by, digits)
    if amount is None:
        return f"{product.item_sku!r} is sold by the {product.sold_by}, the cart counts by the {item.unit}"
    if amount >= LARGEST * 10**digits:
        return f"the amount of {product.item_sku!r} is not below {LARGEST} {currency}"
    return BasketLine(product.item_sku, item.quantity, item.unit, product.sold_by, price, amount)


def _money(minor: int, currency: str) -> Money:
    return Money(decimal(minor, places(currency)), currency)
