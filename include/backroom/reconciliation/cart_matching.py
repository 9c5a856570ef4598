"""Our cart against Amazon's order: is it there, is it whole, is it the same cart at the same prices? Pure rules."""

from __future__ import annotations

from collections.abc import Sequence

from backroom.reconciliation.sides import ZERO, Deadlines, Line, LineSide, Order, Purchase
from backroom.reconciliation.verdict import Kind, Verdict, shown, shown_instant


def judge_cart(
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
            None if late else f"Amazon's order is due until {shown_instant(deadlines.order_due)}",
            Kind.MISSING_ORDER,
            f"purchase of {shown(purchase.total, purchase.currency)}",
            "no order",
            "no file or event shows this trip; check the day's missing windows and the quarantine",
            difference=-purchase.total,
        )
        return
    if _comparable(verdict, purchase, order, late=late, deadlines=deadlines):
        _compare(verdict, purchase, order, lines)


def _comparable(verdict: Verdict, purchase: Purchase, order: Order, *, late: bool, deadlines: Deadlines) -> bool:
    """Whether the two carts can be held together, line by line."""
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
        return False
    if order.entry_method not in (None, purchase.entry_method):
        verdict.add(
            Kind.ENTRY_METHOD,
            purchase.entry_method,
            order.entry_method,
            "the gate's scan and the order disagree on how this shopper came in, so on who owes for the trip",
        )
    if order.incomplete:
        verdict.wait_or_add(
            None if late else f"lines of Amazon's order are due until {shown_instant(deadlines.order_due)}",
            Kind.INCOMPLETE_ORDER,
            purchase.total,
            order.total,
            "lines of the order are missing, perhaps in a file that is missing or in quarantine",
        )
        return False
    if order.total is None:
        verdict.wait_or_add(
            None if late else f"the cart event of this trip is due until {shown_instant(deadlines.order_due)}",
            Kind.INCOMPLETE_ORDER,
            purchase.total,
            "no cart event",
            "payment events tell of this trip, and no cart event does",
        )
        return False
    return order.orders == 1 and purchase.state in ("PRICED", "EMPTY")


def _compare(verdict: Verdict, purchase: Purchase, order: Order, lines: Sequence[Line]) -> None:
    assert order.total is not None  # told apart above
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


def judge_unbilled(verdict: Verdict, purchase: Purchase, lines: Sequence[Line]) -> None:
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


def _quantity(side: LineSide) -> str:
    return f"{side.quantity.normalize():f} {side.unit}"


def _product(side: LineSide | None) -> str:
    return "no such line" if side is None else f"{_quantity(side)} of {side.item_sku or 'an unknown product'}"
