"""The lines of carts as one JSON text: what of them goes to the database, where most of a cart's rows are.

They are a list of their own beside their carts: inside of them, the database would read their text twice. What is the
same in every cart, a product's own columns, is written once and kept with the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from backroom.money import places
from backroom.purchases.amounts import promotions_taken
from backroom.purchases.minor_units import GRAMS, text
from backroom.purchases.pricing import CartItem, PricedLine, Product

if TYPE_CHECKING:
    from backroom.purchases.storing import Purchase

LINE: Final = """
    x text, n int, li text, q numeric, u text, p numeric, la numeric, ps jsonb, pa numeric, ta numeric, ti boolean,
    z numeric, i text, t text, s text, pu text, c text, r numeric, j text
"""
"""A line's members, as PostgreSQL's json_to_recordset takes them; null where one is left out."""
LINE_COLUMNS: Final = """
    shopping_trip_id, line_number, line_item_id, quantity, unit, list_price, list_amount, promotions, promotion_amount,
    tax_amount, tax_included, total, item_id, item_type, item_sku, price_unit, product_tax_code, tax_rate,
    tax_jurisdiction
"""
"""The columns of purchase_line that `LINE_VALUES` fills, in its order."""
LINE_VALUES: Final = """
    x, n, li, q, u, p, la, coalesce(ps, '[]'), case when z is not null then coalesce(pa, 0) end,
    ta, coalesce(ti, false), z, i, t, s, pu, c, r, j
"""


def lines_json(purchases: Iterable[Purchase]) -> str:
    """The lines of all carts. A cart without a price keeps its lines without amounts: they are priced once it is
    resolved. What known products left the store, whoever pays for them, is posted later (inventory/posting.py).
    """
    return f"[{','.join([line for purchase in purchases for line in _lines(purchase)])}]"


def _lines(purchase: Purchase) -> Iterator[str]:
    trip = _members({"x": purchase.cart.shopping_trip_id})
    if isinstance(purchase.priced, list):
        products = purchase.products
        return (_unpriced(trip, item, products.get((item.item_type, item.item_id))) for item in purchase.cart.items)
    digits = places(purchase.currency)
    trip = f'{trip},"ti":true' if purchase.priced.tax_included else trip
    return (_priced(trip, line, digits) for line in purchase.priced.lines)


def _unpriced(trip: str, item: CartItem, product: Product | None) -> str:
    known = {} if product is None else {"s": product.item_sku, "pu": product.sold_by}
    return f"{{{trip},{_counted(item)},{_members({'i': item.item_id, 't': item.item_type, **known})}}}"


def _priced(trip: str, line: PricedLine, digits: int) -> str:
    """With what `amounts.line_amounts` says."""
    item, product = line.item, line.product
    key = (item.item_type, item.item_id)
    same = product.written.get(key)
    if same is None:
        same = product.written[key] = _same(item, product)
    off = ""
    if line.taken:
        taken = _members({"ps": promotions_taken(line, digits)})
        off = f'"pa":"{text(line.promotion_minor, digits)}",{taken},'
    return (
        f'{{{trip},{_counted(item)},"p":"{line.list_price}","la":"{text(line.list_minor, digits)}",{off}'
        f'"ta":"{text(line.tax_minor, digits)}","z":"{text(line.total_minor, digits)}",{same}}}'
    )


def _same(item: CartItem, product: Product) -> str:
    place = {} if product.tax_jurisdiction is None else {"j": product.tax_jurisdiction}
    return _members(
        {"i": item.item_id, "t": item.item_type, "s": product.item_sku, "pu": product.sold_by,
         "c": product.product_tax_code, "r": str(product.tax_rate), **place}
    )  # fmt: skip


def _counted(item: CartItem) -> str:
    name = "" if item.line_item_id is None else f",{_members({'li': item.line_item_id})}"
    return f'"n":{item.line_number},"q":"{item.quantity}",{_UNITS[item.unit]}{name}'


def _members(values: Mapping[str, Any]) -> str:
    """Of a JSON object, without its braces."""
    return orjson.dumps(values).decode()[1:-1]


_UNITS: Final = {unit: _members({"u": unit}) for unit in ("unit", *GRAMS)}
