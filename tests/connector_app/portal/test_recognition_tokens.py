"""A scan key code for the retailer's app: who gets one, what it is, how many there may be."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.entry.issuing import KEPT_AFTER_EXPIRY, purge_expired_tokens
from backroom.entry.scan_code import parse_scan_code
from backroom.settings import Settings
from backroom.shoppers.registry import key_hash
from tests.connector_app.portal.conftest import NOW, App, app_over, bearer, portal_settings


def tokens(engine: Engine, shopper_id: str = "ana") -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text("select * from recognition_key where shopper_id = :id and kind = 'TOKEN'"), {"id": shopper_id}
            ).mappings()
        )


def test_the_app_gets_a_code_whose_token_is_kept_as_a_hash_until_it_expires(app: App, shop: Engine) -> None:
    answer = app.ask({"storeId": "STORE-001"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.get_json()
    assert said.keys() == {"scanKeyCode", "staleAt", "expiresAt", "refreshAfterSeconds"}
    code = parse_scan_code(said["scanKeyCode"].encode())
    assert code is not None
    assert (code.prefix, code.made_at, len(said["scanKeyCode"])) == ("IMAG", NOW, 39)
    assert datetime.fromisoformat(said["staleAt"]) == NOW + timedelta(seconds=60)
    assert said["refreshAfterSeconds"] == 30
    [kept] = tokens(shop)
    assert kept["key_hash"] == key_hash(code.token.encode())
    assert kept["expires_at"] == datetime.fromisoformat(said["expiresAt"]) == NOW + timedelta(minutes=10)
    assert code.token not in str(dict(kept))


def test_each_code_has_another_token(app: App) -> None:
    codes = {app.ask().get_json()["scanKeyCode"] for _ in range(5)}
    assert len({code[18:] for code in codes}) == 5


def test_the_custom_part_ends_the_code(app: App) -> None:
    code = app.ask({"customPart": "Lane7"}).get_json()["scanKeyCode"]
    assert code[39:] == "Lane7"
    assert parse_scan_code(code.encode()) is not None


def test_the_gate_admits_an_issued_code_until_it_is_stale(app: App, shop: Engine) -> None:
    from tests.connector_app.portal.gate import at_gate

    code = app.ask({"storeId": "STORE-001"}).get_json()["scanKeyCode"]
    assert at_gate(shop, code, NOW + timedelta(seconds=61)) == 401
    assert at_gate(shop, code, NOW + timedelta(seconds=55)) == 200
    assert at_gate(shop, code, NOW + timedelta(seconds=56)) == 401, "a code serves one event"


@pytest.mark.parametrize("shopper_id", ["flagged", "gone", "nobody", "debtor"])
def test_who_may_not_enter_gets_no_code_and_is_not_told_why(app: App, shop: Engine, shopper_id: str) -> None:
    answer = app.ask({"storeId": "STORE-001"}, shopper_id)
    assert (answer.status_code, answer.get_json()) == (403, {"errorMsg": "shopper: no code can be issued"})
    assert tokens(shop, shopper_id) == []


def test_an_outstanding_balance_matters_only_where_the_store_manages_its_own_risk(app: App, shop: Engine) -> None:
    assert app.ask({"storeId": "STORE-002"}, "debtor").status_code == 201
    assert app.ask({}, "debtor").status_code == 201, "one of our stores would let them in"
    with shop.begin() as connection:
        connection.execute(text("update store set balance_scope = 'THIS_STORE' where store_id = 'STORE-001'"))
    try:
        assert app.ask({"storeId": "STORE-001"}, "debtor").status_code == 201, "nothing is owed at this store"
    finally:
        with shop.begin() as connection:
            connection.execute(text("update store set balance_scope = 'ALL_STORES'"))


def test_associates_get_codes_too(app: App) -> None:
    assert app.ask({"storeId": "STORE-001"}, "kim").status_code == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"storeId": "STORE-009"}, "storeId: not a store of ours"),
        ({"storeId": "STORE-003"}, "storeId: not a store of ours"),
        ({"storeId": ""}, "storeId: "),
        ({"storeId": 1}, "storeId: "),
        ({"storeId": "S\u0000"}, "storeId: holds NUL"),
        ({"storeId": "x" * 256}, "storeId: "),
        ({"customPart": "with space"}, "customPart: "),
        ({"customPart": "a\n"}, "customPart: "),
        ({"customPart": "x" * 65}, "customPart: "),
        ({"customPart": 7}, "customPart: "),
        ([], "body: not a JSON object"),
    ],
)
def test_a_malformed_request_is_a_400_that_names_the_field(app: App, shop: Engine, body: Any, message: str) -> None:
    answer = app.ask(body)
    assert answer.status_code == 400
    assert answer.get_json()["errorMsg"].startswith(message)
    assert tokens(shop) == []


def test_unknown_attributes_are_let_through(app: App) -> None:
    assert app.ask({"appVersion": "7.1", "storeId": None}).status_code == 201


def test_beyond_the_limit_of_live_tokens_the_app_must_wait_until_one_expires(shop: Engine, app: App) -> None:
    app = app_over(
        portal_settings(recognition_tokens_live=4, recognition_token_minutes=2, scan_code_freshness_seconds=90)
    )
    for _ in range(4):
        assert app.ask().status_code == 201
        app.wait(seconds=10)
    refused = app.ask()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "80")
    assert app.ask({}, "bo").status_code == 201, "another shopper's tokens do not count"
    app.wait(seconds=80)
    assert app.ask().status_code == 201


def test_requests_at_once_do_not_slip_past_the_limit(shop: Engine, app: App) -> None:
    config = portal_settings(
        recognition_tokens_live=3, recognition_token_minutes=2, scan_code_freshness_seconds=90, db_pool_size=8
    )
    flask = app_over(config).client.application
    start = threading.Barrier(8)

    def call(_: int) -> int:
        start.wait()
        return flask.test_client().post(
            "/app/v1/recognition-tokens", json={}, headers={"Authorization": bearer()}
        ).status_code  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, range(8))) == [201] * 3 + [429] * 5
    assert len(tokens(shop)) == 3


def test_a_limit_that_one_open_screen_would_reach_is_refused_as_a_setting() -> None:
    with pytest.raises(ValueError, match="BACKROOM_RECOGNITION_TOKENS_LIVE is too low"):
        Settings(recognition_tokens_live=19, recognition_token_minutes=10, scan_code_freshness_seconds=60)


def test_what_expired_a_day_ago_is_deleted_and_nothing_else(app: App, shop: Engine) -> None:
    app.ask()
    app.wait(hours=1)
    app.ask()
    with shop.begin() as connection:
        connection.execute(
            text("insert into recognition_key (key_hash, shopper_id, kind) values ('badge', 'ana', 'OPAQUE'),"
                 " ('of-a-file', 'ana', 'TOKEN')")
        )  # fmt: skip
        first_end = NOW + timedelta(minutes=10)
        assert purge_expired_tokens(connection, now=first_end + KEPT_AFTER_EXPIRY - timedelta(seconds=1)) == 0
        assert purge_expired_tokens(connection, now=first_end + KEPT_AFTER_EXPIRY) == 1
        connection.execute(text("delete from recognition_key where key_hash = 'badge'"))
    assert len(tokens(shop)) == 2


@pytest.fixture
def as_role(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the app work as a role of the database."""
    from backroom.db.engine import make_engine
    from backroom.db.roles import set_password

    def become(role: str) -> None:
        set_password(shop, role, "for-the-test")
        other = make_engine(shop.url.set(username=role, password="for-the-test"))
        for module in ("backroom.db.engine", "connector_app.portal.health"):
            monkeypatch.setattr(f"{module}.engine", lambda: other)

    return become


