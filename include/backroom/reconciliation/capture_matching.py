"""What was taken from the card and given back: our charge against Amazon's order and events. Pure rules."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from backroom.reconciliation.sides import Charge, Deadlines, Heard, Order, Refunded
from backroom.reconciliation.verdict import Kind, Reading, Verdict, shown, shown_instant

MONEY_IN_FLIGHT = frozenset({"CAPTURE_INITIATED", "UNKNOWN"})
ORDER_STATUS_OF = {
    "CAPTURED": frozenset({"SETTLED", "REFUNDED"}),
    "CANCELLED": frozenset({"CANCELLED"}),
    "IN_DEBT": frozenset({"OPEN", "SETTLED", "CANCELLED", "REFUNDED"}),
    "PARKED": frozenset({"OPEN", "SETTLED", "CANCELLED", "REFUNDED"}),
}  # final states of a charge, and the statuses of Amazon's order that agree with each


def judge_capture(verdict: Verdict, charge: Charge, order: Order, *, deadlines: Deadlines, now: datetime) -> None:
    """Charge against order: what was taken from the card, and what each side believes has become of it."""
    if order.currency != charge.currency:
        verdict.add(
            Kind.CURRENCY, charge.currency, order.currency, "the amounts can't be compared until this is mended"
        )
        return
    settled_by = charge.changed_at + deadlines.evidence
    waits = now < settled_by
    if order.captured > charge.captured:
        heard = charge.state in MONEY_IN_FLIGHT and order.captured <= charge.total
        verdict.wait_or_add(
            "Amazon's order shows the capture; the charge takes it in with its next run" if heard and waits else None,
            Kind.OVER_CAPTURED,
            charge.captured,
            order.captured,
            f"the charge is {charge.state}; refund the difference, or find what the charge has missed",
        )
    elif order.captured < charge.captured:
        stale = order.updated_at <= charge.changed_at
        verdict.wait_or_add(
            f"Amazon's order is older than the capture; a newer row is due until {shown_instant(settled_by)}"
            if stale and waits
            else None,
            Kind.UNDER_CAPTURED,
            charge.captured,
            order.captured,
            f"we book a capture that Amazon's order ({order.status}) does not show",
        )
    elif charge.state in ORDER_STATUS_OF and order.status not in ORDER_STATUS_OF[charge.state]:
        if charge.state == "CANCELLED" and order.status == "OPEN" and now >= charge.expires_at:
            verdict.notes.append("Amazon's order is still OPEN, but its hold has ended with the token")
            return
        verdict.wait_or_add(
            f"Amazon's order is still {order.status}, due until {shown_instant(settled_by)}" if waits else None,
            Kind.STATUS,
            charge.state,
            order.status,
            "the captured amounts agree; a hold may still lie on the shopper's card",
        )


def judge_refunds(verdict: Verdict, order: Order, refunded: Refunded, *, deadlines: Deadlines, now: datetime) -> None:
    """What Amazon has given back, against what our refunds have booked: those that are final, and those begun.

    One that has begun and is not shown yet holds nothing up until it is late: its trip's month may close meanwhile.
    """
    if order.refunded is None or order.refunded == refunded.card:
        on_its_way = shown(refunded.card_on_its_way, verdict.currency)
        late = refunded.begun_at is not None and now >= refunded.begun_at + deadlines.refund
        if order.refunded is not None and refunded.card_begun and late:
            verdict.wait_or_add(
                None,
                Kind.REFUND,
                refunded.card + refunded.card_begun,
                order.refunded,
                f"refunds of ours of {on_its_way} are on their way, and Amazon's order is late to show those that have"
                " begun; the refund's page says what is being done",
            )
        elif refunded.card_on_its_way:
            verdict.notes.append(f"{on_its_way} of refunds are on their way")
        return
    asked = refunded.card + refunded.card_on_its_way
    due = (refunded.last_at or order.updated_at) + deadlines.refund
    on_the_way = order.refunded < asked or (order.refunded == asked and refunded.card_on_its_way > 0)
    verdict.wait_or_add(
        f"Amazon's order shows {shown(order.refunded, verdict.currency)} refunded of "
        f"{shown(asked, verdict.currency)}; the rest is due until {shown_instant(due)}"
        if on_the_way and now < due
        else None,
        Kind.REFUND,
        refunded.card + refunded.card_begun,
        order.refunded,
        _of_refunds(order, refunded, asked=asked, currency=verdict.currency),
    )


def _of_refunds(order: Order, refunded: Refunded, *, asked: Decimal, currency: str) -> str:
    if not asked:
        return "no refund of ours is known for this trip"
    if order.refunded == refunded.card + refunded.card_begun:
        begun = shown(refunded.card_begun, currency)
        return f"Amazon's order shows what our refunds come to, and {begun} of them is late to become final"
    return "what we asked Amazon to give back is not what its order shows"


def judge_second_payment(
    verdict: Verdict, charge: Charge, refunded: Refunded, *, deadlines: Deadlines, now: datetime
) -> None:
    """The debt was paid, and then its capture came to light: one of the two goes back."""
    verdict.reading = Reading.FOUND_AFTER_PAYOFF
    back = shown(charge.debt_returned, charge.currency)
    if refunded.returned >= charge.debt_returned:
        verdict.notes.append(f"found captured after its payoff; {back} went back")
        return
    due = max(charge.changed_at, refunded.last_at or charge.changed_at) + deadlines.refund
    verdict.wait_or_add(
        f"found captured after its payoff; {back} goes back by itself, due until {shown_instant(due)}"
        if now < due
        else None,
        Kind.FOUND_AFTER_PAYOFF,
        charge.debt_returned,
        refunded.returned,
        "the shopper paid twice, and the return of the second payment is late; its refund or its case tells why",
    )


def judge_feeds(verdict: Verdict, order: Order, heard: Heard, *, deadlines: Deadlines, now: datetime) -> None:
    """The same trip seen by files and by events must agree."""
    theirs = [
        ("captured", order.captured, heard.captured if order.orders == 1 else None),
        ("cart total", order.total, None if order.incomplete or order.orders > 1 else heard.total),
    ]
    off = [
        (name, by_file, by_event)
        for name, by_file, by_event in theirs
        if by_event is not None and by_file is not None and by_file != by_event
    ]
    if not off or any(kind is Kind.CURRENCY for _, kind in verdict.findings):
        return
    due = order.updated_at + deadlines.evidence
    currency = verdict.currency
    verdict.wait_or_add(
        f"Amazon's files and events differ; a newer row is due until {shown_instant(due)}" if now < due else None,
        Kind.FEEDS,
        ", ".join(f"events: {name} {shown(by_event, currency)}" for name, _, by_event in off),
        ", ".join(f"files: {name} {shown(by_file, currency)}" for name, by_file, _ in off),
        "the same trip, told by Amazon in two ways that do not agree: ask Amazon which is right",
    )
