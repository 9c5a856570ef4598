"""Over any sequence of what may happen to a trip, its debt's row is what its history adds up to."""

from __future__ import annotations

import contextlib
from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backroom.debts.account import NoSuchDebt
from backroom.debts.payoff import PayoffRefused, PayoffState
from backroom.debts.reduction import reduce
from backroom.debts.standing import Standing
from backroom.debts.write_off import WriteOffRefused, forgive, write_off
from tests.charges.conftest import minutes
from tests.debts.conftest import NOON, Debts, Till

HAPPENINGS = (
    "reduce", "pay", "decline", "lose", "hear paid", "hear declined", "write off", "forgive", "capture part",
    "capture all", "take back",
)  # fmt: skip
CAPTURES = {"capture part": ("7", "3"), "capture all": ("10", "0"), "take back": ("0", "10")}


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=12))
def test_the_row_is_what_the_history_adds_up_to(debts: Debts, happenings: list[str]) -> None:
    trip = debts.owe("10", total="10")
    for number, what in enumerate(happenings):
        with contextlib.suppress(NoSuchDebt, PayoffRefused, WriteOffRefused):
            happen(debts, trip, what, number)
    check(debts, trip)
    settle_all(debts, trip)
    check(debts, trip)


def happen(debts: Debts, trip: str, what: str, number: int) -> None:
    at = NOON + minutes(number)
    match what:
        case "pay":
            debts.pay(trip, at=at)
        case "decline" | "lose":
            port = Till(["DECLINED" if what == "decline" else "LOST"])
            debts.pay(trip, "SANDBOX", port=port, at=at)
        case "hear paid":  # of any payoff that ever was, also one that was told as declined
            for row in debts.rows(
                "select payoff_id from payoff where shopping_trip_id = :t order by 1 limit 1", t=trip
            ):
                debts.settle(row["payoff_id"], "PAID", at=at)
        case "hear declined":
            settle_all(debts, trip)
        case "capture part" | "capture all" | "take back":
            captured, owed = CAPTURES[what]
            debts.charge_says(trip, owed=owed, captured=captured, at=at)
        case _:
            if not debts.rows("select 1 from debt where shopping_trip_id = :t", t=trip):
                return
            with debts.engine.begin() as connection:
                if what == "reduce":
                    asked: dict[str, Any] = {"source": f"refund:{number}", "actor": "refunds", "now": at}
                    reduce(connection, shopping_trip_id=trip, amount=Decimal("2.50"), **asked)
                elif what == "write off":
                    write_off(connection, shopping_trip_id=trip, by="ann", reason="", now=at)
                else:
                    forgive(connection, shopping_trip_id=trip, by="ann", reason="", now=at)


def settle_all(debts: Debts, trip: str) -> None:
    for row in debts.rows(
        "select payoff_id from payoff where shopping_trip_id = :t and state in ('INTENDED', 'UNKNOWN')", t=trip
    ):
        debts.settle(row["payoff_id"], "DECLINED")


def check(debts: Debts, trip: str) -> None:
    told: Counter[str] = Counter()
    for row in debts.rows("select kind, amount from debt_event where shopping_trip_id = :t", t=trip):
        told[row["kind"]] += row["amount"]
    found = debts.rows("select * from debt where shopping_trip_id = :t", t=trip)
    names = ("amount", "paid", "reduced", "written_off", "returned")
    debt = Standing(**{name: found[0][name] for name in names}) if found else Standing(Decimal(0))
    assert debt.paid == told["PAID"] + told["RECOVERED"]
    assert debt.reduced == told["REDUCED"]
    assert debt.written_off == told["WRITTEN_OFF"] - told["RECOVERED"] - told["WRITE_OFF_UNDONE"]
    assert debt.returned == told["PAYOFF_RETURNED"]
    if found:
        assert (found[0]["outstanding"], found[0]["state"]) == (debt.outstanding, debt.state)
        assert (found[0]["closed_at"] is None) == (debt.state == "OPEN")
    paid = debts.rows(
        "select coalesce(sum(amount), 0) as paid from payoff where shopping_trip_id = :t and state = :paid",
        t=trip, paid=PayoffState.PAID,
    )  # fmt: skip
    assert paid[0]["paid"] == debt.paid
    # what was paid or refunded beyond what was owed goes back, to the cent
    asked = debts.rows(
        "select coalesce(sum(amount), 0) as back from refund_request where shopping_trip_id = :t and is_return", t=trip
    )
    assert asked[0]["back"] == debt.returned
    assert debt.paid + debt.reduced - debt.returned <= debt.amount
