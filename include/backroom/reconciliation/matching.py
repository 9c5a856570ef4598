"""The rules of reconciliation: one trip, seen by the purchase, the charge, Amazon's order and the ledger, is judged.

Pure: rows and deadlines come in, a verdict goes out. docs/reconciliation.md explains each kind of break.
Every difference is theirs minus ours, in the store's currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from backroom.reconciliation import capture_matching, cart_matching, payouts
from backroom.reconciliation.capture_matching import MONEY_IN_FLIGHT, ORDER_STATUS_OF
from backroom.reconciliation.sides import (
    ZERO,
    Booked,
    Charge,
    Deadlines,
    Line,
    Order,
    Purchase,
    Refunded,
    Trip,
)
from backroom.reconciliation.verdict import Kind, Reading, Verdict, shown, shown_instant


def judge(trip: Trip, lines: Sequence[Line], *, deadlines: Deadlines, complete: bool, now: datetime) -> Verdict:
    """The verdict on one trip. `lines` are those that differ; `complete` says that the day's files are all in."""
    verdict = Verdict(trip.currency)
    late = complete or now >= deadlines.order_due
    if trip.purchase is None:
        _without_purchase(verdict, trip, late=late, deadlines=deadlines)
        return verdict
    _how_paired(verdict, trip)
    if trip.order is None and not trip.has_files and not trip.has_events:
        verdict.notes.append("the store gets neither files nor events, so there is no order of Amazon's to compare")
    else:
        cart_matching.judge_cart(verdict, trip.purchase, trip.order, lines, late=late, deadlines=deadlines)
    if trip.purchase.unbilled:
        cart_matching.judge_unbilled(verdict, trip.purchase, lines)
    if trip.charge is None:
        _without_charge(verdict, trip.purchase, trip.order, now=now)
    else:
        _charge(verdict, trip.purchase, trip.charge, deadlines=deadlines, now=now)
        if trip.charge.debt_returned:
            capture_matching.judge_second_payment(verdict, trip.charge, trip.refunded, deadlines=deadlines, now=now)
        if trip.own_processor:
            payouts.judge(verdict, trip.charge, trip.refunded, trip.paid_out, deadlines=deadlines, now=now)
        elif trip.order is not None:
            capture_matching.judge_capture(verdict, trip.charge, trip.order, deadlines=deadlines, now=now)
            capture_matching.judge_refunds(verdict, trip.order, trip.refunded, deadlines=deadlines, now=now)
        if trip.booked is not None:
            _books(verdict, trip.purchase, trip.charge, trip.booked, trip.refunded, deadlines=deadlines, now=now)
    if trip.order is not None and trip.heard is not None and not trip.order.from_events:
        capture_matching.judge_feeds(verdict, trip.order, trip.heard, deadlines=deadlines, now=now)
    return verdict


def _how_paired(verdict: Verdict, trip: Trip) -> None:
    """What is worth knowing of how the order was found to be this trip's."""
    if trip.their_trip_id is not None:
        key = {"RECONCILIATION_ID": "reconciliation id", "AMOUNT_TIME_CARD": "amount, time and last four digits"}
        verdict.notes.append(
            f"Amazon's order names the trip {trip.their_trip_id}; it was found by its "
            f"{key[trip.matched_by or '']} (confidence {trip.confidence})"
        )
    if trip.order is not None and trip.order.superseded:
        verdict.reading = Reading.SUPERSEDED
        verdict.notes.append(f"{trip.order.superseded} cancelled orders of this trip are superseded")


def _without_purchase(verdict: Verdict, trip: Trip, *, late: bool, deadlines: Deadlines) -> None:
    order = trip.order
    captured = order.captured if order else ZERO
    verdict.wait_or_add(
        None if late else f"our cart of Amazon's order is due until {shown_instant(deadlines.order_due)}",
        Kind.MISSING_PURCHASE,
        "no purchase",
        f"order {order.order_id}" if order else "no order",
        f"Amazon's order is {order.status if order else 'unknown'}, captured {shown(captured, trip.currency)}; "
        "look among the refused carts, and ask Amazon to send the purchase again",
        difference=order.total if order and order.currency == trip.currency else None,
    )


