"""The upgrade marks the trips of which Amazon may not know the truth, and not those of which it surely does."""

from __future__ import annotations

from typing import Any

from alembic import command
from sqlalchemy import Engine, text

from backroom.db import migrate
from tests.debts.conftest import NOON, Debts, add_store

OTHERS = {"unpaid", "told otherwise", "on its way", "told less since", "given back", "never told"}


def test_all_that_may_be_untold_is_marked_by_the_upgrade(database: Engine) -> None:
    _move(database, "0019")
    add_store(database, "S", risk_strategy="AMAZON_MANAGED")
    add_store(database, "OURS", risk_strategy="RETAILER_MANAGED")
    debts = Debts(database, "S")
    paid: dict[str, Any] = {"owed": "0", "total": "5", "captured": "5", "state": "CAPTURED"}
    for trip in ("told", *OTHERS - {"unpaid"}):
        debts.owe(**paid, named=trip)
    debts.owe("5", named="unpaid")
    debts.owe("5", named="ours", store="OURS")
    for trip in ("told", "unpaid", "told less since", "given back"):
        _report(debts, trip, "5", "ACCEPTED")
    _report(debts, "told otherwise", "4", "ACCEPTED")
    _report(debts, "told less since", "4", "ACCEPTED")
    _report(debts, "on its way", "5", "DUE")
    _refund(debts, "given back")
    _move(database, "head")
    assert _marked(database) == OTHERS
    _move(database, "0019")
    _move(database, "head")
    assert _marked(database) == OTHERS


def _move(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)


def _marked(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("select shopping_trip_id from payment_status_news")).scalars())


def _report(debts: Debts, trip: str, settled: str, state: str) -> None:
    debts.run(
        "insert into payment_status_report (shopping_trip_id, store_id, currency, total, settled, status_time, state,"
        " created_at) values (:trip, 'S', 'USD', 5, cast(:settled as numeric), :now, :state, :now)",
        trip=trip, settled=settled, state=state, now=NOON,
    )  # fmt: skip


def _refund(debts: Debts, trip: str) -> None:
    debts.run(
        "with asked as (insert into refund_request (asked_key, shopping_trip_id, store_id, currency, amount, reason,"
        " requested_by, requested_at, state) values ('k', :trip, 'S', 'USD', 1, 'OTHER', 'r', :now, 'APPROVED')"
        " returning request_id)"
        " insert into refund (request_id, shopping_trip_id, store_id, instrument, refund_request_key, currency,"
        " amount, state) select request_id, :trip, 'S', 'CAPTURE', 'k', 'USD', 1, 'FINAL' from asked",
        trip=trip, now=NOON,
    )  # fmt: skip
