"""Beyond capacity: told so at once, those inside are answered, no cart is lost, and nothing of it is remembered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.purchases.refused_spool import collect_spool
from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.amazon.limits import AtCapacity, InFlight
from tests.connector_app.conftest import NOW, cart_body, changed, gate_body, line

GATE, ORDER = "/v1/identity/identity-keys", "/v1/order/purchases"
PLACES, WAITING = 2, 1
INSIDE = PLACES + WAITING


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def app(retailer: Engine, spool: Path) -> Flask:
    """A connector with room for three calls of each kind."""
    return crowded(spool)


def crowded(spool: Path, *, gate_seconds: float = 2, purchases_seconds: float = 15) -> Flask:
    return create_app(
        Settings(
            connector_auth="off",
            connector_gate_calls=PLACES,
            connector_purchases_calls=PLACES,
            connector_waiting=WAITING,
            connector_gate_seconds=gate_seconds,
            connector_purchases_seconds=purchases_seconds,
            refused_spool=str(spool),
        ),
        lambda: NOW,
    )


@contextmanager
def blocked(engine: Engine, table: str) -> Iterator[None]:
    """Nobody gets at the table meanwhile."""
    with engine.connect() as holder:
        holder.execute(text(f"lock table {table} in access exclusive mode"))
        yield
        holder.rollback()


class Calls:
    """Calls from threads of their own, each with when it was answered."""

    def __init__(self, app: Flask, number: int) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(number)
        self.sent: list[Future[TestResponse]] = []

    def send(self, path: str, body: Any) -> None:
        self.sent.append(self._pool.submit(lambda: self._app.test_client().post(path, json=body)))

    def answered(self, number: int) -> list[TestResponse]:
        """Waits until so many are; the others are still under way."""
        deadline = time.monotonic() + 20
        while sum(one.done() for one in self.sent) < number and time.monotonic() < deadline:
            time.sleep(0.005)
        done = [one.result() for one in self.sent if one.done()]
        assert len(done) == number
        return done

    def statuses(self) -> list[int]:
        return [one.result().status_code for one in self.sent]


def warm(app: Flask) -> None:
    """Both pools are connected and the shelf is filled."""
    assert app.test_client().post(GATE, json=gate_body()).status_code == 200
    assert app.test_client().post(ORDER, json=cart_body(line())).status_code == 201


def kept(engine: Engine, spool: Path, trip: str) -> list[int]:
    """The statuses with which that trip's cart was refused, each with an alert; taken in from the spool, too."""
    collect_spool(engine, spool, now=NOW)
    with engine.connect() as connection:
        rows = connection.execute(
            text("select refused_id, status, shopping_trip_id, body from refused_cart order by refused_id")
        ).all()
        ours = [row for row in rows if trip in (row.shopping_trip_id or "") or trip.encode() in bytes(row.body)]
        alerts = connection.scalar(text("select count(*) from alert"))
    assert not ours or alerts
    return [row.status for row in ours]


def test_the_gate_turns_away_what_is_beyond_and_answers_those_inside(app: Flask, retailer: Engine) -> None:
    warm(app)
    calls, bodies = Calls(app, 8), [gate_body() for _ in range(8)]
    with blocked(retailer, "gate_decision"):
        for body in bodies:
            calls.send(GATE, body)
        refused = calls.answered(8 - INSIDE)
        assert {(one.status_code, one.get_json()["errorMsg"]) for one in refused} == {
            (429, "service: at capacity, try again")
        }
    statuses = calls.statuses()
    assert sorted(statuses) == [200] * INSIDE + [429] * (8 - INSIDE)
    for body, status in zip(bodies, statuses, strict=True):  # nothing is remembered of a 429
        again = app.test_client().post(GATE, json=body)
        assert again.status_code == 200, status


