"""A retailer in which something of each kind waits for a person, its staff, and browsers without a screen."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.alerts import raise_alert
from backroom.charges.opening import open_charge
from backroom.debts.opening import keep_in_step
from backroom.purchases.refusals import keep_refused_cart
from backroom.reconciliation import report
from backroom.refunds.parking import ask_approval
from backroom.reviews.cases import open_case
from backroom.staff import members
from connector_app.console import create_app
from tests.connector_app.conftest import cart_body, line
from tests.purchases.bad_cart_world import LATER, STARTED, Shop
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books, open_store

NOW = LATER
PASSWORD = "a long enough one"
STAFF = {"fay": ["finance"], "olga": ["operations"], "sam": ["support"], "ann": ["finance", "support"]}


@dataclass
class World:
    """`engine` is the owner's; the app connects as its own role."""

    engine: Engine
    shop: Shop
    trips: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def one(self, query: str, **values: Any) -> Any:
        [(value,)] = self.rows(query, **values)
        return value


class _FirstStore(Shop):
    """The same shop under a name as the retailer's stores have."""

    def __init__(self, engine: Engine, _: str) -> None:
        super().__init__(engine, "STORE-001")


def furnish(engine: Engine, folder: Path) -> World:
    """Staff, and for each kind of work something that waits."""
    shop = _FirstStore.opened(engine)
    world = World(engine, shop)
    with engine.begin() as connection:
        for name, roles in STAFF.items():
            members.add(connection, name, roles, PASSWORD, by="setup", reason="for tests", now=STARTED)
        connection.execute(
            text(
                "update catalog_run set items_read = 5, items_rejected = 1,"
                " started_at = '2026-03-22T05:00Z', finished_at = '2026-03-22T05:02Z'"
            )
        )
        connection.execute(
            text(
                "insert into catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw)"
                " select max(run_id), 'catalog.csv', 7, :store, 'TEA', 'name', 'is empty', '{}' from catalog_run"
            ),
            {"store": shop.store_id},
        )
        connection.execute(
            text(
                "with file as (insert into feed_file (bucket, key, version, announced_at, store_id, window_end, state,"
                " received_at, rows_read, rows_applied, rows_quarantined, copy_key)"
                " values ('b', 'm/orders.csv', '1', :at,"
                " :store, :at, 'INGESTED', :at, 2, 1, 1, 'copies/orders.csv') returning file_id)"
                " insert into feed_quarantine (file_id, line, column_name, reason, raw)"
                " select file_id, 2, 'total', 'not a number', '{\"total\": \"<b>12,x</b>\"}' from file"
            ),
            {"store": shop.store_id, "at": STARTED},
        )
        connection.execute(
            text(
                "with batch as (insert into catalog_batch (run_id, kind, state, store_id, item_count, intended_at)"
                " select max(run_id), 'UPLOAD', 'DONE', :store, 1, :at from catalog_run returning batch_id)"
                " insert into catalog_refusal (store_id, item_sku, content_hash, kind, batch_id, error_code,"
                " error_message, refused_at) select :store, 'COLA', 'h', 'UPLOAD', batch_id, 'E1', 'no such unit', :at"
                " from batch"
            ),
            {"store": shop.store_id, "at": STARTED},
        )
        keep_refused_cart(
            connection, status=400, reason="requestId: required", now=STARTED,
            body=json.dumps(cart_body(line("MILK"), line("SOAP", "2"), storeId=shop.store_id)).encode(),
        )  # fmt: skip
        raise_alert(
            connection, key="a", severity="warning", title="STORE-001: a charge waits for a person (UNKNOWN_CAPTURE)",
            what_to_do="`backroom review list` shows the open cases",
            now=NOW - timedelta(minutes=5), store_id=shop.store_id,
        )  # fmt: skip
    world.ids["refused"] = world.one("select max(refused_id) from refused_cart")
    world.trips["bad"] = shop.cart(("MILK", "1"), ("STRANGE", "2"))
    world.ids["bad"] = world.one("select max(case_id) from review_case where subject = :trip", trip=world.trips["bad"])
    _owe(world, "debt", "18.40")
    world.ids["parked"] = _park(world)
    _bend_a_day(world, folder)
    _bring_files(world)
    world.trips["captured"] = _captured(world)
    world.ids["refund"] = _ask_for_a_refund(world, by="sam")
    world.ids["own_refund"] = _ask_for_a_refund(world, by="Fay")
    return world


def _sell(world: World, name: str, total: str) -> str:
    """A priced trip with a charge that is due."""
    trip = world.shop.cart(("MILK", "1"))
    world.shop.do("delete from charge_event where shopping_trip_id = :trip", trip=trip)
    world.shop.do("delete from charge where shopping_trip_id = :trip", trip=trip)
    with world.engine.begin() as connection:
        open_charge(
            connection, shopping_trip_id=trip, store_id=world.shop.store_id, currency="USD", total=Decimal(total),
            trip_started_at=STARTED, now=STARTED, reason="a cart",
        )  # fmt: skip
    world.trips[name] = trip
    return trip


