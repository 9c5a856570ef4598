"""What a careful caller of the payment service never does."""

from __future__ import annotations

import sqlite3

from jwo_sandbox.books import Books
from jwo_sandbox.minor_amounts import to_decimal
from jwo_sandbox.payment_requests import PaymentRequest

CHARGE_OPERATIONS = frozenset({"adjust", "cancel", "capture"})
DEFINITE_NO = (400, 403, 429)
LEFT = "LEFT"
"""Stage of a trip whose shopper has left with a final cart."""


def forbidden(books: Books, operation: str, request: PaymentRequest, trip: sqlite3.Row) -> str | None:
    """Why a careful caller would not make this call now, or None."""
    if operation not in CHARGE_OPERATIONS:
        return None
    if trip["capture_count"]:
        return f"{operation} after a capture was initiated"
    if operation != "cancel" and trip["cancelled"]:
        return f"{operation} after the trip was cancelled"
    careless = _careless_capture(books, trip) if operation == "capture" else None
    return careless or _wrong_amount(operation, request, trip)


def _careless_capture(books: Books, trip: sqlite3.Row) -> str | None:
    trip_id = trip["shopping_trip_id"]
    tried = books.all("select status from call where shopping_trip_id = ? and operation = 'capture'", (trip_id,))
    if any(row["status"] not in DEFINITE_NO for row in tried):
        return "capture repeated although the first attempt's outcome is unknown"
    if books.count("select count(*) from due where kind = 'ADJUST' and shopping_trip_id = ?", (trip_id,)):
        return "capture while an adjustment is pending"
    return None


def _wrong_amount(operation: str, request: PaymentRequest, trip: sqlite3.Row) -> str | None:
    """An adjustment is to the whole total, a capture never above it, and what has a total is not given away."""
    if trip["stage"] != LEFT or not trip["priceable"]:
        return None
    total = to_decimal(trip["total"], trip["currency"])
    if operation == "cancel":
        given_away = total > 0 and not trip["declined"]
        return f"cancel of a cart of {total} that was never declined" if given_away else None
    asked = request.amount.amount if request.amount else total
    wrong = asked != total if operation == "adjust" else asked > total
    return f"{operation} of {asked} for a cart of {total}" if wrong else None
