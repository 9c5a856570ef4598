"""Sales, cancelled lines, returns and deliveries as movements of the stock. A repeat of any of them moves nothing.

A movement is never changed or deleted: what turns out wrong is undone by another one. Quantities are in the unit that
the product is sold by, below zero where goods leave the store. Rules: docs/inventory.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.inventory.posting import post_due
from backroom.purchases.minor_units import GRAMS

_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_PLACES = Decimal("0.00000001")  # what the column holds


class StockConflict(BackroomError):
    """The same source has moved another quantity already, or more would come back than went out."""


class SaleRow(NamedTuple):
    """One SALE movement of a cart. `quantity` is below zero, in `unit`, the unit that the product is sold by."""

    item_sku: str
    quantity: Decimal
    unit: str


def in_sold_by_unit(quantity: Decimal, unit: str, sold_by: str) -> Decimal | None:
    """A cart's quantity in the product's own unit, to eight places; None where one is a weight and the other is not."""
    if unit == sold_by:
        return _EXACT.quantize(quantity, _PLACES)
    if unit not in GRAMS or sold_by not in GRAMS:
        return None
    return _EXACT.quantize(_EXACT.divide(_EXACT.multiply(quantity, GRAMS[unit]), GRAMS[sold_by]), _PLACES)


def sale_rows(lines: Iterable[tuple[str, Decimal, str]]) -> list[SaleRow]:
    """What a cart takes out of the stock: one row per SKU, by SKU.

    `lines` are (item_sku, quantity, unit) with the quantity in the product's sold-by unit (`in_sold_by_unit`); lines
    without a known product are left out by the caller. Raises ValueError where one SKU comes in two units.
    """
    sums: dict[str, tuple[Decimal, str]] = {}
    for item_sku, quantity, unit in lines:
        sold, known_unit = sums.get(item_sku, (Decimal(0), unit))
        if unit != known_unit:
            raise ValueError(f"{item_sku!r} is sold by the {known_unit} and by the {unit} in one cart")
        sums[item_sku] = (_EXACT.add(sold, _EXACT.quantize(quantity, _PLACES)), unit)
    return [SaleRow(item_sku, -sold, unit) for item_sku, (sold, unit) in sorted(sums.items()) if sold]


POST_SALE: Final = """
    insert into stock_movement (store_id, item_sku, source, kind, quantity, unit, happened_at, recorded_at)
    select cast(:store_id as text), sold.item_sku, cast(:shopping_trip_id as text), 'SALE', sold.quantity, sold.unit,
           cast(:trip_ended_at as timestamptz), cast(:now as timestamptz)
    from unnest(cast(:stock_skus as text[]), cast(:stock_quantities as numeric[]), cast(:stock_units as text[]))
         as sold (item_sku, quantity, unit)
    on conflict do nothing
