"""What the retailer's own processor pays out, against what it captured and refunded: a pure rule."""

from __future__ import annotations

from datetime import datetime

from backroom.reconciliation.sides import ZERO, Charge, Deadlines, PaidOut, Refunded
from backroom.reconciliation.verdict import Kind, Verdict


def judge(
    verdict: Verdict,
    charge: Charge,
    refunded: Refunded,
    paid_out: PaidOut | None,
    *,
    deadlines: Deadlines,
    now: datetime,
) -> None:
    """Adds to the verdict what the payouts of the trip leave open. Amounts are before the processor's fees."""
    if paid_out is not None and paid_out.currency != charge.currency:
        verdict.add(Kind.CURRENCY, charge.currency, paid_out.currency, "the payout is in another currency")
        return
    captured = paid_out.captured if paid_out is not None else ZERO
    given_back = paid_out.refunded if paid_out is not None else ZERO
    if captured == charge.captured and given_back == refunded.card:
        return
    due = max(charge.changed_at, refunded.last_at or charge.changed_at) + deadlines.payout
    wait = f"the processor's payout is due until {due:%Y-%m-%d %H:%M} UTC"
    if captured == ZERO and charge.captured > 0:
        verdict.wait_or_add(
            wait if now < due else None,
            Kind.MISSING_PAYOUT,
            max(ZERO, charge.captured - (refunded.card - given_back)),
            captured,
            "the processor captured this, less what was refunded of it, and has not paid it out; ask it by the"
            " payment's reference",
        )
        return
    still_to_come = captured == charge.captured and given_back < refunded.card
    verdict.wait_or_add(
        wait if still_to_come and now < due else None,
        Kind.PAYOUT,
        charge.captured - refunded.card,
        captured - given_back,
        "the payout of this trip is another amount than was captured and refunded",
    )