def test_carts_beyond_capacity_are_answered_503_and_kept_and_then_taken(
    app: Flask, retailer: Engine, spool: Path
) -> None:
    warm(app)
    calls, bodies = Calls(app, 8), [cart_body(line()) for _ in range(8)]
    with blocked(retailer, "purchase"):
        for body in bodies:
            calls.send(ORDER, body)
        assert {one.status_code for one in calls.answered(8 - INSIDE)} == {503}
    statuses = calls.statuses()
    assert sorted(statuses) == [201] * INSIDE + [503] * (8 - INSIDE)
    for body, status in zip(bodies, statuses, strict=True):
        trip = body["idempotentShoppingTripId"]
        assert kept(retailer, spool, trip) == ([503] if status == 503 else [])
        again = app.test_client().post(ORDER, json=body)
        assert again.status_code == 201
        assert count(retailer, "charge", trip) == 1


def count(engine: Engine, table: str, trip: str) -> int:
    with engine.connect() as connection:
        return int(
            connection.scalar(text(f"select count(*) from {table} where shopping_trip_id = :trip"), {"trip": trip}) or 0
        )


@pytest.mark.parametrize(
    ("table", "rush", "rush_body", "path", "body", "status"),
    [
        ("purchase", ORDER, lambda: cart_body(line()), GATE, gate_body, 200),
        ("gate_decision", GATE, gate_body, ORDER, lambda: cart_body(line("HAM", "0.25", "kg")), 201),
    ],
)
def test_a_rush_of_one_kind_does_not_keep_the_other_from_answering(
    app: Flask, retailer: Engine, table: str, rush: str, rush_body: Callable[[], Any], path: str,
    body: Callable[[], Any], status: int,
) -> None:  # fmt: skip
    warm(app)
    calls = Calls(app, 12)
    with blocked(retailer, table):
        for _ in range(12):
            calls.send(rush, rush_body())
        calls.answered(12 - INSIDE)
        if path == GATE:  # carts ask the gate's table, but not the other way round
            assert [app.test_client().post(path, json=body()).status_code for _ in range(5)] == [status] * 5
    if path == ORDER:
        assert app.test_client().post(path, json=body()).status_code == status
    assert set(calls.statuses()) == ({201, 503} if rush == ORDER else {200, 429})


def test_carts_are_taken_while_all_of_the_gates_places_are_held(app: Flask, retailer: Engine) -> None:
    warm(app)
    gate: InFlight = app.config["ZONES"]["gate"].in_flight
    held = [threading.Thread(target=gate.enter) for _ in range(PLACES)]
    for thread in held:
        thread.start()
        thread.join()
    assert app.test_client().post(ORDER, json=cart_body(line())).status_code == 201
    assert app.test_client().post(GATE, json=gate_body()).status_code == 429  # after its patience
    for _ in held:
        gate.leave()
    assert app.test_client().post(GATE, json=gate_body()).status_code == 200


def test_a_database_that_is_stuck_is_not_remembered(retailer: Engine, spool: Path) -> None:
    app = crowded(spool, gate_seconds=0.3, purchases_seconds=0.3)
    warm(app)
    cart, event = cart_body(line()), gate_body()
    client = app.test_client()
    with blocked(retailer, "purchase"):
        assert client.post(ORDER, json=cart).status_code == 503
    with blocked(retailer, "gate_decision"):
        assert client.post(GATE, json=event).status_code == 500
    trip = cart["idempotentShoppingTripId"]
    assert kept(retailer, spool, trip) == [503]
    assert client.post(ORDER, json=cart).status_code == 201
    assert client.post(GATE, json=event).status_code == 200
    assert count(retailer, "charge", trip) == 1


