"""What a cart costs: pure arithmetic over the price book as it was at the trip's end.

Per line, each step rounded half up to the currency's places:

    list_amount      = list price x quantity (in the unit that the product is sold by)
    promotion_amount = list_amount x the one applicable percentage that is largest (a tie: the smaller promotion id)
    tax_amount       = (list_amount - promotion_amount) x the store's rate for the product's tax code
    total            = list_amount - promotion_amount + tax_amount

The cart's totals are the sums of its lines. A cart with a line that can't be priced has no price at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce

from backroom.money import Money, round_amount

GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237"), "oz": Decimal("28.349523125")}
LARGEST = Decimal(10) ** 10  # an amount must stay below it: what the books' columns hold
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)  # wide enough that only `round_amount` ever rounds


@dataclass(frozen=True)
class CartItem:
    """A line of the cart as it came; `item_type` is SKU or SCANCODE, `unit` is unit, kg, g, lb or oz."""

    line_number: int
    item_id: str
    item_type: str
    quantity: Decimal
    unit: str
    line_item_id: str | None = None


@dataclass(frozen=True)
class Product:
    """What the catalog and the price book say of a product at that store and instant."""

    item_sku: str
    sold_by: str
    list_price: Decimal | None
    product_tax_code: str = ""
    tax_rate: Decimal = Decimal(0)
    tax_jurisdiction: str | None = None


@dataclass(frozen=True)
class Promotion:
    """A percentage off (0.125 is 12.5 %): for one product, or for the whole basket where `item_sku` is None."""

    promotion_id: str
    percentage: Decimal
    item_sku: str | None = None


@dataclass(frozen=True)
class PricedLine:
    """A line with all that its price is made of. `list_price` is per unit that the product is sold by."""

    item: CartItem
    product: Product
    list_price: Decimal
    list_amount: Money
    promotion: Promotion | None
    promotion_amount: Money
    tax_amount: Money
    total: Money

    def explain(self) -> str:
        """The sum in words, as a receipt or a person who checks it needs it."""
        per = "" if self.product.sold_by == "unit" else f" per {self.product.sold_by}"
        unit = "" if self.item.unit == "unit" else f" {self.item.unit}"
        price = _price(self.list_price, self.total.currency)
        parts = [f"{self.item.quantity.normalize():f}{unit} x {price}{per} = {self.list_amount}"]
        if self.promotion is not None:
            parts.append(
                f"{self.promotion.promotion_id} {_percent(self.promotion.percentage)} off: -{self.promotion_amount}"
            )
        if self.product.tax_jurisdiction is not None:
            parts.append(f"tax {self.product.tax_jurisdiction} {_percent(self.product.tax_rate)}: {self.tax_amount}")
        return "; ".join([*parts, f"total {self.total}"])


@dataclass(frozen=True)
class Problem:
    """Why a line can't be priced."""

    item: CartItem
    reason: str


@dataclass(frozen=True)
class PricedCart:
    """The lines in the cart's order and their sums; all of one currency."""

    lines: tuple[PricedLine, ...]
    list_total: Money
    promotion_total: Money
    tax_total: Money
    total: Money


def price_cart(
    items: Sequence[CartItem],
    products: Mapping[tuple[str, str], Product],
    promotions: Iterable[Promotion],
    currency: str,
) -> PricedCart | list[Problem]:
    """The priced cart, or what stands in the way. `products` are keyed by (item_type, item_id).

    `promotions` are all that are valid at that store and instant, and for that trip where they name one.
    """
    by_sku: dict[str | None, list[Promotion]] = {}
    for promotion in promotions:
        by_sku.setdefault(promotion.item_sku, []).append(promotion)
    baskets = by_sku.get(None, [])
    lines: list[PricedLine] = []
    problems: list[Problem] = []
    for item in items:
        product = products.get((item.item_type, item.item_id))
        applicable = [] if product is None else by_sku.get(product.item_sku, []) + baskets
        priced = _price_line(item, product, applicable, currency)
        if isinstance(priced, Problem):
            problems.append(priced)
        else:
            lines.append(priced)
    if (
        not problems
        and sum((line.list_amount.amount + line.tax_amount.amount for line in lines), Decimal(0)) >= LARGEST
    ):
        problems = [Problem(lines[0].item, f"the cart's amount is not below {LARGEST} {currency}")]
    if problems:
        return problems
    zero = Money.zero(currency)
    return PricedCart(
        lines=tuple(lines),
        list_total=reduce(Money.__add__, (line.list_amount for line in lines), zero),
        promotion_total=reduce(Money.__add__, (line.promotion_amount for line in lines), zero),
        tax_total=reduce(Money.__add__, (line.tax_amount for line in lines), zero),
        total=reduce(Money.__add__, (line.total for line in lines), zero),
    )


def best_promotion(applicable: Iterable[Promotion]) -> Promotion | None:
    """The one that counts: the largest percentage; of equals, the smaller id."""
    return min(applicable, key=lambda promotion: (-promotion.percentage, promotion.promotion_id), default=None)


def _price_line(
    item: CartItem, product: Product | None, applicable: Iterable[Promotion], currency: str
) -> PricedLine | Problem:
    if product is None:
        known_as = "barcode" if item.item_type == "SCANCODE" else "SKU"
        return Problem(item, f"no product of this store has the {known_as} {item.item_id!r}")
    if product.list_price is None:
        return Problem(item, f"{product.item_sku!r} has no shelf price at the trip's end")
    exact = _exact_amount(product.list_price, item, product.sold_by)
    if exact is None:
        return Problem(
            item, f"{product.item_sku!r} is sold by the {product.sold_by}, the cart counts by the {item.unit}"
        )
    if exact >= LARGEST:
        return Problem(item, f"the amount of {product.item_sku!r} is not below {LARGEST} {currency}")
    list_amount = Money.rounded(exact, currency)
    promotion = best_promotion(applicable)
    share = Decimal(0) if promotion is None else promotion.percentage
    promotion_amount = Money.rounded(_EXACT.multiply(list_amount.amount, share), currency)
    taxed = list_amount - promotion_amount
    tax_amount = Money.rounded(_EXACT.multiply(taxed.amount, product.tax_rate), currency)
    return PricedLine(
        item=item,
        product=product,
        list_price=product.list_price,
        list_amount=list_amount,
        promotion=promotion,
        promotion_amount=promotion_amount,
        tax_amount=tax_amount,
        total=taxed + tax_amount,
    )


def _exact_amount(list_price: Decimal, item: CartItem, sold_by: str) -> Decimal | None:
    """List price x quantity, unrounded; None where one is a weight and the other is not."""
    if item.unit == sold_by:
        return _EXACT.multiply(list_price, item.quantity)
    if item.unit not in GRAMS or sold_by not in GRAMS:
        return None
    grams = _EXACT.multiply(item.quantity, GRAMS[item.unit])
    return _EXACT.divide(_EXACT.multiply(list_price, grams), GRAMS[sold_by])


def _price(amount: Decimal, currency: str) -> str:
    """With the currency's places, or with more where the price has them."""
    rounded = round_amount(amount, currency)
    return f"{rounded if rounded == amount else amount.normalize():f}"


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f} %"
