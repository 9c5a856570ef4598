"""What a point of sale says that a cart costs: checked to the cent, then the same types that our own pricing yields."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from backroom.money import places
from backroom.purchases.cart import Cart
from backroom.purchases.minor_units import for_quantity
from backroom.purchases.pricing import LARGEST, CartItem, PricedCart, PricedLine, Problem, Product
from backroom.purchases.promotions import Promotion
from backroom.source_files import Amount, Identifier, Rate, Words

KIND = "POINT_OF_SALE"  # of a promotion that we only hear the amount of


class WrongAnswer(Exception):
    """The answer is not one to charge by. Says what is wrong, without what was sent."""


def read_answer(body: bytes, cart: Cart, currency: str) -> PricedCart | list[Problem]:
    """The priced cart, or the lines that the point of sale does not know. Raises WrongAnswer.

    Each line is answered once, amounts have at most the currency's places and none is below zero; list amount is list
    price x quantity (rounded up or down), each total is the sum of its parts, and the cart's that of its lines.
    """
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise WrongAnswer(f"{where}: {first['msg']}"[:300]) from error
    if answer.shopping_trip_id != cart.shopping_trip_id:
        raise WrongAnswer("shoppingTripId: of another trip")
    if answer.currency != currency:
        raise WrongAnswer(f"currency: not {currency}")
    items = {item.line_number: item for item in cart.items}
    numbers = [line.line for line in answer.lines] + [unknown.line for unknown in answer.unknown]
    if len(numbers) != len(items) or set(numbers) != items.keys():
        raise WrongAnswer("lines: not each line of the cart is answered once")
    if len({line.tax.included for line in answer.lines}) > 1:
        raise WrongAnswer("lines: the tax is included in some and added to others")
    digits = places(currency)
    lines = {line.line: _priced(line, items[line.line], currency, digits) for line in answer.lines}
    if answer.unknown:
        return [Problem(items[one.line], f"the point of sale: {one.reason}") for one in answer.unknown]
    return _cart([lines[item.line_number] for item in cart.items], answer, currency, digits)


def _minor(amount: Decimal, where: str, digits: int) -> int:
    minor = amount.scaleb(digits)
    if minor != minor.to_integral_value():
        raise WrongAnswer(f"{where}: more than {digits} decimal places")
    return int(minor)


def _priced(line: _Line, item: CartItem, currency: str, digits: int) -> PricedLine:
    where = f"line {line.line}"
    if item.item_type == "SKU" and line.sku != item.item_id:
        raise WrongAnswer(f"{where}, sku: of another product")
    expected = for_quantity(line.list_price, item.quantity, item.unit, line.sold_by, digits)
    if expected is None:
        raise WrongAnswer(f"{where}, soldBy: {line.sold_by}, where the cart counts by the {item.unit}")
    list_minor = _minor(line.list_amount, f"{where}, listAmount", digits)
    if abs(list_minor - expected) > 1:
        raise WrongAnswer(f"{where}, listAmount: not listPrice x quantity")
    taken = [
        (Promotion(one.id, KIND, description=one.description), _minor(one.amount, f"{where}, promotions", digits))
        for one in line.promotions
    ]
    left = list_minor - sum(amount for _, amount in taken)
    if left < 0:
        raise WrongAnswer(f"{where}, promotions: more than the list amount")
    tax_minor = _minor(line.tax.amount, f"{where}, tax.amount", digits)
    if line.tax.included and tax_minor > left:
        raise WrongAnswer(f"{where}, tax.amount: more than the amount that it is in")
    total_minor = left if line.tax.included else left + tax_minor
    if total_minor != _minor(line.total, f"{where}, total", digits):
        raise WrongAnswer(f"{where}, total: not the list amount less promotions, with the tax that is added")
    product = Product(line.sku, line.sold_by, line.list_price, line.tax.code, line.tax.rate, line.tax.jurisdiction)
    return PricedLine(
        item, product, line.list_price, currency, list_minor, [one for one in taken if one[1]], tax_minor,
        line.tax.included, total_minor,
    )  # fmt: skip


def _cart(lines: list[PricedLine], answer: _Answer, currency: str, digits: int) -> PricedCart:
    total_minor = sum(line.total_minor for line in lines)
    if answer.total is None or total_minor != _minor(answer.total, "total", digits):
        raise WrongAnswer("total: not the sum of the lines")
    list_minor = sum(line.list_minor for line in lines)
    tax_minor = sum(line.tax_minor for line in lines)
    if list_minor + tax_minor >= LARGEST * 10**digits:
        raise WrongAnswer(f"total: not below {LARGEST} {currency}")
    return PricedCart(
        lines=tuple(lines),
        currency=currency,
        tax_included=any(line.tax_included for line in lines),
        list_minor=list_minor,
        promotion_minor=sum(line.promotion_minor for line in lines),
        tax_minor=tax_minor,
        total_minor=total_minor,
    )


class _Part(BaseModel):
    """Further fields are ignored; a wrong JSON type is an error, amounts are text."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, alias_generator=to_camel)


_Text = Annotated[Words, StringConstraints(max_length=255)]


class _Taken(_Part):
    id: Identifier
    description: _Text = ""
    amount: Amount


class _Tax(_Part):
    amount: Amount
    rate: Annotated[Rate, Field(lt=1)]
    included: bool
    jurisdiction: Identifier | None = None
    code: _Text = ""


class _Line(_Part):
    line: int
    sku: Identifier
    sold_by: Literal["unit", "kg", "g", "lb", "oz"]
    list_price: Amount
    list_amount: Amount
    promotions: Annotated[list[_Taken], Field(max_length=100)] = []
    tax: _Tax
    total: Amount


class _Unknown(_Part):
    line: int
    reason: _Text = "does not know the item"


class _Answer(_Part):
    shopping_trip_id: str
    currency: str
    lines: Annotated[list[_Line], Field(max_length=100_000)]
    unknown: Annotated[list[_Unknown], Field(max_length=100_000)] = []
    total: Amount | None = None
