"""What a month came to by the sandbox's own books, and by ours as they were kept when it was closed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backroom.reconciliation.pages import StoreDay
from tests.reconciliation.played.player import Month
from tests.reconciliation.played.world import OWN

ZERO = Decimal(0)
Totals = dict[str, Decimal]


def theirs(month: Month, store_id: str) -> Totals:
    """By the sandbox: what it priced, took, gave back, and was told of the till. No table of ours is read."""
    fate = month.world.fate
    trips = [
        one for one in month.sandbox.get("/sandbox/books", store=store_id)["trips"] if fate[_id(one)] != "UNPRICED"
    ]
    till = {_id(one): Decimal(one["till"]) for one in month.sandbox.get("/sandbox/money")["trips"]}
    lines = [line for trip in trips for line in trip["lines"]]
    sold = {name: _sum(lines, name) for name in ("list_amount", "promotion_amount", "tax_amount", "total")}
    by_card = [trip for trip in trips if fate[_id(trip)] != "ASSOCIATE"]
    total = {_id(trip): _sum(trip["lines"], "total") for trip in by_card}
    if store_id == OWN:
        of_all = month.sandbox.get("/sandbox/processor/books")["totals"]["USD"]
        captured, begun, refunded = Decimal(of_all["captured"]), ZERO, Decimal(of_all["refunded"])
        debts: Totals = {}
    else:
        captured, refunded = _sum(by_card, "captured"), _sum(by_card, "refunded")
        begun = _sum(by_card, "initiated") - captured
        debts = {_id(trip): total[_id(trip)] - Decimal(trip["captured"]) for trip in by_card}
    given_up = sum((debt for trip, debt in debts.items() if fate[trip] == "FORGIVEN"), ZERO)
    charged_late = sum((debt for trip, debt in debts.items() if fate[trip] == "MISSING_CHARGE"), ZERO)
    debt, paid = sum(debts.values(), ZERO), sum((till[trip] for trip in debts), ZERO)
    # who paid a debt at the till that turned out to be captured has the card's money back
    returned = sum((till[trip] for trip, debt in debts.items() if not debt), ZERO)
    # where shelf prices hold the tax, what is without it was sold
    net = sold["total"] - sold["tax_amount"]
    return {
        "list": net + sold["promotion_amount"],
        "promotions": sold["promotion_amount"],
        "net": net,
        "tax": sold["tax_amount"],
        "total": sold["total"],
        "by_card": sum(total.values(), ZERO),
        "captured": captured,
        "initiated": begun,
        "refunded": refunded,
        "debt": debt,
        "paid": paid,
        "written_off": given_up,
        "returned": returned,
        "charged_late": charged_late,
        "owed": debt - (paid - returned) - given_up,
    }


def ours(period: StoreDay) -> Totals:
    """By the report of the month."""
    sales, money = period.figures["sales"], period.figures["settlement"]
    expenses = period.figures["sections"]["write_offs"]
    return {
        **{name: Decimal(sales[name]) for name in ("list", "promotions", "net", "tax", "total", "by_card")},
        **{name: Decimal(money[name]) for name in ("captured", "initiated", "debt")},
        "refunded": Decimal(money["card_refunded"]),
        "paid": Decimal(money["debt_paid"]),
        "returned": Decimal(money["paid_back"]) - Decimal(money["refunded_of_sale"]),
        "written_off": _sum(expenses, "amount"),
        "owed": Decimal(money["debt_open"]),
    }


def ledger(period: StoreDay) -> Totals:
    """By the month's trial balance, each account in its natural sign."""
    balance: Totals = {}
    for row in period.trial_balance:
        balance[row["account"]] = balance.get(row["account"], ZERO) + Decimal(row["after"])

    def of(account: str) -> Decimal:
        return balance.get(account, ZERO)

    return {
        "list": -of("sales"),
        "promotions": of("promotions"),
        "tax less refunds": -of("tax_payable") - of("refunds"),
        "captured": of("card_clearing"),
        "initiated": of("card_clearing_initiated"),
        "written_off": of("write_off"),
        "owed": of("bad_debt_receivable"),
        "not charged yet": of("shopper_receivable"),
    }


def as_in_the_ledger(totals: Totals) -> Totals:
    """The sandbox's totals under the names of `ledger`; what was charged late became a debt after the month."""
    same = ("list", "promotions", "captured", "initiated", "written_off")
    return {name: totals[name] for name in same} | {
        "tax less refunds": totals["tax"] - totals["refunded"] + totals["returned"],
        "owed": totals["owed"] - totals["charged_late"],
        "not charged yet": totals["charged_late"],
    }


def _sum(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), ZERO)


def _id(trip: dict[str, Any]) -> str:
    return str(trip["shopping_trip_id"])
