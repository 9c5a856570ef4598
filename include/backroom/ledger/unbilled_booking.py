"""A memo of what was taken and could not be billed, at its list price, where one is known.

A line that never gets a price is in `backroom carts unbilled` only: there is no amount to book.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.accounts import Account, Booking
from backroom.ledger.writing import Posting, Transaction, write
from backroom.money import places
from backroom.purchases.minor_units import decimal, for_quantity

LOOKED_FOR: Final = timedelta(days=35)  # how long after the cart a price that comes late is still taken

# The price at the trip's end; else the first that came after it.
_PRICED: Final = """
    select u.shopping_trip_id, u.line_number, u.store_id, u.quantity, u.unit, u.recorded_at, s.currency,
           product.unit as sold_by, price.amount as list_price
    from unbilled_line u
    join store s using (store_id)
    join purchase p using (shopping_trip_id)
    join purchase_line l using (shopping_trip_id, line_number)
    join catalog_item product on product.store_id = u.store_id and product.item_sku = coalesce(l.item_sku, l.item_id)
    join lateral (
        select sp.amount from shelf_price sp
        where sp.store_id = u.store_id and sp.item_sku = product.item_sku and sp.currency = s.currency
          and (sp.valid_to is null or sp.valid_to > p.trip_ended_at)
        order by sp.valid_from limit 1
    ) price on true
    where not s.test
"""
_NOT_BOOKED: Final = text(
    f"""{_PRICED} and u.recorded_at > :since
      and not exists (select from ledger_transaction t
                      where t.source = concat_ws(chr(58), 'unbilled_line', u.shopping_trip_id, u.line_number))
    """
)
_OF_DAY: Final = text(f"{_PRICED} and u.store_id = :store_id and p.business_date = :business_date")


def post_unbilled(connection: Connection, *, now: datetime) -> int:
    """Books the lines of the last weeks for which a price is known by now; returns how many."""
    rows = connection.execute(_NOT_BOOKED, {"since": now - LOOKED_FOR}).mappings().all()
    return write(connection, [_transaction(row) for row in rows])


def at_shelf_prices(connection: Connection, *, store_id: str, business_date: date) -> Decimal:
    """What that day's lines that were not billed come to by the shelf prices as they are now, booked or not."""
    rows = connection.execute(_OF_DAY, {"store_id": store_id, "business_date": business_date}).mappings()
    return sum((_list_amount(row) for row in rows), Decimal(0))


def _list_amount(row: RowMapping | Mapping[str, Any]) -> Decimal:
    digits = places(row["currency"])
    minor = for_quantity(row["list_price"], row["quantity"], row["unit"], row["sold_by"], digits)
    return decimal(minor, digits) if minor is not None else Decimal(0)


def _transaction(row: RowMapping | Mapping[str, Any]) -> Transaction:
    amount = _list_amount(row)
    return Transaction(
        source=f"unbilled_line:{row['shopping_trip_id']}:{row['line_number']}",
        kind=Booking.UNBILLED,
        store_id=row["store_id"],
        shopping_trip_id=row["shopping_trip_id"],
        happened_at=row["recorded_at"],
        currency=row["currency"],
        postings=[Posting(Account.UNBILLED, amount), Posting(Account.UNBILLED_OFFSET, -amount)],
    )
