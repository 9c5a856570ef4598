"""The rules of reconciliation: one trip, seen by the purchase, the charge, Amazon's order and the ledger, is judged.

Pure: rows and deadlines come in, a verdict goes out. docs/reconciliation.md explains each kind of break.
Every difference is theirs minus ours, in the store's currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from backroom.reconciliation.sides import ZERO, Booked, Charge, Deadlines, Line, LineSide, Order, Purchase, Trip
from backroom.reconciliation.verdict import Kind, Verdict, shown

MONEY_IN_FLIGHT = frozenset({"CAPTURE_INITIATED", "UNKNOWN"})
ORDER_STATUS_OF = {
    "CAPTURED": frozenset({"SETTLED", "REFUNDED"}),
    "CANCELLED": frozenset({"CANCELLED"}),
    "IN_DEBT": frozenset({"OPEN", "SETTLED", "CANCELLED", "REFUNDED"}),
    "PARKED": frozenset({"OPEN", "SETTLED", "CANCELLED", "REFUNDED"}),
}  # final states of a charge, and the statuses of Amazon's order that agree with each


def judge(trip: Trip, lines: Sequence[Line], *, deadlines: Deadlines, complete: bool, now: datetime) -> Verdict:
    """The verdict on one trip. `lines` are those that differ; `complete` says that the day's files are all in."""
    verdict = Verdict(trip.currency)
    late = complete or now >= deadlines.order_due
    if trip.purchase is None:
        _without_purchase(verdict, trip, late=late, deadlines=deadlines)
        return verdict
    if trip.order is None and not trip.has_files:
        verdict.notes.append("the store gets no files, so there is no order of Amazon's to compare")
    else:
        _cart(verdict, trip.purchase, trip.order, lines, late=late, deadlines=deadlines)
    if trip.purchase.unbilled:
        _unbilled(verdict, trip.purchase, lines)
    if trip.charge is None:
        _without_charge(verdict, trip.purchase, trip.order, now=now)
    else:
        _charge(verdict, trip.purchase, trip.charge, deadlines=deadlines, now=now)
        if trip.order is not None:
            _capture(verdict, trip.charge, trip.order, deadlines=deadlines, now=now)
        if trip.booked is not None:
            _books(verdict, trip.purchase, trip.charge, trip.booked, deadlines=deadlines, now=now)
    return verdict


def _without_purchase(verdict: Verdict, trip: Trip, *, late: bool, deadlines: Deadlines) -> None:
    order = trip.order
    captured = order.captured if order else ZERO
    verdict.wait_or_add(
        None if late else f"our cart of Amazon's order is due until {_instant(deadlines.order_due)}",
        Kind.MISSING_PURCHASE,
        "no purchase",
        f"order {order.order_id}" if order else "no order",
        f"Amazon's order is {order.status if order else 'unknown'}, captured {shown(captured, trip.currency)}; "
        "look among the refused carts, and ask Amazon to send the purchase again",
    )


def _cart(
    verdict: Verdict,
    purchase: Purchase,
    order: Order | None,
    lines: Sequence[Line],
    *,
    late: bool,
    deadlines: Deadlines,
) -> None:
    """Purchase against order: is it there, is it whole, is it the same cart at the same prices?"""
    if order is None:
        if purchase.state == "EMPTY":
            verdict.notes.append("an empty cart: Amazon's files have a row per line, so none is due")
            return
        verdict.wait_or_add(
            None if late else f"Amazon's order is due until {_instant(deadlines.order_due)}",
            Kind.MISSING_ORDER,
            f"purchase of {shown(purchase.total, purchase.currency)}",
            "no order",
            "no file shows this trip; check the day's missing windows and the quarantine",
        )
        return
    if order.orders > 1:
        verdict.add(
            Kind.DUPLICATE_ORDER,
            "one trip",
            f"{order.orders} orders",
            "ask Amazon which order of the trip is the true one",
        )
    if order.currency != purchase.currency:
        verdict.add(
            Kind.CURRENCY, purchase.currency, order.currency, "the amounts can't be compared until this is mended"
        )
        return
    if order.entry_method != purchase.entry_method:
        verdict.add(
            Kind.ENTRY_METHOD,
            purchase.entry_method,
            order.entry_method,
            "the gate's scan and the order disagree on how this shopper came in, so on who owes for the trip",
        )
    if order.incomplete:
        verdict.wait_or_add(
            None if late else f"lines of Amazon's order are due until {_instant(deadlines.order_due)}",
            Kind.INCOMPLETE_ORDER,
            purchase.total,
            order.total,
            "lines of the order are missing, perhaps in a file that is missing or in quarantine",
        )
        return
    if purchase.state not in ("PRICED", "EMPTY"):
        return
    for line in lines:
        if line.left_out is None:
            _line(verdict, line)
        elif line.left_out == "DROPPED":
            verdict.notes.append(f"a person took line {line.line_number} ({_product(line.theirs)}) out of our cart")
    comparable = order.total - sum((line.theirs.total for line in lines if line.left_out and line.theirs), ZERO)
    if comparable != purchase.total and not any(number for number, _ in verdict.findings):
        verdict.add(
            Kind.TOTAL,
            purchase.total,
            comparable,
            "every line agrees, so one of the two totals is not the sum of its lines",
            difference=comparable - purchase.total,
        )


