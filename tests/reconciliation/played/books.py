"""What a month came to by the sandbox's own books, and by ours as they were kept when it was closed."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from backroom.reconciliation.pages import StoreDay
from tests.reconciliation.played.player import Month
from tests.reconciliation.played.world import OWN, currency_of, zone_of

ZERO = Decimal(0)
Totals = dict[str, Decimal]
Trip = dict[str, Any]


def theirs(month: Month, store_id: str) -> Totals:
    """By the sandbox: what it priced, took, gave back, and was told of the till. No table of ours is read."""
    fate = month.world.fate
    trips = [one for day in month.world.days(store_id) for one in priced(month, store_id, day)]
    till = {_id(one): Decimal(one["till"]) for one in month.sandbox.get("/sandbox/money")["trips"]}
    by_card = [trip for trip in trips if fate[_id(trip)] != "ASSOCIATE"]
    total = {_id(trip): _sum(trip["lines"], "total") for trip in by_card}
    if store_id == OWN:
        captured, refunded = _by_processor(month, by_card)
        begun, debts = ZERO, Totals()
    else:
        captured = {_id(trip): Decimal(trip["captured"]) for trip in by_card}
        refunded = _sum(by_card, "refunded")
        begun = _sum(by_card, "initiated") - sum(captured.values(), ZERO)
        debts = {trip: total[trip] - captured[trip] for trip in total}
    given_up = sum((debt for trip, debt in debts.items() if fate[trip] == "FORGIVEN"), ZERO)
    charged_late = sum((debt for trip, debt in debts.items() if fate[trip] == "MISSING_CHARGE"), ZERO)
    debt, paid = sum(debts.values(), ZERO), sum((till[trip] for trip in debts), ZERO)
    # who paid a debt at the till that turned out to be captured has the card's money back
    returned = sum((till[trip] for trip, debt in debts.items() if not debt), ZERO)
    after = [_id(trip) for trip in by_card if _worked_on(month, trip).month > month.world.last.month]
    return sold(trips) | {
        "by_card": sum(total.values(), ZERO),
        "captured": sum(captured.values(), ZERO),
        "initiated": begun,
        "refunded": refunded,
        "debt": debt,
        "paid": paid,
        "written_off": given_up,
        "returned": returned,
        "charged_late": charged_late,
        "captured_after": sum((captured[trip] for trip in after), ZERO),
        "owed": debt - (paid - returned) - given_up,
    }


def priced(month: Month, store_id: str, day: date) -> list[Trip]:
    """The sandbox's trips of that day of the store, but for those that we can't sell."""
    found = month.sandbox.get("/sandbox/books", store=store_id, date=day.isoformat())["trips"]
    return [one for one in found if month.world.fate[_id(one)] != "UNPRICED"]


def sold(trips: list[Trip]) -> Totals:
    """What trips of the sandbox come to. Where shelf prices hold the tax, what is without it was sold."""
    lines = [line for trip in trips for line in trip["lines"]]
    promotions, tax, total = (_sum(lines, name) for name in ("promotion_amount", "tax_amount", "total"))
    net = total - tax
    return {"list": net + promotions, "promotions": promotions, "net": net, "tax": tax, "total": total}


def hours_of(trips: list[Trip]) -> Counter[int]:
    """In which hour of the store's clock trips of the sandbox ended."""
    ends = (datetime.fromisoformat(trip["ended_at"]).astimezone(ZoneInfo(zone_of(trip["store_id"]))) for trip in trips)
    return Counter(ended.hour for ended in ends)


def _by_processor(month: Month, trips: list[Trip]) -> tuple[Totals, Decimal]:
    """What the sandbox's own processor took for each of these trips, and gave back for all."""
    came_in = {one["shopping_trip_id"]: [entry["id"] for entry in one["entries"]] for one in month.world.trips}
    payments = {one["subject"]: one for one in month.sandbox.get("/sandbox/processor/books")["payments"]}
    captured, refunded = Totals(), ZERO
    for trip in map(_id, trips):
        its = [payments[one] for one in (trip, *came_in[trip]) if one in payments]
        assert {one["currency"] for one in its} <= {currency_of(OWN)}
        captured[trip], refunded = _sum(its, "captured"), refunded + _sum(its, "refunded")
    return captured, refunded


def _worked_on(month: Month, trip: Trip) -> date:
    """The store's day on which its card is charged: not before the moment at which we next look."""
    ended = datetime.fromisoformat(trip["ended_at"])
    at = next(one for one in month.steps if one >= ended)
    return at.astimezone(ZoneInfo(zone_of(trip["store_id"]))).date()


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
    """The sandbox's totals under the names of `ledger`, which ends with the month.

    What was charged late became a debt after it, and the last trips of the month were captured after it.
    """
    same = ("list", "promotions", "initiated", "written_off")
    return {name: totals[name] for name in same} | {
        "tax less refunds": totals["tax"] - totals["refunded"] + totals["returned"],
        "captured": totals["captured"] - totals["captured_after"],
        "owed": totals["owed"] - totals["charged_late"],
        "not charged yet": totals["charged_late"] + totals["captured_after"],
    }


def _sum(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), ZERO)


def _id(trip: Trip) -> str:
    return str(trip["shopping_trip_id"])
