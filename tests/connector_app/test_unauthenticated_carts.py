"""A cart whose caller did not prove who they are is answered 403 and kept, so many of them and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.db.engine import engine
from backroom.errors import BackroomError
from backroom.purchases.refused_spool import collect_spool
from backroom.purchases.unauthenticated import Bounds, not_kept
from backroom.settings import Settings
from connector_app.amazon import create_app
from tests.connector_app.conftest import NOW, cart_body, gate_body, line

ORDER = "/v1/order/purchases"
MOST = 5
WRONG_ARN = {"X-Backroom-Gateway-Secret": "gateway-secret", "X-Caller-Arn": "arn:aws:iam::1:role/Renamed"}
NOT_ON_THE_LIST = "authentication: the caller is not on this path's list"
NOT_THROUGH = "authentication: the call did not come through the gateway"

Rows = Callable[[str], list[Any]]


@pytest.fixture
def rows(retailer: Engine) -> Rows:
    """A query's rows, over empty tables of refused carts."""
    with retailer.begin() as connection:
        for table in ("refused_cart", "refused_call_count", "alert"):
            connection.execute(text(f"delete from {table}"))

    def ask(query: str) -> list[Any]:
        with retailer.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def connector(clock: Clock, **settings: Any) -> Flask:
    config = Settings(
        connector_auth="gateway", connector_gateway_secret=SecretStr("gateway-secret"),
        connector_identity_arns=["arn:aws:iam::1:role/Identity"],
        connector_ordering_arns=["arn:aws:iam::1:role/Ordering"], refused_unauthenticated_carts=MOST, **settings,
    )  # fmt: skip
    return create_app(config, clock)


def carts(number: int) -> list[bytes]:
    return [json.dumps(cart_body(line(), note="ö")).encode() for _ in range(number)]


def send(app: Flask, body: bytes, headers: dict[str, str] | None = None) -> int:
    return app.test_client().post(ORDER, data=body, headers=headers, content_type="application/json").status_code


def test_a_good_caller_under_a_wrong_arn_loses_no_cart_up_to_the_bound_whatever_strangers_send(rows: Rows) -> None:
    app, sent = connector(Clock()), carts(MOST)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda body: send(app, body), carts(40))) == {403}
        assert set(pool.map(lambda body: send(app, body, WRONG_ARN), sent)) == {403}
    kept = rows(f"select body, shopping_trip_id, status from refused_cart where reason = $${NOT_ON_THE_LIST}$$")
    assert sorted(bytes(body) for body, _, _ in kept) == sorted(sent)
    assert all(json.loads(body)["idempotentShoppingTripId"] == trip and status == 403 for body, trip, status in kept)
    assert rows(f"select count(*) from refused_cart where reason = '{NOT_THROUGH}'") == [(MOST,)]
    assert rows("select deduplication_key, severity from alert") == [("refused-cart:403:authentication", "critical")]


def test_a_flood_stays_bounded_and_every_call_beyond_is_counted(rows: Rows) -> None:
    clock = Clock()
    app = connector(clock)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda body: send(app, body), carts(60))) == {403}
    clock.now += timedelta(minutes=2)
    send(app, b"once more")
    assert rows("select count(*) from refused_cart") == [(MOST,)]
    assert rows("select hour, reason, calls from refused_call_count") == [
        (NOW.replace(minute=0, second=0), NOT_THROUGH, 61 - MOST)
    ]
    [(alerts, times)] = rows("select count(*), max(times) from alert")
    assert (alerts, times <= MOST + 2) == (1, True), "a flood does not write at every call"
    clock.now += timedelta(hours=1)
    send(app, b"in the next hour there is room again")
    assert rows("select count(*) from refused_cart") == [(MOST + 1,)]


def test_the_bodies_that_wait_have_a_bound_together(rows: Rows) -> None:
    app = connector(Clock(), refused_unauthenticated_bytes=1000)
    for size in (600, 600, 400, 1):
        send(app, b"x" * size)
    assert rows("select length(body) from refused_cart order by refused_id") == [(600,), (400,)]
    assert rows("select calls from refused_call_count") == [(2,)]


