"""The gate's holds: the intent that the gate wrote is carried out here, out of the shopper's way.

A hold is claimed by its state, under a lease and a fencing number, as charges are. The call stands between two
transactions. A decline flags the shopper; an unknown is looked up; what no cart is charged by is voided.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, RowMapping, text

from backroom.charges.rules import backoff
from backroom.errors import BackroomError
from backroom.money import Money
from backroom.processors import holds, instruments, parking
from backroom.processors.calls import Calls
from backroom.processors.hold_rules import HoldFacts, Step, Then, heard, look_again_at, next_step
from backroom.processors.port import Instrument, Outcome, PaymentState, Processor, Result
from backroom.reviews import cases
from backroom.settings import settings
from backroom.shoppers.registry import set_flag

_log = structlog.get_logger()
_SOON: Final = timedelta(minutes=1)  # its cart may have come meanwhile
_NOT_ALLOWED: Final = timedelta(minutes=15)  # until a processor that does not know our key is asked again

_DUE: Final = text(
    "select distinct processor from preauthorization where next_attempt_at <= :now"
    " and (lease_until is null or lease_until < clock_timestamp()) order by processor"
)
_CLAIM: Final = text(
    """
    with due as (
        select auth_event_id from preauthorization
        where processor = :processor and next_attempt_at <= :now
          and (lease_until is null or lease_until < clock_timestamp())
        order by next_attempt_at, auth_event_id
        limit 1
        for update skip locked
    )
    update preauthorization a
    set lease_until = clock_timestamp() + make_interval(secs => :lease), fencing = a.fencing + 1,
        instrument_id = coalesce(a.instrument_id, (
            select i.instrument_id from payment_instrument i
            where i.shopper_id = a.shopper_id and i.processor = a.processor and i.active
            order by i.instrument_id desc limit 1))
    from due where a.auth_event_id = due.auth_event_id
    returning a.*
    """
)
# The cart of a hold that has none yet: a recent one of the shopper's that names this gate event.
_CART: Final = text(
    """
    select p.shopping_trip_id from purchase p
    where p.store_id = :store and p.business_date between :from_day and :to_day and p.shopper_id = :shopper
      and p.raw_body::jsonb @? cast(:path as jsonpath)
    limit 1
    """
)
_TRIP: Final = text(
    """
    select c.state as charge_state, coalesce(p.state = 'BAD_CART', false) as bad_cart
    from (select 1) as one
    left join purchase p on p.shopping_trip_id = :trip
    left join charge c on c.shopping_trip_id = :trip
    """
)
_WRITE: Final = text(
    """
    update preauthorization
    set state = :state, processor_reference = coalesce(cast(:reference as text), processor_reference),
        next_attempt_at = :next,
        attempts = attempts + :tries,
        finished_at = case when cast(:next as timestamptz) is null then cast(:now as timestamptz) end,
        lease_until = null
    where auth_event_id = :id and fencing = :fencing
    """
)
_RESUMED: Final = text(
    """
    update preauthorization a
    set state = 'UNKNOWN', next_attempt_at = :now, intended_at = :now, finished_at = null
    from review_case r
    where r.asked_by = 'processors' and r.subject = a.auth_event_id and r.decision = 'ask_again'
      and a.state = 'PARKED' and r.decided_at >= a.finished_at
    """
)


def processors_with_due(connection: Connection, *, now: datetime) -> list[str]:
    """Processors of which a hold is due at `now` (business time) and not being worked on."""
    return list(connection.execute(_DUE, {"now": now}).scalars())


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Holds that a person wants asked for again; returns how many."""
    return connection.execute(_RESUMED, {"now": now}).rowcount


