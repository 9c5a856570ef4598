"""A person says what the lines of a bad cart are; then it is priced as of its trip's end and charged, once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.errors import BackroomError
from backroom.purchases.bad_carts import apply_decisions
from backroom.purchases.cart_resolution import CartError
from backroom.reviews.cases import CaseError, decide
from tests.purchases.bad_cart_world import EXPIRES, LATER, MARGIN, STARTED, Shop


@pytest.fixture
def shop(database: Engine) -> Shop:
    return Shop.opened(database)


def decide_case(shop: Shop, trip: str, decision: str) -> None:
    with shop.engine.begin() as connection:
        case_id = shop.rows("select max(case_id) from review_case where subject = :trip", trip=trip)[0][0]
        decide(connection, case_id, decision, by="ana", reason="seen", now=LATER)


def test_a_mapped_line_is_charged_as_that_product_and_the_rest_as_it_came(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "2"))
    assert shop.stands(trip) == ("BAD_CART", 0, None)
    done = shop.resolve(trip, {2: "SOAP"})
    assert str(done.charged) == "8.60 USD"
    assert shop.stands(trip) == ("PRICED", Decimal("8.60"), Decimal("8.60"))
    assert shop.lines(trip) == [("MILK", Decimal("2.00"), False), ("SOAP", Decimal("6.60"), False)]
    assert shop.cases(trip) == [("SETTLED", "kim")]


def test_a_dropped_line_keeps_its_row_without_a_total(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "2"))
    shop.resolve(trip, dropped=(2,))
    assert shop.stands(trip) == ("PRICED", Decimal("2.00"), Decimal("2.00"))
    assert shop.lines(trip) == [("MILK", Decimal("2.00"), False), (None, None, True)]


def test_a_cart_of_which_every_line_is_dropped_is_charged_nothing_so_that_its_hold_is_freed(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"))
    shop.resolve(trip, dropped=(1,))
    assert shop.stands(trip) == ("PRICED", 0, 0)
    assert shop.rows("select state from charge where shopping_trip_id = :trip", trip=trip) == [("CANCEL_DUE",)]


def test_the_price_is_that_of_the_trips_end(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"))
    shop.do("update shelf_price set valid_to = :at where store_id = :store and item_sku = 'MILK'", at=LATER)
    shop.do("insert into shelf_price values (:store, 'MILK', :at, null, 9, 'USD')", at=LATER)
    shop.resolve(trip, {1: "MILK"}, now=LATER + timedelta(hours=1))
    assert shop.stands(trip)[1] == Decimal("2.00")


def test_who_did_it_and_why_is_in_the_audit_trail_without_card_numbers(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "2"), ("ODD", "1"))
    shop.resolve(trip, {2: "SOAP"}, (3,), reason="paid by 4111 1111 1111 1111")
    [(actor, reason, details)] = shop.rows(
        "select actor, reason, details from audit_entry where subject = :trip and action = 'carts.resolve'", trip=trip
    )
    assert (actor, reason) == ("kim", "paid by [card number removed]")
    assert (details["mapped"], details["dropped"], details["charged"]) == ({"2": "SOAP"}, [3], "8.60")
    assert "4111" not in str(shop.rows("select * from audit_entry where subject = :trip", trip=trip))
    assert "4111" not in str(shop.rows("select * from review_case where subject = :trip", trip=trip))


def test_a_cart_that_still_lacks_a_price_keeps_what_was_said_and_is_asked_about_anew(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"), ("ODD", "1"))
    done = shop.resolve(trip, {1: "BREAD"})
    assert done.charged is None
    assert done.problems == (
        "line 1: 'BREAD' has no shelf price at the trip's end",
        "line 2: no product of this store has the SKU 'ODD'",
    )
    assert shop.stands(trip) == ("BAD_CART", 0, None)
    assert shop.cases(trip) == [("SETTLED", "kim"), (None, None)]
    shop.prices("BREAD", "1.50")
    assert str(shop.resolve(trip, dropped=(2,)).charged) == "1.50 USD"
    assert shop.lines(trip) == [("BREAD", Decimal("1.50"), False), (None, None, True)]


def test_a_mapping_can_be_corrected_while_the_cart_waits(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"), ("ODD", "1"))
    shop.resolve(trip, {1: "MILK"})
    assert str(shop.resolve(trip, {1: "SOAP", 2: "MILK"}).charged) == "5.30 USD"


def test_a_line_in_a_unit_that_does_not_fit_is_mapped_to_a_product_that_fits(shop: Shop) -> None:
    trip = shop.cart(("HAM", "1", "unit"))
    assert str(shop.resolve(trip, {1: "MILK"}).charged) == "2.00 USD"


@pytest.mark.parametrize(
    ("mapped", "dropped", "complaint"),
    [
        ({}, (), "--map LINE=SKU or --drop LINE"),
        ({2: "MILK"}, (2,), "line 2 can't be both"),
        ({7: "MILK"}, (), "has no line 7; its lines are 1 to 2"),
        ({2: "NO-SUCH"}, (), "line 2: 'NO-SUCH' is no SKU of"),
        ({1: "SOAP"}, (), "can be priced as it came"),
        ({}, (1,), "what stands in the way: line 2"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line_and_changes_nothing(
    shop: Shop, mapped: dict[int, str], dropped: tuple[int, ...], complaint: str
) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "2"))
    with pytest.raises(CartError) as refused:
        shop.resolve(trip, mapped, dropped)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert shop.stands(trip) == ("BAD_CART", 0, None)
    assert shop.cases(trip) == [(None, None)]


def test_a_dropped_line_stays_dropped_and_another_trip_is_not_found(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"), ("ODD", "1"))
    shop.resolve(trip, dropped=(1,))
    with pytest.raises(CartError, match=r"line 1 of trip .*: dropped already"):
        shop.resolve(trip, {1: "MILK"})
    with pytest.raises(CartError, match="there is no cart of trip 'NOBODY'"):
        shop.resolve("NOBODY", {1: "MILK"})


@pytest.mark.parametrize("decision", ["price_again", "charge_nothing"])
def test_a_decision_in_the_reviews_comes_first_and_stands(shop: Shop, decision: str) -> None:
    trip = shop.cart(("STRANGE", "1"))
    decide_case(shop, trip, decision)
    with pytest.raises(CartError, match=f"was decided already: {decision} by ana"):
        shop.resolve(trip, {1: "MILK"})
    with shop.engine.begin() as connection:
        apply_decisions(connection, now=LATER)
    if decision == "charge_nothing":
        assert shop.stands(trip) == ("SETTLED_OTHERWISE", 0, 0)
    else:
        assert shop.cases(trip) == [("price_again", "ana"), (None, None)]
        assert str(shop.resolve(trip, {1: "MILK"}).charged) == "2.00 USD"


def test_a_resolved_cart_leaves_nothing_to_decide_in_the_reviews(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"))
    shop.resolve(trip, {1: "MILK"})
    with pytest.raises(CaseError, match="decided already: SETTLED by kim"):
        decide_case(shop, trip, "charge_nothing")
    with pytest.raises(CartError, match="does not wait: it is PRICED"):
        shop.resolve(trip, dropped=(1,))
    with shop.engine.begin() as connection:
        assert apply_decisions(connection, now=LATER) == {"priced": 0, "waived": 0, "still_bad": 0}


def test_of_two_who_resolve_at_once_one_wins_and_the_trip_is_charged_once(shop: Shop) -> None:
    start = threading.Barrier(2)

    def attempt(trip: str, who: str, sku: str) -> str:
        start.wait()
        try:
            shop.resolve(trip, {1: sku}, by=who)
        except BackroomError as error:
            return str(error)
        return who

    for _ in range(5):
        trip = shop.cart(("STRANGE", "1"))
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(attempt, [trip, trip], ["kim", "lee"], ["MILK", "SOAP"]))
        won = [who for who in said if who in ("kim", "lee")]
        assert len(won) == 1
        assert "does not wait" in next(message for message in said if message not in won)
        assert shop.cases(trip) == [("SETTLED", won[0])]
        assert shop.stands(trip)[2] == (Decimal("2.00") if won == ["kim"] else Decimal("3.30"))
        assert len(shop.rows("select * from charge_event where shopping_trip_id = :trip", trip=trip)) == 1
        assert set(shop.stock(trip)) == {"MILK" if won == ["kim"] else "SOAP"}


def test_a_review_decision_beside_a_resolver_wins_or_loses_whole(shop: Shop) -> None:
    start = threading.Barrier(2)

    def resolving(trip: str) -> bool:
        start.wait()
        try:
            shop.resolve(trip, {1: "MILK"})
        except BackroomError:
            return False
        return True

    def reviewing(trip: str) -> bool:
        start.wait()
        try:
            decide_case(shop, trip, "charge_nothing")
        except CaseError:
            return False
        return True

    for _ in range(5):
        trip = shop.cart(("STRANGE", "1"))
        with ThreadPoolExecutor(2) as pool:
            outcomes = [pool.submit(resolving, trip), pool.submit(reviewing, trip)]
            resolved, reviewed = (outcome.result() for outcome in outcomes)
        assert resolved != reviewed
        with shop.engine.begin() as connection:
            apply_decisions(connection, now=LATER)
        assert shop.stands(trip)[0] == ("PRICED" if resolved else "SETTLED_OTHERWISE")


def test_mapped_lines_go_out_of_the_stock_and_dropped_ones_come_back(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("BREAD", "2"), ("BREAD", "3"), ("STRANGE", "4"))
    assert shop.stock(trip) == {"MILK": 1, "BREAD": 5}
    shop.resolve(trip, dropped=(3,))
    assert shop.stock(trip) == {"MILK": 1, "BREAD": 2}
    shop.resolve(trip, {2: "SOAP", 4: "MILK"})
    assert shop.stock(trip) == {"MILK": 5, "SOAP": 2}


def test_a_product_that_has_come_to_be_known_goes_out_of_the_stock_when_it_is_priced(shop: Shop) -> None:
    trip = shop.cart(("NEWLY", "3"), ("HAM", "2", "unit"))
    assert shop.stock(trip) == {}
    shop.sells("NEWLY", price="1")
    shop.do("update catalog_item set unit = 'unit' where store_id = :store and item_sku = 'HAM'")
    decide_case(shop, trip, "price_again")
    with shop.engine.begin() as connection:
        apply_decisions(connection, now=LATER)
    assert shop.stock(trip) == {"NEWLY": 3, "HAM": 2}


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(["carts"]), ["carts", *arguments])
    return (2, str(done.exception)) if isinstance(done.exception, BackroomError) else (done.exit_code, done.output)


def test_the_commands_list_show_and_resolve(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "2"), ("ODD", "1"))
    shop.cart(("ODD", "1"), started=STARTED + timedelta(hours=3))
    code, output = run("list", "--store", shop.store_id, "--json", "--now", (MARGIN - timedelta(hours=1)).isoformat())
    first, second = json.loads(output)
    assert (code, first["shopping_trip_id"]) == (0, trip)
    assert (first["hours_left"], first["hours_until_charged_in_part"], first["age_hours"]) == (9.0, 1.0, 36.9)
    assert first["problems"] == [
        "line 2: no product of this store has the SKU 'STRANGE'",
        "line 3: no product of this store has the SKU 'ODD'",
    ]
    assert second["hours_left"] == 12.0
    code, output = run("resolve", trip, "--map", "2=SOAP", "--reason", "a label", "--by", "kim", "--now", str(LATER))
    assert (code, output) == (
        1,
        f"{trip}: kept, but it still can't be priced\n  line 3: no product of this store has the SKU 'ODD'\n",
    )
    code, output = run("show", trip)
    assert code == 0
    for expected in ("BAD_CART", "mapped", "no product of this", "carts.resolve", "a label", "kim"):
        assert expected in output
    code, output = run("resolve", trip, "--drop", "3", "--reason", "a bag", "--now", str(LATER))
    assert (code, output) == (0, f"{trip}: resolved, 8.60 USD to charge\n")
    code, output = run("show", trip, "--json")
    shown = json.loads(output)
    assert (shown["state"], shown["charge_state"]) == ("PRICED", "DUE")
    assert [line["problem"] for line in shown["lines"]] == [None, None, None]
    assert json.loads(run("list", "--store", shop.store_id, "--json")[1])[0]["shopping_trip_id"] != trip
    assert trip not in run("list", "--store", shop.store_id)[1]


@pytest.mark.parametrize("given", ["SOAP", "=SOAP", "2=", "x=SOAP", "-1=SOAP"])
def test_a_mapping_is_written_as_line_and_sku(shop: Shop, given: str) -> None:
    code, output = run("resolve", "T", f"--map={given}", "--reason", "r")
    assert code == 2
    assert "write LINE=SKU, such as 2=SKU-1001" in output
    assert "line 2 is given twice" in run("resolve", "T", "--map", "2=A", "--map", "2=B", "--reason", "r")[1]


def test_a_cart_can_be_resolved_as_long_as_it_waits(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"))
    assert shop.resolve(trip, {1: "MILK"}, now=EXPIRES - timedelta(minutes=1)).charged is not None