def test_the_portals_role_may_do_what_its_pages_need_and_nothing_else(
    app: App, shop: Engine, as_role: Callable[[str], None]
) -> None:
    from sqlalchemy.exc import ProgrammingError

    from backroom.db import engine as database

    as_role("backroom_portal")
    assert app.ask({"storeId": "STORE-001"}).status_code == 201
    assert app.client.get("/readyz").status_code == 200
    for forbidden in (
        "update charge set captured = 0",
        "update purchase set total = 0",
        "delete from debt",
        "insert into charge_event (shopping_trip_id) values ('t')",
        "insert into shopper_contact (holder_kind) values ('CARD')",
        "update shopper_contact set address_index = ''",
        "select from ledger_posting",
        "select raw_body from gate_decision",
        "delete from recognition_key",
        "update recognition_key set expires_at = null",
        "update shopper set flagged = false",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), database.engine().begin() as connection:
            connection.execute(text(forbidden))


def test_without_its_database_the_portal_is_alive_not_ready_and_asks_to_try_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backroom.db.embedded import free_port
    from backroom.db.engine import make_engine

    gone = make_engine(f"postgresql+psycopg://x:y@127.0.0.1:{free_port()}/z")
    for module in ("backroom.db.engine", "connector_app.portal.health"):
        monkeypatch.setattr(f"{module}.engine", lambda: gone)
    assert app.client.get("/healthz").status_code == 200
    assert app.client.get("/readyz").status_code == 503
    assert app.ask().status_code == 503


def test_the_base64_of_a_code_fits_what_amazon_sends(app: App) -> None:
    code = app.ask({"customPart": "x" * 64}).get_json()["scanKeyCode"]
    assert len(base64.b64encode(code.encode())) <= 1000