def test_while_the_database_is_away_they_wait_on_disk_and_leave_most_of_the_room(rows: Rows, tmp_path: Path) -> None:
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/none")
    app = connector(
        Clock(), database_url=nowhere, refused_spool=str(tmp_path), refused_spool_max_bytes=4000,
        connector_purchases_seconds=0.4,
    )  # fmt: skip
    sent = b"y" * 450
    assert [send(app, sent, WRONG_ARN) for _ in range(MOST)] == [403] * MOST
    assert sum(file.stat().st_size for file in tmp_path.glob("*.jsonl")) <= 1000
    assert collect_spool(engine(), tmp_path, now=NOW) == 1
    assert rows("select status, reason, length(body) from refused_cart") == [(403, NOT_ON_THE_LIST, 450)]


def test_other_calls_that_are_refused_leave_nothing(rows: Rows) -> None:
    app = connector(Clock())
    assert app.test_client().post("/v1/identity/identity-keys", json=gate_body()).status_code == 403
    assert rows("select * from refused_cart") == []


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(["carts"]), ["carts", "refused", *arguments])
    return (2, str(done.exception)) if isinstance(done.exception, BackroomError) else (done.exit_code, done.output)


def test_it_is_taken_only_where_a_person_says_how_they_know_it_to_be_amazons(rows: Rows) -> None:
    app, [body] = connector(Clock()), carts(1)
    trip = json.loads(body)["idempotentShoppingTripId"]
    send(app, body, WRONG_ARN)
    [(refused_id,)] = rows("select refused_id from refused_cart")
    code, said = run("retry", str(refused_id))
    assert (code, "did not prove who they are" in said, '--not-authenticated "how' in said) == (2, True, True)
    assert run("retry", str(refused_id), "--not-authenticated", "  ")[0] == 2
    assert rows(f"select count(*) from purchase where shopping_trip_id = '{trip}'") == [(0,)]
    code, said = run("retry", str(refused_id), "--not-authenticated", "the role was renamed", "--by", "kim")
    assert (code, said) == (0, f"refused cart {refused_id}: TAKEN, trip {trip} (PRICED)\n")
    assert rows(f"select actor, reason from audit_entry where subject = '{trip}'") == [
        ("kim", "TAKEN: PRICED; vouched for: the role was renamed")
    ]


def test_what_strangers_sent_is_dismissed_at_once_and_their_bodies_go(rows: Rows) -> None:
    app = connector(Clock())
    for body in carts(MOST + 2):
        send(app, body)
    with engine().connect() as connection:
        assert [not_kept(connection, since=NOW - timedelta(hours=age)) for age in (1, 0)] == [1, 0]
    assert run("dismiss", "--reason", "x")[0] == run("dismiss", "7", "--not-authenticated", "--reason", "x")[0] == 2
    assert run("dismiss", "--not-authenticated", "--reason", "a scanner", "--now", "2026-03-23T00:00Z") == (
        0, f"{MOST} refused carts: DISMISSED\n",
    )  # fmt: skip
    assert rows("select distinct outcome, length(body) from refused_cart") == [("DISMISSED", 0)]
    [(details, reason)] = rows("select details, reason from audit_entry where subject = 'refused carts with 403'")
    assert (details, reason) == ({"carts": MOST}, "a scanner")


def test_what_is_counted_is_told_at_most_once_a_minute_and_not_lost_where_it_could_not_be() -> None:
    bounds, hour = Bounds(0), NOW.replace(minute=0, second=0)
    assert [bounds.has_room("r", now=NOW) for _ in range(3)] == [False] * 3
    assert bounds.due_counts(now=NOW) == {(hour, "r"): 3}
    bounds.has_room("r", now=NOW)
    assert bounds.due_counts(now=NOW + timedelta(seconds=59)) == {}
    due = bounds.due_counts(now=NOW + timedelta(seconds=60))
    assert due == {(hour, "r"): 1}
    bounds.put_back(due)
    bounds.has_room("s", now=NOW + timedelta(hours=1))
    assert bounds.due_counts(now=NOW + timedelta(hours=1)) == {(hour, "r"): 1, (hour + timedelta(hours=1), "s"): 1}
