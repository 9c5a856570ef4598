"""Plays a month: the sandbox's trips against the served connector, then what the DAGs' tasks do, and what people do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Engine, text
from werkzeug.serving import make_server

from backroom.amazon.refund_client import RefundClient
from backroom.charges.lifecycle import gather_evidence, stores_with_due, work_due
from backroom.charges.opening import open_charge
from backroom.debts import payoff, write_off
from backroom.debts.payoff import PaymentOutcome, PayoffState
from backroom.feeds import events
from backroom.feeds.aws import Aws
from backroom.feeds.completeness import newly_complete_days
from backroom.feeds.intraday import collect, ingest_all, waiting
from backroom.ledger.book import post_new
from backroom.processors import evidence, preauthorizing
from backroom.processors.choosing import payments_for, processor_of
from backroom.purchases import bad_carts, unbilled
from backroom.reconciliation.days import released_as_complete, unsettled_days
from backroom.reconciliation.runs import reconcile_day
from backroom.refunds import evidence as refund_evidence
from backroom.refunds import requesting
from backroom.refunds import working as refund_working
from backroom.refunds.processor_refunds import refund_ports
from backroom.reviews import cases
from backroom.settings import Settings, settings
from backroom.stores.registry import get_store
from connector_app.amazon import create_app
from tests.reconciliation.played.world import OWN, MonthWorld
from tests.sandbox_fixtures import SandboxClient

STEP = timedelta(hours=6)
FIRST_STEP = 10  # UTC
LAST_STEP = 6  # when the files of the last day are in, at the westernmost store too
WHO = "fay"


@dataclass
class Month:
    """A month that is being played; `now` is its business time, which the connector reads too."""

    world: MonthWorld
    engine: Engine
    sandbox: SandboxClient
    aws: Aws
    now: datetime
    played: dict[str, int] = field(default_factory=dict)
    steps: list[datetime] = field(default_factory=list)

    def play(self) -> None:
        """All days, four moments a day, until the files of the last one are in."""
        end = datetime.combine(self.world.last, time(LAST_STEP), UTC) + timedelta(days=1)
        moment = datetime.combine(self.world.first, time(FIRST_STEP), UTC)
        while True:
            self.step(min(moment, end))
            if moment >= end:
                return
            moment += STEP

    def step(self, moment: datetime) -> None:
        """The trips up to that moment, and all that is due then."""
        self.now = moment
        self.steps.append(moment)
        counts = self.sandbox.post("/sandbox/advance", {"until": moment.isoformat()})["played"]
        for name, count in counts.items():
            self.played[name] = self.played.get(name, 0) + count
        self._forget_charges()
        self.work()

    def work(self, *, reconciles: bool = True) -> None:
        """One run of each DAG at the present moment; people answer in between."""
        collect(self.engine, self.aws, now=self.now)
        with self.engine.connect() as connection:
            files = waiting(connection)
        results = ingest_all(self.engine, self.aws, file_ids=files, now=self.now)
        assert {one.state for one in results} <= {"INGESTED", "SAME_CONTENT"}
        events.drain(self.engine, self.aws, now=self.now)
        for _ in range(2):  # the second time for what people have answered
            self._move_money()
            self._people()
        self._move_money()
        if reconciles:
            self._reconcile()

    def _move_money(self) -> None:
        now, engine = self.now, self.engine
        if OWN in self.world.stores:
            with processor_of("SANDBOX", settings()) as processor:
                evidence.look_up_captures(engine, processor, now=now)
                preauthorizing.work_due(engine, processor, now=now)
        with engine.begin() as connection:
            bad_carts.apply_decisions(connection, now=now)
            unbilled.charge_overdue(connection, now=now)
            gather_evidence(connection, now=now)
            stores = stores_with_due(connection, now=now)
        for store_id in stores:
            with engine.connect() as connection:
                store = get_store(connection, store_id)
            assert store is not None
            with payments_for(store, engine, settings(), now=now) as client:
                work_due(engine, client, store_id=store_id, now=now)
        with engine.begin() as connection:
            gather_evidence(connection, now=now)
            refund_evidence.gather_evidence(connection, now=now)
            stores = refund_working.stores_with_due(connection, now=now)
        for store_id in stores:
            with RefundClient(settings()) as client, refund_ports(engine, settings(), now=now) as processors:
                refund_working.work_due(engine, client, store_id=store_id, now=now, processors=processors)
        with engine.begin() as connection:
            post_new(connection, now=now)

    def _reconcile(self) -> None:
        """As the DAG does it for each day that is released: that day, and those before it that are not done."""
        with self.engine.begin() as connection:
            released = newly_complete_days(connection, now=self.now)
        for store_id, day in released:
            with self.engine.connect() as connection:
                days = {day, *unsettled_days(connection, store_id=store_id, before=day)}
            for one in sorted(days):
                self.reconcile(store_id, one)

    def reconcile(self, store_id: str, day: date) -> None:
        """One run over that day, at the present moment."""
        with self.engine.begin() as connection:
            complete = released_as_complete(connection, store_id=store_id, business_date=day)
            reconcile_day(connection, store_id=store_id, business_date=day, complete=complete, now=self.now)

    def reconcile_all(self) -> None:
        """Every day of every store once more."""
        for store_id in self.world.stores:
            for day in self.world.days(store_id):
                self.reconcile(store_id, day)

    def _people(self) -> None:
        with self.engine.connect() as connection:
            open_cases = cases.open_cases(connection)
        for case in open_cases:
            choice = self._answer(case)
            if choice is not None:
                with self.engine.begin() as connection:
                    cases.decide(connection, case["case_id"], choice, by=WHO, reason="as it was played", now=self.now)
        self._debtors()
        self._shoppers_who_want_money_back()

    def _answer(self, case: Any) -> str | None:
        """What is said to a case; None: nothing."""
        if case["kind"] == "PAY_BACK_BY_HAND":
            known = case["known"]
            self._till(known["shopping_trip_id"], f"-{known['amount']}")
            return "paid_back"
        was_found = self.world.fate.get(case["subject"]) == "FOUND_AFTER_PAYOFF"
        if case["kind"] == "UNKNOWN_CAPTURE":  # the first is wrong, as the settlement will show
            return "declined" if was_found else self._amazons_word(case)
        return {
            "NOT_CHARGEABLE": "seen",
            "EVIDENCE_DISAGREES": "captured" if was_found else "leave",  # of the others the break stays
            "UNDECIDED_AUTHORIZATION": "ask_again",
            "REFUND_APPROVAL": "approve",
        }.get(case["kind"])

    def _amazons_word(self, case: Any) -> str | None:
        """What Amazon's support says about a capture that nothing has told of for a day."""
        if self.now - case["opened_at"] < timedelta(days=1):
            return None
        said = self.sandbox.post("/sandbox/inquiries", {"shopping_trip_id": case["subject"]})["capture"]
        return {"CAPTURED": "captured", "DECLINED": "declined", "NOT_CAPTURED": "not_captured"}.get(said)

    def _till(self, trip: str, amount: str) -> None:
        self.sandbox.post("/sandbox/till", {"shopping_trip_id": trip, "amount": amount})

    def _debtors(self) -> None:
        """Some pay at the till, at once; of some the debt is given up."""
        owing = "select shopping_trip_id from debt where outstanding > 0 and state = 'OPEN'"
        with self.engine.connect() as connection:
            debts = list(connection.execute(text(owing)).scalars())
        for trip in debts:
            with self.engine.begin() as connection:
                if self.world.fate[trip] in ("PAYS_DEBT", "FOUND_AFTER_PAYOFF"):
                    mine = payoff.begin(
                        connection, shopping_trip_id=trip, method=payoff.CASH, instrument={}, asked_by="till-1",
                        now=self.now,
                    )  # fmt: skip
                    self._till(trip, str(mine.amount.amount))
                    payoff.settle(connection, mine.payoff_id, PaymentOutcome(PayoffState.PAID), now=self.now)
                elif self.world.fate[trip] == "FORGIVEN":
                    write_off.write_off(connection, shopping_trip_id=trip, by=WHO, reason="played", now=self.now)

    def _shoppers_who_want_money_back(self) -> None:
        wanted = self.world.with_fate("BRINGS_ALL_BACK", "BRINGS_ONE_BACK")
        captured = (
            "select shopping_trip_id from charge where state = 'CAPTURED' and shopping_trip_id = any(:trips)"
            " and shopping_trip_id not in (select shopping_trip_id from refund_request)"
        )
        with self.engine.begin() as connection:
            for trip in connection.execute(text(captured), {"trips": wanted}).scalars().all():
                lines = None if self.world.fate[trip] == "BRINGS_ALL_BACK" else [(1, None)]
                requesting.request(
                    connection, shopping_trip_id=trip, amount=None, lines=lines, reason="DAMAGED_ITEM",
                    requested_by="service-desk", asked_key=f"ticket-{trip}", now=self.now,
                )  # fmt: skip

    def _forget_charges(self) -> None:
        """A mistake of ours, which Amazon can't plant: these carts are priced, and nobody charges them."""
        for trip in self.world.with_fate("MISSING_CHARGE"):
            with self.engine.begin() as connection:
                connection.execute(text("set local session_replication_role = replica"))
                given = {"trip": trip}
                connection.execute(text("delete from charge_event where shopping_trip_id = :trip"), given)
                gone = connection.execute(text("delete from charge where shopping_trip_id = :trip"), given).rowcount
            if gone:
                self.sandbox.post("/sandbox/truth", {"trip": trip, "kind": "MISSING_CHARGE"})

    def charge_what_was_forgotten(self) -> None:
        """A person mends it: the charges are opened after all."""
        rows = text("select * from purchase where shopping_trip_id = any(:trips)")
        with self.engine.begin() as connection:
            for row in connection.execute(rows, {"trips": self.world.with_fate("MISSING_CHARGE")}).all():
                open_charge(
                    connection, shopping_trip_id=row.shopping_trip_id, store_id=row.store_id, currency=row.currency,
                    total=row.total, trip_started_at=row.trip_started_at, now=self.now, reason="was forgotten",
                )  # fmt: skip


@contextmanager
def connector(month: Month) -> Iterator[None]:
    """The connector where the sandbox looks for it, at the month's time."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = create_app(Settings(connector_auth="off", log_level="ERROR"), lambda: month.now)
    server = make_server("127.0.0.1", month.sandbox.connector_port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