def _without_charge(verdict: Verdict, purchase: Purchase, order: Order | None, *, now: datetime) -> None:
    """Carts that wait for a person are expected; money taken for them, or nobody at work on them, is a break."""
    captured = order.captured if order is not None else ZERO
    if purchase.state == "PRICED":
        verdict.add(
            Kind.MISSING_CHARGE,
            purchase.total,
            "no charge",
            f"no charge was opened for this priced trip; Amazon captured {shown(captured, purchase.currency)}",
            difference=-purchase.total,
        )
        return
    if captured > 0:
        verdict.add(
            Kind.OVER_CAPTURED,
            ZERO,
            captured,
            f"we never charged this trip: its purchase is {purchase.state}",
            difference=captured,
        )
    if purchase.state in ("BAD_CART", "NOT_CHARGEABLE"):
        until = shown_instant(purchase.token_ends_at)
        alive = now < purchase.token_ends_at
        asked = f"a person has been asked about this cart, which can be charged until {until}"
        verdict.wait_or_add(
            asked if purchase.case_open and alive else None,
            Kind.UNPRICED,
            purchase.state,
            "no charge",
            "no review case is open for this cart, so nobody will charge it"
            if alive
            else f"its payment token ended at {until}: the card can't be charged for it any more",
        )


def _charge(verdict: Verdict, purchase: Purchase, charge: Charge, *, deadlines: Deadlines, now: datetime) -> None:
    """Charge against purchase: for the same amount, finished in time, and every cent of it captured or owed."""
    if charge.currency != purchase.currency:
        verdict.add(
            Kind.CURRENCY, purchase.currency, charge.currency, "the charge is in another currency than its purchase"
        )
        return
    to_pay = ZERO if purchase.state == "SETTLED_OTHERWISE" else purchase.total
    if charge.total != to_pay:
        verdict.add(
            Kind.TOTAL,
            to_pay,
            charge.total,
            "the charge is for another amount than the card has to pay for the purchase",
            difference=charge.total - to_pay,
        )
    if charge.state == "PARKED":
        left = charge.total - charge.captured - charge.debt
        verdict.notes.append(f"parked for a person, {shown(left, charge.currency)} neither captured nor owed")
    elif charge.state in ORDER_STATUS_OF:
        _covered(verdict, charge, deadlines=deadlines, now=now)
    else:
        until = charge.changed_at + deadlines.evidence if charge.state in MONEY_IN_FLIGHT else charge.expires_at
        verdict.wait_or_add(
            f"the charge is {charge.state}, due until {shown_instant(until)}" if now < until else None,
            Kind.STATUS,
            charge.state,
            "settled or cancelled",
            f"the charge should have ended by {shown_instant(until)}; its attempts or its review case tell why",
        )


def _covered(verdict: Verdict, charge: Charge, *, deadlines: Deadlines, now: datetime) -> None:
    covered = charge.captured + charge.debt
    if covered == charge.total:
        if charge.debt:
            verdict.notes.append(f"{shown(charge.debt, charge.currency)} not paid, kept as a debt")
        return
    due = charge.changed_at + deadlines.booking
    more = covered > charge.total
    verdict.wait_or_add(
        f"its debt is due to be opened until {shown_instant(due)}" if not more and now < due else None,
        Kind.OVER_CAPTURED if more else Kind.UNDER_CAPTURED,
        charge.total,
        covered,
        f"captured {shown(charge.captured, charge.currency)} and debt {shown(charge.debt, charge.currency)} "
        f"do not make the total of {shown(charge.total, charge.currency)}",
    )


def _books(
    verdict: Verdict,
    purchase: Purchase,
    charge: Charge,
    booked: Booked,
    refunded: Refunded,
    *,
    deadlines: Deadlines,
    now: datetime,
) -> None:
    """Ledger against purchase and charge, account by account."""
    pairs = (
        ("sales", purchase.list_total - purchase.tax_included_total, booked.sales),
        ("promotions", purchase.promotion_total, booked.promotions),
        ("tax and refunds", purchase.tax_total - refunded.of_sale, booked.tax - booked.refunds_net),
        ("paid back", refunded.paid_back, booked.refunded),
        ("capture begun", charge.initiated, booked.initiated),
        ("captured", charge.captured, booked.captured),
        ("owed", charge.debt_open, booked.debt_open),
    )
    off = [(name, should, stands) for name, should, stands in pairs if should != stands]
    if not off:
        return
    due = max(charge.changed_at, refunded.last_at or charge.changed_at) + deadlines.booking
    if now < due:
        verdict.waits.append(f"the ledger books this trip until {shown_instant(due)}")
        return
    currency = verdict.currency
    verdict.add(
        Kind.LEDGER,
        ", ".join(f"{name} {shown(should, currency)}" for name, should, _ in off),
        ", ".join(f"{name} {shown(stands, currency)}" for name, _, stands in off),
        "the ledger (right) must say what purchase and charge say; post again, or correct by a reversal",
        difference=off[0][2] - off[0][1],
    )