def work_due(
    engine: Engine,
    processor: Processor,
    *,
    now: datetime,
    chance: Callable[[str], Random] = Random,
    concurrency: int | None = None,
) -> dict[str, int]:
    """Works on every hold of the processor that is due at `now` (business time); safe to run twice. Counts states."""
    batch = _Batch(engine, processor, now, chance)
    threads = concurrency or settings().processor_concurrency
    with ThreadPoolExecutor(threads, thread_name_prefix=f"holds-{processor.name}") as pool:
        for finished in [pool.submit(batch.work_until_done) for _ in range(threads)]:
            finished.result()
    _log.info("holds_worked", processor=processor.name, now=now.isoformat(), **batch.counts)
    return dict(batch.counts)


class _Batch:
    def __init__(self, engine: Engine, processor: Processor, now: datetime, chance: Callable[[str], Random]) -> None:
        self._engine = engine
        self._name = processor.name
        self._calls = Calls(engine, processor, now=now)
        self._now = now
        self._chance = chance
        self._wait_for_cart = timedelta(hours=settings().preauthorization_void_hours)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def work_until_done(self) -> None:
        """One thread's share."""
        while self._work_one():
            pass

    def _work_one(self) -> bool:
        with self._engine.begin() as connection:
            asked = {"processor": self._name, "now": self._now, "lease": settings().charge_lease_seconds}
            row = connection.execute(_CLAIM, asked).mappings().one_or_none()
            if row is None:
                return False
            facts, card = self._facts(connection, row)
            step = next_step(facts, now=self._now, wait_for_cart=self._wait_for_cart)
            if step not in (Step.AUTHORIZE, Step.VOID):
                state = self._without_a_call(connection, row, facts, step)
        if step is Step.AUTHORIZE:
            assert card is not None
            state = self._authorize(row, card)
        elif step is Step.VOID:
            state = self._void(row)
        with self._lock:
            self.counts[state] += 1
        return True

    def _facts(self, connection: Connection, row: RowMapping) -> tuple[HoldFacts, Instrument | None]:
        trip = row["shopping_trip_id"] or self._cart(connection, row)
        if trip is not None and row["shopping_trip_id"] is None:
            holds.link(connection, trip, now=self._now)
        card = instruments.by_id(connection, row["instrument_id"]) if row["instrument_id"] is not None else None
        facts: dict[str, Any] = {"charge_state": None, "bad_cart": False}
        mine = used = None
        if trip is not None:
            facts = dict(connection.execute(_TRIP, {"trip": trip}).mappings().one())
            found = holds.of_trip(connection, trip)
            taken = next((hold for hold in found if hold.state is PaymentState.CAPTURED), None)
            used = taken or holds.to_charge(found)
            mine = next((hold for hold in found if hold.processor_reference == row["processor_reference"]), None)
        return (
            HoldFacts(
                state=row["state"],
                intended_at=row["intended_at"],
                has_instrument=card is not None,
                linked=trip is not None,
                used=used is not None and mine is used,
                captured=mine is not None and mine.state is PaymentState.CAPTURED,
                **facts,
            ),
            card,
        )

    def _cart(self, connection: Connection, row: RowMapping) -> str | None:
        day = row["intended_at"].date()
        asked = {
            "store": row["store_id"],
            "shopper": row["shopper_id"],
            "from_day": day - timedelta(days=1),
            "to_day": self._now.date() + timedelta(days=1),
            "path": f'$.shoppingTrip.authEvents[*] ? (@.id == "{row["auth_event_id"]}")',
        }
        trip: str | None = connection.execute(_CART, asked).scalar()
        return trip

    def _without_a_call(self, connection: Connection, row: RowMapping, facts: HoldFacts, step: Step) -> str:
        match step:
            case Step.DROP:
                return self._write(connection, row, "VOIDED")
            case Step.USED:
                return self._write(connection, row, "USED")
            case Step.NO_INSTRUMENT:
                self._without_instrument(connection, row)
                return self._write(connection, row, "NO_INSTRUMENT")
            case Step.PARK:
                return self._park(connection, row, parking.UNKNOWN_HOLD, {"asked_at": row["intended_at"].isoformat()})
        again = look_again_at(facts, now=self._now, wait_for_cart=self._wait_for_cart)
        return self._write(connection, row, row["state"], again)

    def _without_instrument(self, connection: Connection, row: RowMapping) -> None:
        match settings().no_instrument:
            case "flag":
                self._flag(connection, row, "has no payment instrument")
            case "case":
                parking.ask_about_hold(
                    connection,
                    parking.NO_INSTRUMENT,
                    auth_event_id=row["auth_event_id"],
                    store_id=row["store_id"],
                    known={"shopper": row["shopper_id"], "processor": row["processor"]},
                    now=self._now,
                )

    def _authorize(self, row: RowMapping, card: Instrument) -> str:
        amount = Money(row["amount"], row["currency"])
        result = self._calls.authorize(row["auth_event_id"], amount, card, once=True)
        with self._engine.begin() as connection:
            return self._hear(connection, row, result)

    def _hear(self, connection: Connection, row: RowMapping, result: Result) -> str:
        told = heard(result)
        if told.flags:
            self._flag(connection, row, "pre-authorization declined")
        if told.case is not None:
            return self._park(connection, row, told.case, {"problem": result.problem, "said": result.message})
        if told.state is not None and row["state"] == "UNKNOWN":
            self._settle_case(connection, row, f"the processor says that it is {told.state}")
        chance = self._chance(f"{row['auth_event_id']}/{row['attempts']}")
        pauses = {Then.SOON: _SOON, Then.LATER: backoff(row["attempts"], chance), Then.PAUSED: _NOT_ALLOWED}
        again = self._now + pauses[told.then] if told.then in pauses else None
        reference = result.payment.processor_reference if result.payment is not None else None
        return self._write(connection, row, told.state or row["state"], again, reference, tries=1)

    def _void(self, row: RowMapping) -> str:
        subject = row["shopping_trip_id"] or row["auth_event_id"]
        result = self._calls.void(subject, row["processor_reference"])
        with self._engine.begin() as connection:
            if result.outcome is Outcome.SUCCEEDED:
                captured = result.payment is not None and result.payment.state is PaymentState.CAPTURED
                return self._write(connection, row, "USED" if captured else "VOIDED", tries=1)
            pause = backoff(row["attempts"], self._chance(f"void {row['auth_event_id']}/{row['attempts']}"))
            return self._write(connection, row, "HELD", self._now + pause, tries=1)

    def _flag(self, connection: Connection, row: RowMapping, why: str) -> None:
        reason = f"{why} at {row['store_id']} ({row['auth_event_id']})"
        try:
            set_flag(connection, row["shopper_id"], flagged=True, reason=reason, actor="processors", now=self._now)
        except BackroomError:  # nobody is left to be flagged
            _log.warning("shopper_not_flagged", shopper_id=row["shopper_id"], reason=reason)

    def _park(self, connection: Connection, row: RowMapping, kind: str, known: dict[str, Any]) -> str:
        state = self._write(connection, row, "PARKED", tries=1)
        parking.ask_about_hold(
            connection,
            kind,
            auth_event_id=row["auth_event_id"],
            store_id=row["store_id"],
            known={"shopper": row["shopper_id"], "amount": f"{row['amount']:f} {row['currency']}", **known},
            now=self._now,
        )
        return state

    def _settle_case(self, connection: Connection, row: RowMapping, reason: str) -> None:
        cases.settle(
            connection,
            kind=parking.UNKNOWN_HOLD,
            subject=row["auth_event_id"],
            by="processors",
            reason=reason,
            now=self._now,
        )

    def _write(
        self,
        connection: Connection,
        row: RowMapping,
        state: str,
        next_at: datetime | None = None,
        reference: str | None = None,
        *,
        tries: int = 0,
    ) -> str:
        connection.execute(
            _WRITE,
            {
                "id": row["auth_event_id"], "fencing": row["fencing"], "state": state, "next": next_at,
                "reference": reference, "tries": tries, "now": self._now,
            },
        )  # fmt: skip
        return state
