"""The control API: loading, the clock, calling again, events; and what a restart keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from backroom.db.embedded import free_port
from jwo_sandbox import instants
from tests.jwo_sandbox.conftest import Amazon, Retailer, messages, play_world
from tests.sandbox_fixtures import SandboxClient, wait_until_healthy


@pytest.fixture
def loaded(sandbox: SandboxClient, fileless_world: Path) -> dict[str, Any]:
    """The small world, at the beginning of its day."""
    answer: dict[str, Any] = sandbox.post("/sandbox/load", {"world": str(fileless_world), "seed": 7})
    return answer


def test_loading_starts_the_day_and_says_what_is_in_it(loaded: dict[str, Any]) -> None:
    assert loaded == {"trips": 60, "stores": ["STORE-001", "STORE-002"], "clock": "2026-11-23T05:00:00Z"}


def test_the_clock_goes_forward_only(sandbox: SandboxClient, loaded: dict[str, Any]) -> None:
    assert sandbox.get("/sandbox/clock") == {"now": loaded["clock"], "running": False}
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T06:00:00Z"})
    with pytest.raises(AssertionError, match="forward"):
        sandbox.post("/sandbox/clock", {"now": "2026-11-23T05:59:59Z"})
    for wrong in ({}, {"now": "yesterday"}, {"now": "2026-11-23T06:00:00"}):
        with pytest.raises(AssertionError, match="400"):
            sandbox.post("/sandbox/clock", wrong)


def test_a_running_clock_moves_by_itself(sandbox: SandboxClient, loaded: dict[str, Any]) -> None:
    assert loaded
    assert sandbox.post("/sandbox/clock", {"now": "2026-11-23T05:00:01Z", "running": True})["running"]
    assert instants.parse(sandbox.get("/sandbox/clock")["now"]) > instants.parse("2026-11-23T05:00:01Z")


def test_a_world_that_is_not_there_changes_nothing(
    sandbox: SandboxClient, loaded: dict[str, Any], tmp_path: Path
) -> None:
    assert loaded
    before = sandbox.get("/sandbox/progress")
    with pytest.raises(AssertionError, match="can't be loaded"):
        sandbox.post("/sandbox/load", {"world": str(tmp_path), "seed": 1})
    assert sandbox.get("/sandbox/progress") == before


def test_a_connector_that_is_down_for_a_moment_is_called_again(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer
) -> None:
    play_world(sandbox, fileless_world, retailer, until="2026-11-23T05:00:00Z")
    retailer.answers += [503, 500, 429]
    sandbox.post("/sandbox/advance", {"until": "2026-11-24T00:00:00Z"})
    assert retailer.answers == []
    trips = sandbox.get("/sandbox/books")["trips"]
    assert {answer for trip in trips for answer in trip["purchase_answers"]} == {201}
    assert len(trips) == len({call["idempotentShoppingTripId"] for call in retailer.purchases})


def test_a_cart_that_could_not_be_delivered_is_delivered_by_the_next_advance(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer
) -> None:
    play_world(sandbox, fileless_world, retailer, until="2026-11-23T05:00:00Z")
    retailer.answers += [503] * 8
    first = sandbox.post("/sandbox/advance", {"until": "2026-11-23T06:00:00Z"})
    assert first["played"]["answered_503"] == 8
    sandbox.post("/sandbox/advance", {"until": "2026-11-24T12:00:00Z"})
    assert sandbox.get("/sandbox/progress")["trips_done"] == 60


def test_a_live_trip_stays_in_the_store(sandbox: SandboxClient, fileless_world: Path, retailer: Retailer) -> None:
    play_world(sandbox, fileless_world, retailer, until="2026-11-23T05:00:00Z")
    trip_id = sandbox.post("/sandbox/trips", {"store_id": "STORE-002"})["shoppingTripId"]
    sandbox.post("/sandbox/advance", {"until": "2026-11-23T12:00:00Z"})
    kept = {trip["shopping_trip_id"]: trip for trip in sandbox.get("/sandbox/books")["trips"]}
    assert (kept[trip_id]["kind"], kept[trip_id]["stage"]) == ("LIVE", "IN_STORE")
    with pytest.raises(AssertionError, match="STORE-009"):
        sandbox.post("/sandbox/trips", {"store_id": "STORE-009"})


def test_events_come_only_from_stores_that_use_them_and_may_come_twice(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer, aws_endpoint: str, amazon: Amazon
) -> None:
    messages(aws_endpoint, "backroom-events")
    rates = {"event": {"DELIVERED_TWICE": 1.0}, "settlement": {"DECLINED": 1.0}}
    play_world(sandbox, fileless_world, retailer, faults={"rates": rates})
    trips = [trip for trip in sandbox.get("/sandbox/books")["trips"] if trip["store_id"] == "STORE-001"]
    trip = next(trip for trip in trips if Decimal(trip["total"] or 0) > 0)
    amount = {"amount": Decimal(trip["total"]), "code": "USD"}
    body = {"storeId": "STORE-001", "shoppingTripId": trip["shopping_trip_id"], "amount": amount}
    for path in ("/v1/adjust/charge", "/v1/capture/charge"):
        assert amazon.call(path, body).status_code == 200
    sandbox.post("/sandbox/clock", {"now": "2026-11-24T12:20:00Z"})
    events = messages(aws_endpoint, "backroom-events")
    assert {event["detail"]["storeId"] for event in events} == {"STORE-001"}
    assert set(Counter(event["id"] for event in events).values()) == {2}
    payments = [event for event in events if event["detail-type"] == "PAYMENT"]
    by_subtype = {event["detail"]["subtype"]: event for event in payments}
    assert by_subtype.keys() == {"AuthorizationApproved", "CaptureDeclined"}
    declined = by_subtype["CaptureDeclined"]
    assert declined["time"] == "2026-11-24T12:20:00Z"
    assert declined["detail"]["shoppingTripId"] == trip["shopping_trip_id"]
    carts = {event["detail"]["shoppingTripId"] for event in events if event["detail-type"] == "CART"}
    assert carts == {trip["shopping_trip_id"] for trip in trips}


def test_a_restart_keeps_clock_books_and_plan(
    fileless_world: Path, aws_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("BACKROOM_SANDBOX_PORT", str(port))
    monkeypatch.setenv("BACKROOM_SANDBOX_AUTH", "off")
    monkeypatch.setenv("JWO_SANDBOX_STATE", str(tmp_path / "state"))
    client, seen = SandboxClient(f"http://127.0.0.1:{port}", 0), []
    for run in (1, 2):
        process = subprocess.Popen([sys.executable, "-m", "jwo_sandbox", "serve"], env=os.environ.copy())
        try:
            wait_until_healthy(client.url, process)
            if run == 1:
                plan = {"rates": {"adjust": {"DECLINED": 1.0}}}
                client.post("/sandbox/load", {"world": str(fileless_world), "seed": 7, "faults": plan})
                client.post("/sandbox/clock", {"now": "2026-11-23T09:00:00Z"})
                trip_id = client.post("/sandbox/trips", {"store_id": "STORE-001"})["shoppingTripId"]
            body = f'{{"storeId":"STORE-001","shoppingTripId":"{trip_id}","amount":{{"amount":10.00,"code":"USD"}}}}'
            status = httpx.post(f"{client.url}/v1/adjust/charge", content=body).json()["status"]
            seen.append((status, client.get("/sandbox/clock"), len(client.get("/sandbox/books")["trips"])))
        finally:
            process.kill() if run == 1 else process.terminate()
            process.wait(10)
    assert seen[0] == seen[1] == ("DECLINED", {"now": "2026-11-23T09:00:00Z", "running": False}, 1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BACKROOM_SANDBOX_PORT", "port", "BACKROOM_SANDBOX_PORT"),
        ("BACKROOM_SANDBOX_AUTH", "maybe", "BACKROOM_SANDBOX_AUTH"),
        ("BACKROOM_AMAZON_SECRET_ACCESS_KEY", "", "BACKROOM_AMAZON_SECRET_ACCESS_KEY"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str, said: str) -> None:
    ended = _run("serve", {"BACKROOM_SANDBOX_PORT": str(free_port()), name: value})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(("command", "setting"), [("serve", "BACKROOM_SANDBOX_PORT"), ("aws", "BACKROOM_AWS_PORT")])
def test_a_port_that_is_taken_is_one_line(sandbox: SandboxClient, command: str, setting: str) -> None:
    taken = sandbox.url.rsplit(":", 1)[1]
    ended = _run(command, {setting: taken})
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert f"port {taken} is taken" in ended.stderr


def test_health_is_told(sandbox: SandboxClient) -> None:
    assert httpx.get(f"{sandbox.url}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{sandbox.url}/readyz").status_code == 200


def _run(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jwo_sandbox", command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
