"""What a careful caller of the payment service never does."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from jwo_sandbox.minor_amounts import to_decimal
from jwo_sandbox.payment_requests import PaymentRequest
from jwo_sandbox.retailer_files import Store

CHARGE_OPERATIONS = frozenset({"adjust", "cancel", "capture"})
DEFINITE_NO = (400, 403, 429)
LEFT = "LEFT"
"""Stage of a trip whose shopper has left with a final cart."""
PREAUTH_ONCE = "capture_preauth_once"


@dataclass(frozen=True)
class Earlier:
    """An earlier call of the trip, as its caller knows it. `status` None: no answer came.

    `said`: APPROVED, DECLINED or PENDING, of an adjustment. `inquired`: someone has asked what became of it since.
    """

    operation: str
    status: int | None
    said: str = ""
    inquired: bool = False

    @property
    def unknown(self) -> bool:
        """Whether its caller can't know what it did."""
        return not self.inquired and (self.status is None or self.status >= 500)

    @property
    def refused(self) -> bool:
        """A definite no, which did nothing."""
        return self.status in DEFINITE_NO


@dataclass(frozen=True)
class Known:
    """What the books say when a call comes: the trip, its store, its earlier calls in order, and more of its money."""

    trip: sqlite3.Row
    store: Store
    earlier: Sequence[Earlier]
    adjustment_pending: bool
    paid_otherwise: int = 0  # at the till, minor units
    refund_is_new: bool = True
    last_status_time: Decimal | None = None  # of the payment status reports before


def forbidden(operation: str, request: PaymentRequest, known: Known) -> str | None:
    """Why a careful caller would not make this call now, or None."""
    if operation in CHARGE_OPERATIONS:
        return _careless_charge(operation, request, known)
    judge = {"refund": _careless_refund, "payment_status": _false_report}.get(operation)
    return judge(request, known) if judge else None


def _careless_charge(operation: str, request: PaymentRequest, known: Known) -> str | None:
    trip = known.trip
    if trip["capture_count"]:
        return f"{operation} after a capture was initiated"
    if operation != "cancel" and trip["cancelled"]:
        return f"{operation} after the trip was cancelled"
    charging = (call for call in reversed(known.earlier) if call.operation in CHARGE_OPERATIONS and not call.refused)
    open_call = next(charging, None)
    if open_call is not None and open_call.unknown and open_call.operation != operation:
        return f"{operation} although the outcome of {open_call.operation} is unknown"
    careless = _careless_capture(request, known) if operation == "capture" else None
    return careless or _wrong_amount(operation, request, trip)


def _careless_capture(request: PaymentRequest, known: Known) -> str | None:
    """Also a capture that would do no harm is one, where its caller can't know that it would not."""
    captures = [call for call in known.earlier if call.operation == "capture" and not call.refused]
    if any(not call.inquired for call in captures):
        return "capture repeated although the first attempt's outcome is unknown"
    if known.adjustment_pending:
        return "capture while an adjustment is pending"
    adjusted = [call for call in known.earlier if call.operation == "adjust" and not call.refused]
    if adjusted and adjusted[-1].said == "APPROVED":
        return None
    if adjusted and adjusted[-1].said == "DECLINED" and known.store.after_decline == PREAUTH_ONCE:
        asked = request.amount.amount if request.amount else Decimal(0)
        return None if asked <= known.store.preauthorization_amount else f"capture of {asked} after a decline"
    return "capture although no adjustment was approved"


def _careless_refund(request: PaymentRequest, known: Known) -> str | None:
    trip = known.trip
    left = to_decimal(trip["captured"] - trip["refunded"], trip["currency"])
    asked = request.amount.amount if request.amount else Decimal(0)
    return f"refund of {asked} where {left} is left" if known.refund_is_new and asked > left else None


def _false_report(request: PaymentRequest, known: Known) -> str | None:
    """What is told as settled was paid: by the card, for good, or at the till."""
    trip = known.trip
    paid = to_decimal(trip["captured"] + known.paid_otherwise, trip["currency"])
    settled = request.settled.amount if request.settled else Decimal(0)
    if settled > paid:
        return f"{settled} reported as settled where {paid} was paid"
    time, last = request.status_time, known.last_status_time
    return (
        f"payment status of {time} after one of {last}"
        if time is not None and last is not None and time < last
        else None
    )


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