def _unbilled(verdict: Verdict, purchase: Purchase, lines: Sequence[Line]) -> None:
    """Goods that left the store and were not charged, whatever Amazon's order says of them."""
    seen = [line.theirs.total for line in lines if line.left_out == "UNBILLED" and line.theirs]
    verdict.add(
        Kind.UNBILLED,
        f"{purchase.unbilled} lines not charged",
        sum(seen, ZERO) if seen else "no such lines",
        "nobody said in time what these lines are, so the trip was charged without them: `backroom carts unbilled`",
        difference=sum(seen, ZERO) if seen else None,
    )


def _line(verdict: Verdict, line: Line) -> None:
    """The root cause of a line's difference: what follows from it is not reported a second time."""
    ours, theirs, number = line.ours, line.theirs, line.line_number
    if ours is None or theirs is None or ours.item_sku != theirs.item_sku:
        verdict.add(
            Kind.LINE,
            _product(ours),
            _product(theirs),
            "the carts differ; the shopper was charged for ours",
            difference=(theirs.total if theirs else ZERO) - (ours.total if ours else ZERO),
            line_number=number,
        )
        return
    difference = theirs.total - ours.total
    with_us, with_amazon = (shown(side.total, verdict.currency) for side in (ours, theirs))
    say = f"{ours.item_sku}: the line is {with_us} with us, {with_amazon} with Amazon"
    quantities = _quantity(ours), _quantity(theirs)
    for kind, mine, other, of_what in (
        (Kind.QUANTITY, *quantities, "quantity"),
        (Kind.PRICE, ours.list_price, theirs.list_price, "shelf price"),
        (Kind.PROMOTION, ours.promotion, theirs.promotion, "promotion"),
        (Kind.PRICE, ours.price, theirs.price, "line price after promotions"),
        (Kind.TAX, ours.tax, theirs.tax, "tax"),
    ):
        if mine != other:
            verdict.add(kind, mine, other, f"{say}; the {of_what} differs", difference=difference, line_number=number)
            return


def _without_charge(verdict: Verdict, purchase: Purchase, order: Order | None, *, now: datetime) -> None:
    """Carts that wait for a person are expected; money taken for them, or nobody at work on them, is a break."""
    captured = order.captured if order is not None else ZERO
    if purchase.state == "PRICED":
        verdict.add(
            Kind.MISSING_CHARGE,
            purchase.total,
            "no charge",
            f"no charge was opened for this priced trip; Amazon captured {shown(captured, purchase.currency)}",
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
        until = _instant(purchase.token_ends_at)
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
            f"the charge is {charge.state}, due until {_instant(until)}" if now < until else None,
            Kind.STATUS,
            charge.state,
            "settled or cancelled",
            f"the charge should have ended by {_instant(until)}; its attempts or its review case tell why",
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
        f"its debt is due to be opened until {_instant(due)}" if not more and now < due else None,
        Kind.OVER_CAPTURED if more else Kind.UNDER_CAPTURED,
        charge.total,
        covered,
        f"captured {shown(charge.captured, charge.currency)} and debt {shown(charge.debt, charge.currency)} "
        f"do not make the total of {shown(charge.total, charge.currency)}",
    )


def _capture(verdict: Verdict, charge: Charge, order: Order, *, deadlines: Deadlines, now: datetime) -> None:
    """Charge against order: what was taken from the card, and what each side believes has become of it."""
    if order.currency != charge.currency:
        verdict.add(
            Kind.CURRENCY, charge.currency, order.currency, "the amounts can't be compared until this is mended"
        )
        return
    if order.refunded:
        verdict.add(
            Kind.REFUND, ZERO, order.refunded, "no refund of ours is known for this trip", difference=order.refunded
        )
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
            f"Amazon's order is older than the capture; a newer row is due until {_instant(settled_by)}"
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
            f"Amazon's order is still {order.status}, due until {_instant(settled_by)}" if waits else None,
            Kind.STATUS,
            charge.state,
            order.status,
            "the captured amounts agree; a hold may still lie on the shopper's card",
        )


def _books(
    verdict: Verdict, purchase: Purchase, charge: Charge, booked: Booked, *, deadlines: Deadlines, now: datetime
) -> None:
    """Ledger against purchase and charge, account by account."""
    pairs = (
        ("sales", purchase.list_total - purchase.tax_included_total, booked.sales),
        ("promotions", purchase.promotion_total, booked.promotions),
        ("tax", purchase.tax_total, booked.tax),
        ("capture begun", charge.initiated, booked.initiated),
        ("captured", charge.captured, booked.captured),
        ("owed", charge.debt_open, booked.debt_open),
    )
    off = [(name, should, stands) for name, should, stands in pairs if should != stands]
    if not off:
        return
    due = charge.changed_at + deadlines.booking
    if now < due:
        verdict.waits.append(f"the ledger books this trip until {_instant(due)}")
        return
    currency = verdict.currency
    verdict.add(
        Kind.LEDGER,
        ", ".join(f"{name} {shown(should, currency)}" for name, should, _ in off),
        ", ".join(f"{name} {shown(stands, currency)}" for name, _, stands in off),
        "the ledger (right) must say what purchase and charge say; post again, or correct by a reversal",
        difference=off[0][2] - off[0][1],
    )


def _quantity(side: LineSide) -> str:
    return f"{side.quantity.normalize():f} {side.unit}"


def _product(side: LineSide | None) -> str:
    return "no such line" if side is None else f"{_quantity(side)} of {side.item_sku or 'an unknown product'}"


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
