"""Shoppers who pay their debts at the till, some of them twice; and staff who write debts off."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine, text

from backroom.debts import payoff, write_off
from backroom.debts.payoff import PaymentOutcome, PayoffState
from backroom.errors import BackroomError
from backroom_stack.simulation.scenario import Scenario
from backroom_stack.simulation.stack import plain_client

PAYS: Final = 0.4  # of the debts
PAYS_TWICE: Final = 0.2  # of those: someone at another till takes the money again
WRITTEN_OFF: Final = 0.15
RECOVERED: Final = 0.5  # of what was written off
_DEBTS: Final = text(
    """
    select d.shopping_trip_id, d.opened_at, d.state from debt d
    where d.outstanding > 0 or (d.written_off > 0 and d.outstanding = 0) order by d.shopping_trip_id
    """
)


class Debtors:
    """What happens to debts, each at a time of its own."""

    def __init__(self, scenario: Scenario, engine: Engine, sandbox_url: str) -> None:
        self._scenario, self._engine = scenario, engine
        self._http = plain_client(sandbox_url)
        self.counts: Counter[str] = Counter()

    def come(self, now: datetime) -> int:
        """Whoever pays or is forgiven by now; how much was done."""
        with self._engine.connect() as connection:
            debts = connection.execute(_DEBTS).all()
        done = 0
        for debt in debts:
            chance = self._scenario.chance("debtor", debt.shopping_trip_id)
            after, fate, again = timedelta(hours=chance.randrange(1, 72)), chance.random(), chance.random()
            if debt.opened_at + after > now:
                continue
            if fate < PAYS:
                done += self._pay(debt.shopping_trip_id, now, twice=again < PAYS_TWICE)
            elif fate < PAYS + WRITTEN_OFF and debt.state == "OPEN":
                done += self._write_off(debt.shopping_trip_id, now)
            elif fate < PAYS + WRITTEN_OFF and again < RECOVERED and debt.opened_at + 2 * after <= now:
                done += self._pay(debt.shopping_trip_id, now, twice=False)
        return done

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def _pay(self, trip: str, now: datetime, *, twice: bool) -> int:
        """At the till: the money is taken only where Backroom says that it may be."""
        try:
            with self._engine.begin() as connection:
                mine = payoff.begin(
                    connection, shopping_trip_id=trip, method=payoff.CASH, instrument={}, asked_by="till-1", now=now
                )
        except BackroomError:
            self.counts["payoffs refused"] += 1
            return 0
        if twice:
            self._try_again(trip, now)
        self._take(trip, mine.amount.amount)
        for _ in range(2 if twice else 1):  # the second time is the same news again
            with self._engine.begin() as connection:
                payoff.settle(connection, mine.payoff_id, PaymentOutcome(PayoffState.PAID), now=now)
        self.counts["payoffs"] += 1
        return 1

    def _try_again(self, trip: str, now: datetime) -> None:
        """A second till while the first is at it: were it not refused, the money would be taken twice."""
        try:
            with self._engine.begin() as connection:
                second = payoff.begin(
                    connection, shopping_trip_id=trip, method=payoff.TERMINAL, instrument={}, asked_by="till-2", now=now
                )
        except BackroomError:
            self.counts["second payoffs refused"] += 1
        else:
            self._take(trip, second.amount.amount)
            self.counts["second payoffs not refused"] += 1

    def _take(self, trip: str, amount: Decimal) -> None:
        body = {"shopping_trip_id": trip, "amount": str(amount)}
        self._http.post("/sandbox/till", json=body).raise_for_status()

    def _write_off(self, trip: str, now: datetime) -> int:
        try:
            with self._engine.begin() as connection:
                write_off.write_off(connection, shopping_trip_id=trip, by="finance", reason="simulated", now=now)
        except BackroomError:
            self.counts["write-offs refused"] += 1
            return 0
        self.counts["write-offs"] += 1
        return 1
