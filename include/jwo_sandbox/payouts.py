"""What the sandbox's own processor pays out: a line for each capture and refund, with the breaks of the plan in it."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

from jwo_sandbox import planting
from jwo_sandbox.instants import to_datetime
from jwo_sandbox.processor_books import ProcessorBooks
from jwo_sandbox.sandbox import Sandbox

COLUMNS = (
    "payout_id", "line_number", "kind", "reference", "shopping_trip_id", "amount", "fee", "currency", "paid_out_on",
)  # fmt: skip
SHORT = Decimal("0.50")
"""What is missing of a payout, where the plan says so."""


def payouts_of(sandbox: Sandbox, books: ProcessorBooks) -> str:
    """All payouts so far as a CSV, fees left at 0; the truth about what is wrong in them is kept.

    A payment is paid out under the subject that it was made for: a trip, or the gate's event before there was one; then
    the line names no trip, as the processor knows none.
    """
    told, trips = books.told(), _trips(sandbox)
    payments = {one["id"]: one for one in told["payments"]}
    rows = [(f"po-{one['id']}", "CAPTURE", one, one["captured"]) for one in told["payments"] if one["captured"]]
    rows += [(f"po-{one['id']}", "REFUND", payments[one["payment_id"]], -one["amount"]) for one in told["refunds"]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    day = to_datetime(sandbox.clock.now()).date()
    for payout, kind, payment, amount in rows:
        trip = trips.get(payment["subject"])
        paid = amount if trip is None or kind == "REFUND" else _planted(sandbox, trip, amount)
        if paid is not None:
            known = payment["subject"] if trip == payment["subject"] else ""
            writer.writerow((payout, 1, kind, payment["id"], known, format(paid, "f"), "0", payment["currency"], day))
    return out.getvalue()


def _planted(sandbox: Sandbox, trip_id: str, amount: Decimal) -> Decimal | None:
    """What is paid out of a trip's capture; None: nothing."""
    kind = next(iter(planting.IN_PAYOUTS.intersection(sandbox.plan.reports(trip_id))), None)
    trip = sandbox.books.trip(trip_id)
    if kind is None or trip is None:
        return amount
    paid, less = (None, -amount) if kind == "MISSING_PAYOUT" else (amount - SHORT, -SHORT)
    truth = planting.Planted(kind, trip_id, 0, trip["store_id"], trip["business_date"], format(less, "f"))
    sandbox.books.keep(f"planted {trip_id}", truth.as_json())
    return paid


def _trips(sandbox: Sandbox) -> dict[str, str]:
    """The trip of each subject: of its own id, and of the events by which its shopper came in."""
    found: dict[str, str] = {}
    for row in sandbox.books.all("select shopping_trip_id, script from trip"):
        script: dict[str, Any] = json.loads(row["script"])
        found |= {entry["id"]: row["shopping_trip_id"] for entry in script["entries"]}
        found[row["shopping_trip_id"]] = row["shopping_trip_id"]
    return found