@pytest.mark.parametrize(("zone", "path"), [("gate", GATE), ("purchases", ORDER)])
def test_the_waits_of_a_call_are_parts_of_its_one_time(retailer: Engine, spool: Path, zone: str, path: str) -> None:
    """A quarter for a place, a quarter for its turn, half for the database: together what the setting says."""
    app = crowded(spool, gate_seconds=1.2, purchases_seconds=1.2)
    warm(app)
    body = gate_body() if zone == "gate" else cart_body(line())
    places = app.config["ZONES"][zone].in_flight
    for _ in range(PLACES):
        places.enter()
    assert 0.3 <= timed(app, path, body) < 1.1, "the place"
    for _ in range(PLACES):
        places.leave()
    together = app.config["GATE" if zone == "gate" else "RECORDER"]._together
    together._led = True  # as while others' statement is under way
    assert 0.3 <= timed(app, path, body) < 1.1, "the turn"
    together._led = False
    with blocked(retailer, "gate_decision" if zone == "gate" else "purchase"):
        assert 0.6 <= timed(app, path, body) < 2.4, "the database"


def timed(app: Flask, path: str, body: Any) -> float:
    """Seconds until the call was turned away."""
    began = time.monotonic()
    assert app.test_client().post(path, json=body).status_code in (429, 500, 503)
    return time.monotonic() - began


def test_connections_that_are_lost_while_nobody_looks_cost_no_call(app: Flask, retailer: Engine) -> None:
    warm(app)
    with retailer.connect() as connection:
        killed = connection.scalars(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'backroom connector%' and datname = current_database()"
            )
        ).all()
    assert len(killed) >= 2
    assert app.test_client().post(ORDER, json=cart_body(line())).status_code == 201
    assert app.test_client().post(GATE, json=gate_body()).status_code == 200


TOO_LARGE = 20_000


@pytest.mark.parametrize(
    ("status", "change", "content_type"),
    [
        (400, ("cartItems.0.type", "?"), "application/json"),
        (400, ("storeId", "NOT-OURS"), "application/json"),
        (413, ("padding", "x" * TOO_LARGE), "application/json"),
        (415, ("requestId", "r"), "text/plain"),
    ],
)
@pytest.mark.parametrize("stuck", [False, True])
def test_every_cart_that_is_refused_is_kept_with_an_alert_and_may_come_again(
    retailer: Engine, spool: Path, status: int, change: tuple[str, str], content_type: str, stuck: bool
) -> None:
    app = create_app(
        Settings(
            connector_auth="off", connector_max_body_bytes=TOO_LARGE, connector_purchases_seconds=0.3,
            refused_spool=str(spool),
        ),
        lambda: NOW,
    )  # fmt: skip
    client, body = app.test_client(), cart_body(line())
    trip, before = body["idempotentShoppingTripId"], alerts(retailer)
    raw = json.dumps(changed(body, *change))

    def refused() -> int:
        return int(client.post(ORDER, data=raw, content_type=content_type).status_code)

    if stuck and change[0] != "storeId":  # whose a store is, only the database knows
        with blocked(retailer, "refused_cart"):
            assert refused() == status
        assert list(spool.glob("*.jsonl"))
    else:
        assert refused() == status
        assert not spool.exists()
    assert kept(retailer, spool, trip) == [status]
    assert alerts(retailer) == before + 1
    assert client.post(ORDER, json=body).status_code == 201


def alerts(engine: Engine) -> int:
    """Each time that one was raised."""
    with engine.connect() as connection:
        return int(connection.scalar(text("select sum(times) from alert")) or 0)


def test_places_are_given_back_and_the_line_is_as_long_as_it_says() -> None:
    line_of = InFlight(2, waiting=1, patience_seconds=0.05)
    for _ in range(3):
        line_of.enter()
        line_of.enter()
        with ThreadPoolExecutor(1) as pool:
            third = pool.submit(line_of.enter)  # waits, and gives up
            time.sleep(0.01)
            began = time.perf_counter()
            with pytest.raises(AtCapacity):  # beyond the line: at once
                line_of.enter()
            assert time.perf_counter() - began < 0.04 or third.done()
            with pytest.raises(AtCapacity):
                third.result()
        line_of.leave()
        line_of.leave()
    with pytest.raises(RuntimeError), line_of.place():
        raise RuntimeError
    line_of.enter()
    line_of.enter()