def _owe(world: World, name: str, owed: str) -> None:
    trip = _sell(world, name, owed)
    world.shop.do("update charge set state = 'IN_DEBT', next_attempt_at = null where shopping_trip_id = :t", t=trip)
    with world.engine.begin() as connection:
        keep_in_step(
            connection, shopping_trip_id=trip, store_id=world.shop.store_id, currency="USD", owed=Decimal(owed),
            captured=Decimal(0), cause="CAPTURE_DECLINED", now=STARTED,
        )  # fmt: skip


def _park(world: World) -> int:
    trip = _sell(world, "parked", "7.20")
    world.shop.do("update charge set state = 'PARKED', next_attempt_at = null where shopping_trip_id = :t", t=trip)
    with world.engine.begin() as connection:
        made = open_case(
            connection, kind="UNKNOWN_CAPTURE", subject=trip, store_id=world.shop.store_id, asked_by="charges",
            question="Was the money of this trip taken?", known={"total": "7.20", "currency": "USD"},
            choices=[("captured", "the capture counts as final"), ("not_captured", "it is asked for once more")],
            now=STARTED, due_at=STARTED + timedelta(hours=1),
        )  # fmt: skip
    assert made is not None
    return made


def _bend_a_day(world: World, folder: Path) -> None:
    """A reconciled day with a report and three breaks."""
    with world.engine.begin() as connection:
        books = Books(connection, "STORE-002")
        open_store(books)
        for captured in ("9.00", "7.50", "8.60"):
            books.trip()
            books.change("amazon_order", books.trips[-1], captured=Decimal(captured))
        books.trip()
        run = books.reconcile(now=NEXT_MORNING)
        report.write(connection, run_id=run.run_id, folder=folder)
        world.ids["run"] = run.run_id
        world.trips["broken"] = books.trips[0]
    found = world.rows("select break_id from reconciliation_break order by break_id")
    for name, (break_id,) in zip(("break", "second_break", "third_break"), found, strict=False):
        world.ids[name] = break_id


def _bring_files(world: World) -> None:
    """Every window of five days but two of one store; and names for both stores."""
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "insert into feed_file (bucket, key, version, announced_at, store_id, window_end, state, received_at)"
                " select 'b', 'm/' || store_id || window_end, '1', window_end, store_id, window_end, 'INGESTED',"
                " window_end from store, generate_series(timestamptz '2026-03-18Z', timestamptz '2026-03-22T18:45Z',"
                " interval '15 minutes') window_end where store_id = 'STORE-002' or window_end not in"
                " ('2026-03-21T16:15Z', '2026-03-21T16:30Z')"
            )
        )
        connection.execute(
            text("update store set name = case store_id when 'STORE-001' then 'Riverside' else 'Airport' end")
        )


def _captured(world: World) -> str:
    trip = world.shop.cart(("SOAP", "1"))
    world.shop.do(
        "update charge set state = 'CAPTURED', captured = total, authorized = total, next_attempt_at = null"
        " where shopping_trip_id = :t", t=trip,
    )  # fmt: skip
    return trip


def _ask_for_a_refund(world: World, *, by: str) -> int:
    trip = _captured(world)
    world.trips[f"refund of {by}"] = trip
    with world.engine.begin() as connection:
        request = int(
            connection.execute(
                text(
                    "insert into refund_request (asked_key, shopping_trip_id, store_id, currency, amount, reason, note,"
                    " requested_by, requested_at, needs_approval, goods_returned, state)"
                    " values ('ask ' || cast(:trip as text), :trip, :store, 'USD', 3, 'DAMAGED_ITEM',"
                    " 'the bottle was broken', :by, :at, true, true, 'AWAITING_APPROVAL')"
                    " returning request_id"
                ),
                {"trip": trip, "store": world.shop.store_id, "by": by, "at": NOW - timedelta(hours=1)},
            ).scalar_one()
        )
        connection.execute(
            text("insert into refund_request_line (request_id, line_number, quantity, amount) values (:id, 1, 1, 3)"),
            {"id": request},
        )
        row = connection.execute(text("select * from refund_request where request_id = :id"), {"id": request})
        ask_approval(connection, row.mappings().one(), now=NOW - timedelta(hours=1))
    return request


@dataclass
class Browser:
    """One person's browser, without a screen."""

    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Sends a form with the token of the page that it is on."""
        return self.client.post(path, data={"form_token": self.token(page or path), **fields})

    def token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="(\w+)"', self.get(page).text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> TestResponse:
        return self.post("/sign-in", name=name, password=password, **more)


@dataclass
class Console:
    """The app, its clock, and a browser for each who is asked for."""

    app: Flask
    clock: list[datetime]
    signed_in: dict[str, Browser] = field(default_factory=dict)

    @classmethod
    def over(cls, config: Any) -> Console:
        clock = [NOW]
        return cls(create_app(config, lambda: clock[0]), clock)

    def anonymous(self) -> Browser:
        return Browser(self.app.test_client())

    def as_(self, name: str) -> Browser:
        """Signed in once; later calls go on with the same session."""
        if name not in self.signed_in:
            browser = self.anonymous()
            assert browser.sign_in(name).status_code == 303
            self.signed_in[name] = browser
        return self.signed_in[name]


__all__ = ["DAY", "NOW", "PASSWORD", "STAFF", "Browser", "Console", "World", "furnish"]
