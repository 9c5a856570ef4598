"""Goods that came back with a refund by line return to the stock, once."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.alerts import raise_alert
from backroom.inventory.movements import StockConflict, in_sold_by_unit, return_from_trip

# The number by which the stock tells apart the returns of one product from one trip: a refund request's own.
FIRST_NUMBER: Final = 1_000_000

_LINES: Final = text(
    """
    select r.quantity, l.unit, l.item_sku, coalesce(l.price_unit, l.unit) as sold_by
    from refund_request_line r
    join purchase_line l on l.shopping_trip_id = :trip and l.line_number = r.line_number
    where r.request_id = :request and l.item_sku is not null
    order by r.line_number
    """
)


def bring_back(connection: Connection, request: RowMapping, *, now: datetime, lenient: bool = False) -> None:
    """Puts the request's lines back into the stock where it says that the goods came back.

    Raises StockConflict where more would come back than the trip sold; `lenient`: an alert says so instead, and the
    money goes its way.
    """
    if not request["goods_returned"]:
        return
    back: dict[str, Decimal] = defaultdict(Decimal)
    asked = {"trip": request["shopping_trip_id"], "request": request["request_id"]}
    for line in connection.execute(_LINES, asked).mappings():
        quantity = in_sold_by_unit(line["quantity"], line["unit"], line["sold_by"])
        if quantity is not None:
            back[line["item_sku"]] += quantity
    try:
        with connection.begin_nested():
            for item_sku, quantity in sorted(back.items()):
                return_from_trip(
                    connection,
                    shopping_trip_id=request["shopping_trip_id"],
                    item_sku=item_sku,
                    quantity=quantity,
                    number=FIRST_NUMBER + request["request_id"],
                    happened_at=request["requested_at"],
                    now=now,
                )
    except StockConflict as error:
        if not lenient:
            raise
        raise_alert(
            connection,
            key=f"refund-goods:{request['request_id']}",
            severity="warning",
            title=f"Goods of refund request {request['request_id']} could not go back into the stock: {error}",
            what_to_do="count the product with `backroom stock count`",
            now=now,
            subject=request["shopping_trip_id"],
            store_id=request["store_id"],
        )