"""
"""Posts a cart in one statement; `sale_arrays` gives its three arrays. It reads no table and takes no lock beyond its
own rows, so that it can be a data-modifying part (`with … as (…)`) of the statement that records the purchase."""


def sale_arrays(rows: Sequence[SaleRow]) -> dict[str, list[Any]]:
    """The arrays of POST_SALE."""
    return {
        "stock_skus": [row.item_sku for row in rows],
        "stock_quantities": [row.quantity for row in rows],
        "stock_units": [row.unit for row in rows],
    }


def post_sale(
    connection: Connection,
    *,
    store_id: str,
    shopping_trip_id: str,
    lines: Iterable[tuple[str, Decimal, str]],
    happened_at: datetime,
    now: datetime,
) -> int:
    """Takes a cart's goods out of the stock, in the caller's transaction; how many movements were made.

    `lines` as for `sale_rows`; `happened_at` is the trip's end, `now` when it is recorded. A cart that has been posted
    posts nothing again. The level may go below zero: a sale is never refused for want of stock.
    """
    rows = sale_rows(lines)
    if not rows:
        return 0
    values = {
        "store_id": store_id, "shopping_trip_id": shopping_trip_id, "trip_ended_at": happened_at, "now": now,
        **sale_arrays(rows),
    }  # fmt: skip
    return connection.execute(_POST_SALE, values).rowcount


def post_sale_line(
    connection: Connection,
    *,
    store_id: str,
    shopping_trip_id: str,
    line_number: int,
    line: tuple[str, Decimal, str],
    happened_at: datetime,
    now: datetime,
) -> bool:
    """Posts one line whose product became known after its cart was posted; False where it is posted already.

    `line_number` is the purchase line's, from 1; `line` and the times are as for `post_sale`.
    """
    for row in sale_rows([line]):
        moved = _Movement(store_id, row.item_sku, shopping_trip_id, "SALE", line_number, row.quantity, row.unit)
        return _record(connection, moved, happened_at, now)
    return False


def undo_sale(
    connection: Connection,
    *,
    store_id: str,
    shopping_trip_id: str,
    line_number: int,
    item_sku: str,
    quantity: Decimal,
    now: datetime,
) -> bool:
    """Puts back what a cancelled line took out; False where nothing was posted for it or it is undone already.

    `quantity` is in the product's sold-by unit, above zero; `line_number` is the purchase line's. The movement bears
    the sale's own instant: the goods never left. Raises StockConflict where more would be undone than was sold.
    """
    sold = _sold(connection, store_id, shopping_trip_id, item_sku)
    rounded = _EXACT.quantize(quantity, _PLACES)
    if sold is None or not rounded:
        return False
    undone = _Movement(store_id, item_sku, shopping_trip_id, "SALE_UNDONE", line_number, rounded, sold.unit)
    return _give_back(connection, undone, sold, sold.happened_at, now)


def return_goods(
    connection: Connection,
    *,
    source: str,
    store_id: str,
    item_sku: str,
    quantity: Decimal,
    unit: str,
    happened_at: datetime,
    now: datetime,
) -> bool:
    """Puts goods back that were returned fit for sale; False where that source (a refund's id) has returned them.

    `quantity` above zero, in `unit`, the product's own. Raises StockConflict for another quantity from the source.
    """
    return _record(connection, _Movement(store_id, item_sku, source, "RETURN", 0, quantity, unit), happened_at, now)


def return_from_trip(
    connection: Connection,
    *,
    shopping_trip_id: str,
    item_sku: str,
    quantity: Decimal,
    number: int,
    happened_at: datetime,
    now: datetime,
) -> bool:
    """A return that names the trip it was bought on; `number` (from 1) tells apart the returns of that product from it.

    False where that number is recorded already. Raises StockConflict where the trip did not sell the product, or where
    more would come back than it sold.
    """
    store_id = connection.scalar(_STORE_OF_TRIP, {"trip": shopping_trip_id})
    sold = None if store_id is None else _sold(connection, store_id, shopping_trip_id, item_sku)
    if store_id is None or sold is None:
        raise StockConflict(f"trip {shopping_trip_id} sold no {item_sku}; check the trip's id and the SKU")
    returned = _Movement(store_id, item_sku, shopping_trip_id, "RETURN", number, quantity, sold.unit)
    return _give_back(connection, returned, sold, happened_at, now)


def deliver(
    connection: Connection,
    *,
    source: str,
    store_id: str,
    item_sku: str,
    quantity: Decimal,
    unit: str,
    happened_at: datetime,
    now: datetime,
) -> bool:
    """Goods that came into the store; `source` is the delivery note. Else as `return_goods`."""
    return _record(connection, _Movement(store_id, item_sku, source, "DELIVERY", 0, quantity, unit), happened_at, now)


class _Movement(NamedTuple):
    store_id: str
    item_sku: str
    source: str
    kind: str
    line_number: int
    quantity: Decimal
    unit: str


class _Sold(NamedTuple):
    unit: str
    happened_at: datetime
    left: Decimal


def _sold(connection: Connection, store_id: str, shopping_trip_id: str, item_sku: str) -> _Sold | None:
    """What a trip took of a product and has not been undone or returned; None where it took none. Locks the sale."""
    post_due(connection, shopping_trip_id=shopping_trip_id)
    asked = {"source": shopping_trip_id, "item_sku": item_sku, "store_id": store_id}
    sales = connection.execute(_LOCK_SALE, asked).all()
    if not sales:
        return None
    return _Sold(sales[0].unit, sales[0].happened_at, connection.execute(_LEFT, asked).scalar_one())


def _give_back(connection: Connection, back: _Movement, sold: _Sold, happened_at: datetime, now: datetime) -> bool:
    if _is_recorded(connection, back):
        return False
    if back.quantity > sold.left:
        raise StockConflict(
            f"trip {back.source} can't give back {_plain(back.quantity)} {back.unit} of {back.item_sku}:"
            f" {_plain(sold.left)} of what it sold are left"
        )
    return _record(connection, back, happened_at, now)


def _record(connection: Connection, movement: _Movement, happened_at: datetime, now: datetime) -> bool:
    values = {**movement._asdict(), "happened_at": happened_at, "now": now}
    return bool(connection.execute(_RECORD, values).rowcount) or not _is_recorded(connection, movement)


def _is_recorded(connection: Connection, movement: _Movement) -> bool:
    """Whether the source has moved exactly that. Raises StockConflict where it has moved another quantity."""
    found = connection.execute(_RECORDED, movement._asdict()).one_or_none()
    if found is None:
        return False
    if (found.quantity, found.unit) != (movement.quantity, movement.unit):
        raise StockConflict(
            f"{movement.store_id}: {movement.kind} {movement.source} of {movement.item_sku} is recorded with"
            f" {_plain(found.quantity)} {found.unit}, not {_plain(movement.quantity)} {movement.unit};"
            " nothing was changed"
        )
    return True


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


_POST_SALE = text(POST_SALE)

_RECORD = text("""
    insert into stock_movement
        (store_id, item_sku, source, kind, line_number, quantity, unit, happened_at, recorded_at)
    values (:store_id, :item_sku, :source, :kind, :line_number, :quantity, :unit, :happened_at, :now)
    on conflict do nothing
""")

_RECORDED = text("""
    select quantity, unit from stock_movement
    where store_id = :store_id and item_sku = :item_sku and source = :source and kind = :kind
      and line_number = :line_number
""")

_STORE_OF_TRIP = text("select store_id from purchase where shopping_trip_id = :trip")

# Two who undo or return parts of one sale at once are counted one after the other: what is left is added up by a
# statement of its own, after the lock.
_LOCK_SALE = text("""
    select unit, happened_at from stock_movement
    where store_id = :store_id and item_sku = :item_sku and source = :source and kind = 'SALE'
    order by line_number for update
""")
_LEFT = text("""
    select -sum(quantity) from stock_movement
    where store_id = :store_id and item_sku = :item_sku and source = :source
      and kind in ('SALE', 'SALE_UNDONE', 'RETURN')
""")
