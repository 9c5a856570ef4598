"""A worker: what the tasks of the money DAGs do, in the same functions, again and again, at the shared clock's time."""

from __future__ import annotations

import importlib
import json
import os
import time
import traceback
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from backroom.amazon.payment_status_client import PaymentStatusClient
from backroom.amazon.payments import PaymentsClient
from backroom.amazon.refund_client import RefundClient
from backroom.charges.lifecycle import gather_evidence, stores_with_due, work_due
from backroom.db.engine import engine, transaction
from backroom.debts import payment_status, reporting
from backroom.debts.reporting import report_due
from backroom.ledger.book import post_new
from backroom.purchases import bad_carts, unbilled
from backroom.refunds import evidence as refund_evidence
from backroom.refunds import working as refund_working
from backroom.settings import settings
from backroom_stack.simulation.clock import SharedClock

CLOCK, ERRORS, PLUGIN = "SIMULATION_CLOCK", "SIMULATION_ERRORS", "SIMULATION_PLUGIN"
"""Environment: the clock's file; where errors are written, a line each; a `module:function` that is called first."""
_PAUSE = 0.005


def work(slot: int) -> None:
    """Never returns: workers are killed."""
    if plugin := os.environ.get(PLUGIN):
        module, _, function = plugin.partition(":")
        getattr(importlib.import_module(module), function)()
    clock, finished = SharedClock(Path(os.environ[CLOCK])), 0
    while True:
        generation, now = clock.read()
        if generation == finished:
            time.sleep(_PAUSE)
            continue
        try:
            busy = round_of_all(now)
        except Exception as error:  # noqa: BLE001 - a task would fail and be run again; the end of the simulation counts it
            _tell(error)
            busy = False
        if not busy:
            clock.done(slot, generation)
            finished = generation


def round_of_all(now: datetime) -> bool:
    """One run of each money DAG's tasks; whether there was anything to do."""
    busy = _charge_lifecycle(now)
    busy = _refund_processing(now) or busy
    busy = _payment_status_feedback(now) or busy
    with transaction() as connection:
        return post_new(connection, now=now) > 0 or busy


def _charge_lifecycle(now: datetime) -> bool:
    with transaction() as connection:
        bad_carts.apply_decisions(connection, now=now)
    with transaction() as connection:
        unbilled.charge_overdue(connection, now=now)
    with transaction() as connection:
        gather_evidence(connection, now=now)
        stores = stores_with_due(connection, now=now)
    busy = False
    for store_id in stores:
        busy = work_due(engine(), _payments(), store_id=store_id, now=now).trips > 0 or busy
    return busy


def _refund_processing(now: datetime) -> bool:
    with transaction() as connection:
        refund_evidence.gather_evidence(connection, now=now)
        stores = refund_working.stores_with_due(connection, now=now)
    busy = False
    for store_id in stores:
        busy = refund_working.work_due(engine(), _refunds(), store_id=store_id, now=now).refunds > 0 or busy
    return busy


def make_clients() -> None:
    """What takes a while and opens no connection yet; done once, before the workers are forked."""
    _payments(), _refunds(), _status()


@lru_cache(maxsize=1)
def _refunds() -> RefundClient:
    return RefundClient(settings())


def _payment_status_feedback(now: datetime) -> bool:
    with transaction() as connection:
        reporting.apply_decisions(connection, now=now)
        payment_status.find_due(connection, now=now)
        stores = reporting.stores_with_due(connection, now=now)
    busy = False
    for store_id in stores:
        busy = bool(report_due(engine(), _status(), store_id=store_id, now=now).outcomes) or busy
    return busy


@lru_cache(maxsize=1)
def _status() -> PaymentStatusClient:
    return PaymentStatusClient(settings())


@lru_cache(maxsize=1)
def _payments() -> PaymentsClient:
    return PaymentsClient(settings())


def _tell(error: Exception) -> None:
    line = {"error": f"{type(error).__name__}: {error}", "where": traceback.format_exc()}
    with Path(os.environ[ERRORS]).open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
