"""A cart priced by the store's point of sale, over real HTTP: believed to the cent or not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from backroom.clock import system_clock
from backroom.db.serving import serving_engine
from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.circuit import Circuit, CircuitOpen
from backroom.purchases.point_of_sale import (
    PointsOfSale,
    PricedByPointOfSale,
    PricingStore,
    Problems,
    Unavailable,
    alert_in,
    price,
)
from backroom.purchases.point_of_sale_answer import WrongAnswer, read_answer
from backroom.purchases.point_of_sale_client import Patience, make_client
from backroom.purchases.pricing import CartItem, PricedCart
from backroom.purchases.recording import record_purchase
from backroom.settings import Settings
from tests.purchases.price_world import PointOfSale, add_store, instant, iso, point_of_sale, reply

EVENT = "11111111-1111-4111-8111-111111111111"
CHEESE = CartItem(2, "0123", "SCANCODE", Decimal("0.5"), "kg")
PATIENCE = Patience(connect=0.2, read=0.3, total=0.5)


def cart(*items: CartItem, trip: str = "trip-1", store: str = "POS-1") -> Cart:
    return Cart(
        request_id=EVENT,
        shopping_trip_id=trip,
        store_id=store,
        started_at=instant("09:00"),
        ended_at=instant("09:30"),
        auth_events=(AuthEvent(EVENT, True, "shopper-1", "SHOPPER"), AuthEvent(EVENT, True, "club-7", "LOYALTY")),
        items=items or (CartItem(1, "APPLE", "SKU", Decimal("2"), "unit"), CHEESE),
    )


def good_answer() -> dict[str, Any]:
    """Two apples at 1.50 less 0.50, with 5 % tax; half a kilo at 4.99, rounded down, without tax."""
    return {
        "shoppingTripId": "trip-1",
        "currency": "USD",
        "lines": [
            {
                "line": 1, "sku": "APPLE", "soldBy": "unit", "listPrice": "1.50", "listAmount": "3.00",
                "promotions": [{"id": "SPRING", "description": "spring", "amount": "0.50"}],
                "tax": {"amount": "0.13", "rate": "0.05", "jurisdiction": "US-NY", "included": False},
                "total": "2.63",
            },
            {
                "line": 2, "sku": "CHEESE", "soldBy": "kg", "listPrice": "4.99", "listAmount": "2.49",
                "promotions": [], "tax": {"amount": "0.00", "rate": "0", "included": False}, "total": "2.49",
            },
        ],
        "total": "5.12",
    }  # fmt: skip


@pytest.fixture
def pos() -> Iterator[PointOfSale]:
    with point_of_sale() as running:
        yield running


def answering(pos: PointOfSale, body: Any, status: int = 200) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    pos.answer = lambda handler, _: reply(handler, status, content)


def circuit(failures: int = 5, reset_seconds: float = 30, told: list[str] | None = None) -> Circuit:
    return Circuit(
        "POS-1",
        failures=failures,
        reset_seconds=reset_seconds,
        tell=lambda state, _: None if told is None else told.append(state),
    )


def asked(url: str, breaker: Circuit | None = None, **values: Any) -> Any:
    with make_client(Settings(point_of_sale_secret=SecretStr("s3cret"))) as client:
        return price(
            values.pop("cart", cart()),
            store=PricingStore("POS-1", "USD", url),
            client=client,
            breaker=breaker or circuit(),
            patience=values.pop("patience", PATIENCE),
            **values,
        )


def test_a_good_answer_is_the_same_kind_of_price_as_our_own(pos: PointOfSale) -> None:
    answering(pos, good_answer())
    priced = asked(pos.url)
    assert isinstance(priced, PricedByPointOfSale)
    apples, cheese = priced.cart.lines
    assert (str(priced.cart.list_total), str(priced.cart.promotion_total)) == ("5.49 USD", "0.50 USD")
    assert (str(priced.cart.tax_total), str(priced.cart.total)) == ("0.13 USD", "5.12 USD")
    assert (cheese.product.item_sku, cheese.product.sold_by, str(cheese.total)) == ("CHEESE", "kg", "2.49 USD")
    assert [(one.promotion.promotion_id, str(one.amount)) for one in apples.promotions] == [("SPRING", "0.50 USD")]
    assert "tax US-NY 5 %: 0.13 USD" in apples.explain()


def test_the_request_says_what_was_bought_and_holds_no_card_and_no_name(pos: PointOfSale) -> None:
    answering(pos, good_answer())
    asked(pos.url, shopper_type="SHOPPER")
    (request,) = pos.requests
    assert request["path"] == "/cart-price"
    assert request["headers"]["authorization"] == "Bearer s3cret"
    assert request["headers"]["idempotency-key"] == "trip-1"
    assert request["body"] == {
        "shoppingTripId": "trip-1",
        "storeId": "POS-1",
        "endTime": iso(instant("09:30")),
        "currency": "USD",
        "shopperType": "SHOPPER",
        "loyaltyIds": ["club-7"],
        "lines": [
            {"line": 1, "type": "SKU", "id": "APPLE", "quantity": "2", "unit": "unit"},
            {"line": 2, "type": "SCANCODE", "id": "0123", "quantity": "0.5", "unit": "kg"},
        ],
    }


def test_a_trip_id_of_any_characters_is_a_safe_header(pos: PointOfSale) -> None:
    answering(pos, good_answer() | {"shoppingTripId": "é\r\nX: 1"})
    assert isinstance(asked(pos.url, cart=cart(trip="é\r\nX: 1")), PricedByPointOfSale)
    assert pos.requests[0]["headers"]["idempotency-key"] == "%C3%A9%0D%0AX%3A%201"


def test_tax_that_the_prices_hold_is_not_added(pos: PointOfSale) -> None:
    answer = good_answer()
    for line in answer["lines"]:
        line["tax"]["included"] = True
    answer["lines"][0]["total"], answer["total"] = "2.50", "4.99"
    answering(pos, answer)
    priced = asked(pos.url)
    assert isinstance(priced, PricedByPointOfSale)
    assert (str(priced.cart.total), str(priced.cart.tax_included_total)) == ("4.99 USD", "0.13 USD")


def test_an_item_that_the_point_of_sale_does_not_know_makes_a_bad_cart_and_no_failure(pos: PointOfSale) -> None:
    answer = good_answer()
    del answer["lines"][1], answer["total"]
    answering(pos, answer | {"unknown": [{"line": 2, "reason": "not on sale here"}]})
    breaker = circuit(failures=1)
    problems = asked(pos.url, breaker)
    assert isinstance(problems, Problems)
    assert [(one.item.line_number, one.reason) for one in problems.problems] == [
        (2, "the point of sale: not on sale here")
    ]
    assert breaker.state == "closed"


def _with(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    answer = good_answer()
    change(answer)
    return answer


def _line(**values: Any) -> dict[str, Any]:
    return _with(lambda answer: answer["lines"][0].update(values))


def _tax(**values: Any) -> dict[str, Any]:
    return _with(lambda answer: answer["lines"][0]["tax"].update(values))


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": (b"<html>", "Invalid JSON"),
    "nothing": (b"", "Invalid JSON"),
    "a list": ([], "object"),
    "nested": (b"[" * 100_000, "the answer"),
    "another trip": (good_answer() | {"shoppingTripId": "trip-2"}, "of another trip"),
    "another currency": (good_answer() | {"currency": "EUR"}, "currency: not USD"),
    "a line too few": (_with(lambda answer: answer["lines"].pop()), "answered once"),
    "a line twice": (_with(lambda answer: answer["lines"].append(answer["lines"][0])), "answered once"),
    "a line that is none": (_line(line=7), "answered once"),
    "priced and unknown": (good_answer() | {"unknown": [{"line": 1}]}, "answered once"),
    "another product": (_line(sku="PEAR"), "of another product"),
    "an amount as a number": (_line(listAmount=3.00), "listAmount"),
    "below zero": (_line(listAmount="-3.00"), "listAmount"),
    "an exponent": (_line(listPrice="1e2"), "listPrice"),
    "not a number": (_line(listPrice="NaN"), "listPrice"),
    "a third of a cent": (_line(listAmount="3.001"), "more than 2 decimal places"),
    "amount not price x quantity": (_line(listAmount="3.02", total="2.65"), "not listPrice x quantity"),
    "another unit": (_line(soldBy="kg"), "soldBy"),
    "a unit that is none": (_line(soldBy="crate"), "soldBy"),
    "promotions above the amount": (_line(promotions=[{"id": "P", "amount": "3.01"}]), "more than the list amount"),
    "a promotion that adds": (_line(promotions=[{"id": "P", "amount": "-1.00"}]), "promotions"),
    "a total of its own": (_line(total="2.62"), "line 1, total"),
    "a cart total of its own": (good_answer() | {"total": "5.11"}, "total: not the sum"),
    "no total": (_with(lambda answer: answer.pop("total")), "total"),
    "a rate above one": (_tax(rate="8.25"), "rate"),
    "tax of both kinds": (
        _with(lambda answer: answer["lines"][1]["tax"].update(included=True)), "included in some and added to others"
    ),
    "more tax than price": (
        _with(lambda answer: [line["tax"].update(included=True, amount="9.00") for line in answer["lines"]]),
        "more than the amount",
    ),
    "a character that no text holds": (_line(promotions=[{"id": "P\0", "amount": "0.50"}]), "NUL"),
    "more than the columns hold": (
        _line(listPrice="9999999999.99", listAmount="19999999999.98", total="1.00"), "listAmount"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_answer_is_a_failure(name: str) -> None:
    body, complaint = WRONG[name]
    with pytest.raises(WrongAnswer) as refused:
        read_answer(body if isinstance(body, bytes) else json.dumps(body).encode(), cart(), "USD")
    assert complaint in str(refused.value)
    assert len(str(refused.value)) < 320
    assert "\n" not in str(refused.value)


def test_a_currency_without_cents_has_whole_amounts() -> None:
    yen = good_answer() | {"currency": "JPY"}
    yen["lines"][0] |= {"listPrice": "1", "listAmount": "2.50"}
    with pytest.raises(WrongAnswer, match="more than 0 decimal places"):
        read_answer(json.dumps(yen).encode(), cart(), "JPY")


def test_each_kind_of_bad_answer_over_http_leaves_the_cart_to_the_price_book(pos: PointOfSale) -> None:
    def cut(handler: BaseHTTPRequestHandler, _: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        handler.close_connection = True

    def too_long(handler: BaseHTTPRequestHandler, _: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b" " * 5_000_000)

    def packed(handler: BaseHTTPRequestHandler, _: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n{")

    def moved(handler: BaseHTTPRequestHandler, _: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 307 Moved\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n")

    wrong_sums = json.dumps(good_answer() | {"total": "1.00"}).encode()
    for answer, reason in (
        (lambda handler, _: reply(handler, 500), "answers 500"),
        (lambda handler, _: reply(handler, 404), "answers 404"),
        (lambda handler, _: reply(handler, 200, b"garbage"), "Invalid JSON"),
        (lambda handler, _: reply(handler, 200, wrong_sums), "not the sum"),
        (lambda handler, _: handler.wfile.write(b"garbage\r\n\r\n"), "cut"),
        (cut, "cut"),
        (too_long, "longer than"),
        (packed, "packed"),
        (moved, "answers 307"),
    ):
        pos.answer = answer
        unavailable = asked(pos.url)
        assert isinstance(unavailable, Unavailable)
        assert reason in unavailable.reason


def test_a_point_of_sale_that_hangs_or_drips_or_is_not_there_costs_a_bounded_time(pos: PointOfSale) -> None:
    def drip(handler: BaseHTTPRequestHandler, _: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _number in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    pos.answer = lambda handler, _: time.sleep(1)
    assert_within(PATIENCE.read + 0.3, pos.url, "too slow")
    pos.answer = drip
    assert_within(PATIENCE.total + 0.3, pos.url, "not whole")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert_within(0.3, f"http://127.0.0.1:{unused.getsockname()[1]}", "no connection")


def assert_within(seconds: float, url: str, reason: str) -> None:
    began = time.monotonic()
    unavailable = asked(url)
    assert time.monotonic() - began < seconds
    assert isinstance(unavailable, Unavailable)
    assert reason in unavailable.reason


def test_a_connection_that_was_cut_is_tried_once_more_with_the_same_key(pos: PointOfSale) -> None:
    def cut_the_first(handler: BaseHTTPRequestHandler, _: Any) -> None:
        if len(pos.requests) == 1:
            handler.close_connection = True
        else:
            reply(handler, 200, json.dumps(good_answer()).encode())

    pos.answer = cut_the_first
    assert isinstance(asked(pos.url), PricedByPointOfSale)
    assert [request["headers"]["idempotency-key"] for request in pos.requests] == ["trip-1", "trip-1"]


def test_after_failures_in_a_row_it_is_left_alone_and_then_one_cart_tries(
    pos: PointOfSale, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    breaker = circuit(failures=2, reset_seconds=2, told=told)
    for _ in range(2):
        asked(pos.url, breaker)
    assert told == ["open"]
    left_alone = asked(pos.url, breaker)
    assert isinstance(left_alone, Unavailable)
    assert "left alone" in left_alone.reason
    assert len(pos.requests) == 2
    move_the_breakers_clock(monkeypatch, 2.1)
    asked(pos.url, breaker)
    assert (len(pos.requests), breaker.state) == (3, "open")
    move_the_breakers_clock(monkeypatch, 4.3)
    answering(pos, good_answer())
    assert isinstance(asked(pos.url, breaker), PricedByPointOfSale)
    assert breaker.state == "closed"
    assert told == ["open", "half-open", "open", "half-open", "closed"]


def move_the_breakers_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    monkeypatch.setattr("backroom.purchases.circuit.datetime", Moved)


def test_while_one_call_tries_the_others_do_not_wait_for_it() -> None:
    breaker = circuit(failures=1, reset_seconds=0.05)
    with pytest.raises(ValueError, match="down"):
        breaker.call(lambda: _fail("down"))
    time.sleep(0.1)
    started, go_on = threading.Event(), threading.Event()

    def trial() -> str:
        started.set()
        go_on.wait(5)
        return "up"

    trying = threading.Thread(target=lambda: breaker.call(trial))
    trying.start()
    started.wait(5)
    with pytest.raises(CircuitOpen, match="one call tries"):
        breaker.call(lambda: "other")
    go_on.set()
    trying.join()
    assert breaker.call(lambda: "other") == "other"


def test_calls_of_one_store_run_side_by_side() -> None:
    breaker, together = circuit(), threading.Barrier(4, timeout=5)
    threads = [threading.Thread(target=lambda: breaker.call(together.wait)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken


def test_a_late_end_says_nothing_about_a_circuit_that_has_changed_meanwhile() -> None:
    breaker = circuit(failures=1, reset_seconds=30)
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go_on.wait(5)

    late = threading.Thread(target=lambda: breaker.call(slow))
    late.start()
    started.wait(5)
    with pytest.raises(ValueError, match="down"):
        breaker.call(lambda: _fail("down"))
    go_on.set()
    late.join()
    assert breaker.state == "open"


def _fail(reason: str) -> None:
    raise ValueError(reason)


# --- through the recording of a cart


@pytest.fixture
def selling(database: Engine, pos: PointOfSale) -> Iterator[tuple[Engine, PointsOfSale]]:
    """A store that prices by the point of sale, with the apple in its catalog and price book."""
    with database.begin() as connection:
        for table in ("purchase_line", "charge_event", "charge", "purchase", "stock_movement", "stock_due",
                      "review_case", "alert", "shelf_price", "catalog_item", "catalog_run", "store"):  # fmt: skip
            connection.execute(text(f"truncate {table} cascade"))
    add_store(database, "POS-1", point_of_sale_url=pos.url)
    with database.begin() as connection:
        connection.execute(text("insert into catalog_run (business_date, source, state, started_at)"
                                " values ('2026-03-01', 'x', 'DONE', now())"))  # fmt: skip
        connection.execute(
            text(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)"
                " select 'POS-1', 'APPLE', '{}', '', 'apple', max(run_id) from catalog_run"
            )
        )
        connection.execute(
            text("insert into shelf_price values ('POS-1', 'APPLE', '2026-01-01T00:00Z', null, 1.40, 'USD')")
        )
    config = Settings(point_of_sale_failures=2, point_of_sale_read_seconds=0.3, point_of_sale_total_seconds=0.5)
    serving = serving_engine(database.url, connections=2, timeout_seconds=5, application="test")
    points_of_sale = PointsOfSale.of(config, alert=alert_in(serving), clock=system_clock)
    yield serving, points_of_sale
    points_of_sale.close()
    serving.dispose()


APPLE = CartItem(1, "APPLE", "SKU", Decimal("2"), "unit", "1")


def record(engine: Engine, points_of_sale: PointsOfSale, trip: str, *items: CartItem) -> Any:
    record_purchase(
        engine,
        replace(cart(*items), shopping_trip_id=trip),
        "{}",
        now=datetime.now(UTC),
        new_id=lambda: f"purchase-of-{trip}",
        price_elsewhere=points_of_sale,
    )
    with engine.connect() as connection:
        return connection.execute(
            text("select state, priced_by, total from purchase where shopping_trip_id = :t"), {"t": trip}
        ).one()


def apples_only(trip: str) -> dict[str, Any]:
    answer = good_answer() | {"shoppingTripId": trip, "total": "2.63"}
    del answer["lines"][1]
    return answer


def test_a_cart_is_recorded_at_the_point_of_sales_price_line_by_line(
    selling: tuple[Engine, PointsOfSale], pos: PointOfSale
) -> None:
    answering(pos, apples_only("t1"))
    assert tuple(record(*selling, "t1", APPLE)) == ("PRICED", "POINT_OF_SALE", Decimal("2.63"))
    with selling[0].connect() as connection:
        line = connection.execute(text("select * from purchase_line where shopping_trip_id = 't1'")).one()
        owed = connection.scalar(text("select count(*) from charge where shopping_trip_id = 't1'"))
    assert line.promotions == [
        {"promotion_id": "SPRING", "kind": "POINT_OF_SALE", "description": "spring", "amount": "0.50"}
    ]
    assert (line.list_price, line.tax_rate, line.tax_jurisdiction, owed) == (
        Decimal("1.50"), Decimal("0.05"), "US-NY", 1,
    )  # fmt: skip


def test_the_same_call_again_is_answered_without_asking_again(
    selling: tuple[Engine, PointsOfSale], pos: PointOfSale
) -> None:
    answering(pos, apples_only("t1"))
    record(*selling, "t1", APPLE)
    record(*selling, "t1", APPLE)
    assert len(pos.requests) == 1


def test_where_no_good_answer_comes_the_price_book_prices_the_cart_and_people_are_told_once(
    selling: tuple[Engine, PointsOfSale], pos: PointOfSale
) -> None:
    answering(pos, b"garbage")
    for trip in ("t1", "t2", "t3"):
        assert tuple(record(*selling, trip, APPLE)) == ("PRICED", "PRICE_BOOK_FALLBACK", Decimal("2.80"))
    assert len(pos.requests) == 2
    with selling[0].connect() as connection:
        (alert,) = connection.execute(text("select title, store_id, times from alert")).all()
    assert (alert.store_id, alert.times) == ("POS-1", 1)
    assert "price book" in alert.title


def test_an_alert_that_can_not_be_raised_costs_no_cart(selling: tuple[Engine, PointsOfSale], pos: PointOfSale) -> None:
    engine, points_of_sale = selling
    points_of_sale.alert = lambda *_: _fail("no database")
    for trip in ("t1", "t2"):
        assert record(engine, points_of_sale, trip, APPLE).priced_by == "PRICE_BOOK_FALLBACK"


def test_what_the_point_of_sale_does_not_know_is_a_bad_cart(
    selling: tuple[Engine, PointsOfSale], pos: PointOfSale
) -> None:
    answering(pos, {"shoppingTripId": "t1", "currency": "USD", "lines": [], "unknown": [{"line": 1}]})
    assert record(*selling, "t1", APPLE).state == "BAD_CART"
    with selling[0].connect() as connection:
        known = connection.scalar(text("select known from review_case where kind = 'BAD_CART'"))
    assert "the point of sale: does not know the item" in known["problems"][0]


def test_a_cart_of_a_thousand_lines_is_priced(pos: PointOfSale) -> None:
    items = tuple(CartItem(number, f"SKU-{number}", "SKU", Decimal(1), "unit") for number in range(1, 1001))
    answer = {
        "shoppingTripId": "trip-1",
        "currency": "USD",
        "lines": [
            {
                "line": item.line_number, "sku": item.item_id, "soldBy": "unit", "listPrice": "0.10",
                "listAmount": "0.10", "tax": {"amount": "0.01", "rate": "0.08", "included": False}, "total": "0.11",
            }
            for item in items
        ],
        "total": "110.00",
    }  # fmt: skip
    priced = read_answer(json.dumps(answer).encode(), cart(*items), "USD")
    assert isinstance(priced, PricedCart)
    assert str(priced.total) == "110.00 USD"
