"""Figures beside the same ones from the ledger: those of the day's trips, and those of what happened. Pure.

A check ties, or says by how much it does not. Those of what happened belong to one day or period, and are never added.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from backroom.money import round_amount
from backroom.reconciliation.happened import Happened

Row = dict[str, Any]

ZERO: Final = Decimal(0)
HAPPENED: Final = "HAPPENED"
SHELF_PRICES: Final = "shelf prices"
"""Against these the memo of lines that were not billed is told, which moves no money: no month stays open for it."""


def check(what: str, source: str, amount: Any, against: str, other: Any, currency: str) -> Row:
    """One line: `amount` as `source` has it, beside `other`, as `against` has it; exact text."""
    left, right = (round_amount(Decimal(value), currency) for value in (amount, other))
    return {
        "what": what,
        "source": source,
        "amount": str(left),
        "against": against,
        "other": str(right),
        "difference": str(right - left),
        "ties": Decimal(other) == left,
    }


def of_trips(found: Row, *, memo_at_shelf_prices: Decimal) -> list[Row]:
    """Of the figures of a day's trips that `figures` does not hold against the ledger by itself."""
    currency, ledger = found["store"]["currency"], found["ledger"]
    sales, settlement = found["sales"], found["settlement"]
    begun_by_nobody = sum((Decimal(settlement[part]) for part in ("parked", "waiting", "unexplained")), ZERO)
    memo = _sum(found["sections"]["unbilled"], "amount")
    return [
        check(
            "Parked, or not charged yet", "charges", begun_by_nobody, "ledger", _on(ledger, "shopper_receivable"),
            currency,
        ),
        check(
            "Settled without a card", "purchases", sales["otherwise"], "ledger", _on(ledger, "settled_otherwise"),
            currency,
        ),
        *_taxes(found["tax"], ledger, currency),
        check(
            "Not billed, at list price where one is known", "ledger", memo, SHELF_PRICES, memo_at_shelf_prices,
            currency,
        ),
    ]  # fmt: skip


def of_what_happened(happened: Happened, currency: str) -> list[Row]:
    """Of what happened on a day or in a period, against the postings of that time."""
    told, posted = happened.sections, happened.posted
    refunds, payoffs, write_offs = told["refunds_made"], told["payoffs"], told["write_offs"]
    came = {row["kind"]: Decimal(row["amount"]) for row in payoffs}
    back = [(row, Decimal(row["begun"]) - Decimal(row["reversed"])) for row in refunds]
    of_sales = sum((amount for row, amount in back if not row["is_return"]), ZERO)
    returned = sum((amount for row, amount in back if row["is_return"]), ZERO)
    paid_back = sum((amount for row, amount in back if row["instrument"] != "DEBT"), ZERO)
    expense = [row for row in write_offs if row["what"] != "RECOVERED"]
    beside = _on(posted, "card_clearing_written_off") + _on(posted, "receivable_written_off")
    tax_back = sum((Decimal(row["by_refunds"]) for row in posted if row["account"] == "tax_payable"), ZERO)
    pairs = (
        (
            "debts, change of what is owed",
            "debts",
            _sum((row for row in told["debts_moved"] if row["kind"] != "BROUGHT_FORWARD"), "change"),
            _on(posted, "bad_debt_receivable"),
        ),
        ("debts open at its end", "debts", _sum(told["debts_open"], "outstanding"), Decimal(happened.owed_by_ledger)),
        (
            "payoffs received",
            "debts",
            came.get("PAID", ZERO) + came.get("RECOVERED", ZERO),
            _on(posted, "payoff_receipts"),
        ),
        ("recovered after a write-off", "debts", came.get("RECOVERED", ZERO), -_on(posted, "recovery")),
        ("written off", "debts and breaks", _sum(expense, "amount"), _on(posted, "write_off")),
        (
            "given up with breaks",
            "breaks",
            _sum((row for row in expense if row["of"] != "DEBT"), "amount"),
            -beside,
        ),
        (
            "owed to shoppers, change",
            "debts and refunds",
            came.get("PAYOFF_RETURNED", ZERO) - returned,
            -_on(posted, "owed_to_shoppers"),
        ),
        ("refunds of sales", "refunds", of_sales, _on(posted, "refunds") + tax_back),
        (
            "paid back",
            "refunds",
            paid_back,
            -_on(posted, "refund_clearing") - _on(posted, "refund_clearing_initiated"),
        ),
    )
    return [
        {"of": HAPPENED, **check(f"In this time: {what}", source, amount, "ledger", other, currency)}
        for what, source, amount, other in pairs
    ]


def adding_up(checks: Iterable[Row]) -> list[Row]:
    """Those that several days add up: of their trips."""
    return [row for row in checks if row.get("of") != HAPPENED]


def _taxes(taxes: Iterable[Row], ledger: list[Row], currency: str) -> list[Row]:
    """Tax of what was sold, per jurisdiction, as lines and ledger have it; what refunds gave back of it is left out."""
    by_lines: dict[str, Decimal] = {}
    for row in taxes:
        by_lines[row["jurisdiction"]] = by_lines.get(row["jurisdiction"], ZERO) + Decimal(row["tax"])
    by_ledger = {
        row["detail"] or "none": Decimal(row["by_refunds"]) - Decimal(row["balance"])
        for row in ledger
        if row["account"] == "tax_payable"
    }
    return [
        check(f"Tax of {where}", "lines", by_lines.get(where, ZERO), "ledger", by_ledger.get(where, ZERO), currency)
        for where in sorted({*by_lines, *by_ledger})
    ]


def _sum(rows: Iterable[Row], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), ZERO)


def _on(rows: Iterable[Row], account: str) -> Decimal:
    return sum((Decimal(row["balance"]) for row in rows if row["account"] == account), ZERO)
