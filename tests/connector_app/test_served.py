"""The connector as it is served: processes, parallel copies, a start that fails in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from backroom.db.embedded import free_port
from backroom.inventory.levels import levels
from backroom.inventory.movements import deliver
from backroom.settings import Settings
from connector_app.amazon import create_app
from tests.conftest import forget_configuration
from tests.connector_app.conftest import (
    NOW,
    SECRET,
    LiveConnector,
    cart_body,
    changed,
    gate_body,
    line,
    new_uuid,
    scan_code,
    signed_headers,
)


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    start = threading.Barrier(number)

    def run(which: int) -> Any:
        start.wait()
        return call(which)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def count(engine: Engine, query: str, **values: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(query), values).scalar_one())


def test_twenty_copies_of_a_cart_have_one_effect(live: LiveConnector, retailer: Engine) -> None:
    body = cart_body(line(), line("SOAP"))
    answers = at_once(20, lambda _: live.post("/v1/order/purchases", {**body, "requestId": new_uuid()}))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    trip = body["idempotentShoppingTripId"]
    assert count(retailer, "select count(*) from purchase_line where shopping_trip_id = :trip", trip=trip) == 2
    assert count(retailer, "select count(*) from charge_event where shopping_trip_id = :trip", trip=trip) == 1


def test_a_hundred_copies_of_a_cart_at_once_have_one_effect_and_a_hundred_equal_answers(
    live: LiveConnector, retailer: Engine
) -> None:
    body = cart_body(line(), line("SOAP"))
    answers = at_once(100, lambda _: again(live, "/v1/order/purchases", body))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert effects(retailer, body["idempotentShoppingTripId"]) == (1, 2, 1, 1, 2, 0)


@pytest.mark.parametrize(("age", "key", "status"), [(9, None, 200), (0, "nobody at all", 401)])
def test_a_hundred_copies_of_a_gate_event_at_once_get_one_answer(
    live: LiveConnector, retailer: Engine, age: int, key: str | None, status: int
) -> None:
    body = gate_body(key or scan_code(age=age))
    answers = at_once(100, lambda _: again(live, "/v1/identity/identity-keys", body))
    assert {(answer.status_code, answer.content) for answer in answers} == {(status, answers[0].content)}
    event = body["authEvent"]["id"]
    assert count(retailer, "select count(*) from gate_decision where auth_event_id = :event", event=event) == 1
    used = count(retailer, "select count(*) from scan_code_use where auth_event_id = :event", event=event)
    assert used == (1 if status == 200 else 0)


def test_copies_across_a_restart_of_the_server_have_one_effect(
    live: LiveConnector, served: Callable[[], AbstractContextManager[LiveConnector]], retailer: Engine
) -> None:
    """Another server over the same database is what a restart leaves."""
    cart, event = cart_body(line(), line("SOAP")), gate_body(scan_code(age=11))
    calls = [("/v1/order/purchases", cart), ("/v1/identity/identity-keys", event)] * 10
    found: list[dict[str, set[tuple[int, bytes]]]] = []
    for server_of in (lambda: nullcontext(live), served):
        with server_of() as server:
            answers = at_once(len(calls), lambda which, server=server: again(server, *calls[which]))
        found.append({path: set() for path, _ in calls})
        for (path, _), answer in zip(calls, answers, strict=True):
            found[-1][path].add((answer.status_code, answer.content))
    assert found[0] == found[1]
    assert {path: [status for status, _ in one] for path, one in found[0].items()} == {
        "/v1/order/purchases": [201], "/v1/identity/identity-keys": [200],
    }  # fmt: skip
    assert effects(retailer, cart["idempotentShoppingTripId"]) == (1, 2, 1, 1, 2, 0)


def test_a_first_answer_that_nobody_reads_is_given_to_the_repeat(live: LiveConnector, retailer: Engine) -> None:
    cart, event = cart_body(line()), gate_body(scan_code(age=13))
    for path, body, table, key in (
        ("/v1/order/purchases", cart, "purchase", ("shopping_trip_id", cart["idempotentShoppingTripId"])),
        ("/v1/identity/identity-keys", event, "gate_decision", ("auth_event_id", event["authEvent"]["id"])),
    ):
        query = f"select count(*) from {table} where {key[0]} = :id"
        deadline = time.monotonic() + 20
        with sent(live, path, body):  # and hung up without a byte of the answer read
            while not count(retailer, query, id=key[1]):
                assert time.monotonic() < deadline, "the call had no effect"
                time.sleep(0.02)
        repeats = [live.post(path, body) for _ in range(2)]
        with retailer.connect() as connection:
            kept = connection.execute(
                text(f"select response_body from {table} where {key[0]} = :id"), {"id": key[1]}
            ).scalars().all()  # fmt: skip
        assert [(one.status_code, one.content) for one in repeats] == [
            (201 if table == "purchase" else 200, bytes(kept[0]))
        ] * 2
    assert effects(retailer, cart["idempotentShoppingTripId"]) == (1, 1, 1, 1, 1, 0)


def effects(engine: Engine, trip: str) -> tuple[int, ...]:
    """Purchases, lines, charges, charge events, stock movements, questions."""
    tables = ("purchase", "purchase_line", "charge", "charge_event")
    return (
        *(count(engine, f"select count(*) from {name} where shopping_trip_id = :trip", trip=trip) for name in tables),
        count(engine, "select count(*) from stock_moved where source = :trip", trip=trip),
        count(engine, "select count(*) from review_case where subject = :trip", trip=trip),
    )


def again(server: LiveConnector, path: str, body: dict[str, Any]) -> httpx.Response:
    """As a caller that is told to try again does."""
    while True:
        answer = server.post(path, body)
        if answer.status_code not in (429, 503):
            return answer
        time.sleep(0.1)


@contextmanager
def sent(live: LiveConnector, path: str, body: dict[str, Any]) -> Iterator[None]:
    """The whole call over a connection that is closed at the end."""
    raw = json.dumps(body).encode()
    headers = {**signed_headers("POST", live.url + path, raw), "Content-Length": str(len(raw))}
    host, port = live.url.removeprefix("http://").split(":")
    headers["Host"] = f"{host}:{port}"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((host, int(port))) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)
        yield


def test_of_different_carts_at_once_one_stands_and_the_others_get_its_answer(
    live: LiveConnector, retailer: Engine
) -> None:
    body = cart_body(line())
    answers = at_once(
        8, lambda which: live.post("/v1/order/purchases", {**body, "cartItems": [line("MILK", str(which + 1))]})
    )
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    trip = body["idempotentShoppingTripId"]
    assert count(retailer, "select count(*) from purchase_line where shopping_trip_id = :trip", trip=trip) == 1
    assert count(retailer, "select count(*) from review_case where subject = :trip", trip=trip) == 1


@pytest.mark.parametrize(("key", "status"), [(scan_code(), 200), ("nobody", 401)])
def test_twenty_copies_of_a_gate_event_get_one_answer(
    live: LiveConnector, retailer: Engine, key: str, status: int
) -> None:
    body = gate_body(key)
    answers = at_once(20, lambda _: live.post("/v1/identity/identity-keys", body))
    assert {(answer.status_code, answer.content) for answer in answers} == {(status, answers[0].content)}


def test_many_trips_at_once_are_all_recorded(live: LiveConnector, retailer: Engine) -> None:
    before = count(retailer, "select count(*) from charge")
    with httpx.Client() as client:
        answers = at_once(16, lambda _: [live.post("/v1/order/purchases", cart_body(line()), client) for _ in range(5)])
    assert {answer.status_code for several in answers for answer in several} == {201}
    assert count(retailer, "select count(*) from charge") == before + 80


def test_an_answer_is_the_same_after_a_restart(live: LiveConnector, retailer: Engine) -> None:
    """Another process over the same database is what a restart leaves."""
    body = cart_body(line())
    first = live.post("/v1/order/purchases", body)
    other = create_app(Settings(connector_auth="off"), lambda: NOW).test_client()
    assert other.post("/v1/order/purchases", json=body).data == first.content


def test_a_body_in_chunks_without_a_length_is_read(live: LiveConnector) -> None:
    url = f"{live.url}/v1/order/purchases"
    raw = json.dumps(cart_body(line())).encode()
    headers = signed_headers("POST", url, raw)
    headers.pop("Content-Length", None)
    answer = httpx.post(url, content=iter([raw[:50], raw[50:]]), headers=headers)
    assert answer.status_code == 201


def test_the_log_is_json_and_holds_no_secret(live: LiveConnector) -> None:
    body = gate_body(scan_code(age=3))
    live.post("/v1/identity/identity-keys", body)
    cart = cart_body(line())
    live.post("/v1/order/purchases", changed(cart, "cartItems.0.type", "?"))
    live.post("/v1/order/purchases", cart)
    time.sleep(0.2)
    written = live.log.read_text()
    calls = [json.loads(entry) for entry in written.splitlines()]
    logged = next(entry for entry in calls if entry.get("trip_id") == cart["idempotentShoppingTripId"])
    assert (logged["status"], logged["request_id"], logged["outcome"]) == (201, cart["requestId"], "PRICED")
    assert logged["seconds"] > 0
    for secret in (SECRET, body["identityKey"], scan_code(age=3), "Signature="):
        assert secret not in written


def start(**environment: str) -> tuple[int, str]:
    """How a start ends: exit status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "connector_app.amazon"],
        env={**os.environ, "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY": SECRET, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


def start_here(patch: pytest.MonkeyPatch, said: pytest.CaptureFixture[str], **environment: str) -> tuple[int, str]:
    """As `start`, in this process: most of a start is the import of what it is made of."""
    from connector_app.amazon.__main__ import main

    with patch.context() as here:
        here.setenv("BACKROOM_CONNECTOR_SECRET_ACCESS_KEY", SECRET)
        here.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # is set by the start, and put back here
        for name, value in environment.items():
            here.setenv(name, value)
        forget_configuration()
        said.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
    forget_configuration()
    return int(str(ended.value.code)), said.readouterr().err


def test_a_wrong_set_up_ends_the_process_with_one_line(retailer: Engine) -> None:
    code, said = start(BACKROOM_DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/x")
    assert (code, said.count("\n"), "no database at" in said, "s3cret" in said) == (2, 1, True, False)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"BACKROOM_CONNECTOR_PORT": "many"}, "BACKROOM_CONNECTOR_PORT"),
        ({"BACKROOM_CONNECTOR_AUTH": "off", "BACKROOM_ENV": "production"}, "development only"),
        ({"BACKROOM_CONNECTOR_AUTH": "gateway"}, "BACKROOM_CONNECTOR_GATEWAY_SECRET"),
    ],
)
def test_a_wrong_set_up_is_one_line(
    retailer: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    environment: dict[str, str], complaint: str,
) -> None:  # fmt: skip
    code, said = start_here(monkeypatch, capsys, **environment)
    assert code == 2
    assert complaint in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(
    retailer: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, said = start_here(monkeypatch, capsys, BACKROOM_CONNECTOR_PORT=str(port))
    assert code == 2
    assert f"port {port} for the connector is taken" in said
    assert said.count("\n") == 1


def test_without_its_database_it_is_alive_but_not_ready_and_asks_to_try_again(
    retailer: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from backroom.db.engine import make_engine

    nowhere = f"postgresql+psycopg://x:y@127.0.0.1:{free_port()}/z"
    monkeypatch.setattr("connector_app.amazon.health.engine", lambda: make_engine(nowhere))
    config = Settings(connector_auth="off", database_url=nowhere, refused_spool=str(tmp_path))
    client = create_app(config, lambda: NOW).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.post("/v1/order/purchases", json=cart_body(line())).status_code == 503
    assert client.post("/v1/identity/identity-keys", json=gate_body()).status_code == 500
    assert client.post("/v1/order/purchases", json={}).status_code == 400  # nothing that the database could change
    spooled = [entry for file in tmp_path.glob("*.jsonl") for entry in file.read_text().splitlines()]
    assert [json.loads(entry)["status"] for entry in spooled] == [503, 400]


def test_a_schema_that_is_behind_is_not_ready(retailer: Engine) -> None:
    client = create_app(Settings(connector_auth="off"), lambda: NOW).test_client()
    with retailer.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '0001'"))
    try:
        answer = client.get("/readyz")
    finally:
        with retailer.begin() as connection:
            connection.execute(text("update alembic_version set version_num = '0003'"))
    assert answer.status_code == 503
    assert "revision 0001" in answer.get_json()["errorMsg"]


def test_two_shoppers_who_take_the_last_item_at_once_are_both_recorded_and_the_stock_shows_it(
    live: LiveConnector, retailer: Engine
) -> None:
    with retailer.begin() as connection:
        before = sum(level.quantity for level in levels(connection, store_id="STORE-001", item_sku="SOAP"))
        deliver(
            connection, source=f"note {new_uuid()}", store_id="STORE-001", item_sku="SOAP", quantity=1 - before,
            unit="unit", happened_at=NOW, now=NOW,
        )  # fmt: skip
    answers = at_once(2, lambda _: live.post("/v1/order/purchases", cart_body(line("SOAP", "1.0"))))
    assert [answer.status_code for answer in answers] == [201, 201]
    with retailer.connect() as connection:
        (level,) = levels(connection, store_id="STORE-001", item_sku="SOAP")
    assert level.quantity == -1
