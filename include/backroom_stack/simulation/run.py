"""One simulation from beginning to end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from backroom.catalog.source import Source
from backroom.catalog.sync import start_run
from backroom.errors import BackroomError
from backroom.settings import Settings
from backroom.shoppers.sealing import Seal
from backroom_stack.simulation.checks import Check, check_all
from backroom_stack.simulation.clock import SharedClock
from backroom_stack.simulation.crew import ANY_CALL, CAPTURES, NOWHERE, Crew
from backroom_stack.simulation.debtors import Debtors
from backroom_stack.simulation.evidence import Mail
from backroom_stack.simulation.looks import Looks
from backroom_stack.simulation.people import Staff
from backroom_stack.simulation.refunding import Refunding
from backroom_stack.simulation.scenario import Scenario
from backroom_stack.simulation.stack import LEASE_SECONDS, Stack, plain_client, running
from backroom_stack.simulation.worker import CLOCK, ERRORS, PLUGIN
from backroom_stack.simulation.world import write_stores, write_world
from backroom_stack.store_world import load_retailer_side

Tell = Callable[[str], None]
STEP_SECONDS: Final = 120.0  # longest real time for what is due at one moment
LAST_WORK_SECONDS: Final = 20.0  # for what is left at the end
AHEAD: Final = timedelta(hours=2)  # the connector's clock is real: the simulated day begins after it


@dataclass
class Result:
    """What one simulation was, did and found."""

    scenario: Scenario
    checks: list[Check]
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not any(check.breaches for check in self.checks)


def simulate(scenario: Scenario, config: Settings, home: Path, tell: Tell) -> Result:
    """Runs it in `home`, whose earlier content is removed. Raises BackroomError where a part does not start."""
    began = time.monotonic()
    with running(config, home) as stack:
        tell(f"everything runs after {time.monotonic() - began:.0f} s")
        return _Simulation(scenario, stack, tell).run(began)


class _Simulation:
    def __init__(self, scenario: Scenario, stack: Stack, tell: Tell) -> None:
        self._scenario, self._stack, self._tell = scenario, stack, tell
        self._clock = SharedClock.make(stack.home / "clock")
        self._errors = stack.home / "errors.jsonl"
        self._errors.touch()
        self._http = plain_client(stack.sandbox_url, timeout=600)
        self._accidents: list[threading.Thread] = []
        self._played: Counter[str] = Counter()
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + AHEAD
        self._moments = scenario.timeline(start)
        self._load(start)
        self._mail = Mail(scenario, stack.engine, stack.sandbox_url)
        self._staff = Staff(scenario, stack.engine, stack.sandbox_url)
        self._debtors = Debtors(scenario, stack.engine, stack.sandbox_url)
        self._refunding = Refunding(scenario, stack.engine)
        self._looks = Looks(stack.engine, stack.sandbox_url)

    def run(self, began: float) -> Result:
        """Plays the days, lets what is left come to its end, and checks."""
        environment = self._stack.of_workers() | {CLOCK: str(self._stack.home / "clock"), ERRORS: str(self._errors)}
        environment |= {PLUGIN: os.environ[PLUGIN]} if PLUGIN in os.environ else {}
        log = self._stack.home / "logs" / "workers.log"
        with Crew(self._scenario.workers, environment, self._clock, self._stack.sandbox_url, log) as crew:
            accidents, over = self._planned_accidents(crew)
            for number, now in enumerate(self._moments):
                self._step(crew, now, accidents.get(number, []))
                if number == over:
                    crew.calm.set()
                if number % self._scenario.moments_between_looks == 0:
                    self._looks.look()
                if number % 20 == 19:
                    self._tell(f"{number + 1} of {len(self._moments)} moments, {time.monotonic() - began:.0f} s")
            for thread in self._accidents:
                thread.join()
            self._finish(crew, self._moments[-1])
            if not crew.alive():
                raise BackroomError(f"a worker ended by itself; see {log}")
        return self._judge(crew, began)

    def _step(self, crew: Crew, now: datetime, accidents: list[Callable[[], None]]) -> None:
        """The world up to a moment: carts, evidence, decisions; then the workers do all that is due, with accidents."""
        answer = self._http.post("/sandbox/advance", json={"until": now.isoformat()})
        if answer.is_error:
            raise BackroomError(f"the sandbox could not play the trips: {answer.text[:200]}")
        self._played.update(answer.json()["played"])
        self._mail.deliver(now)
        self._staff.decide(now)
        self._debtors.come(now)
        self._refunding.come(now)
        self._clock.set(now)
        for accident in accidents:
            thread = threading.Thread(target=accident, daemon=True)
            thread.start()
            self._accidents.append(thread)
        self._wait(crew, STEP_SECONDS)

    def _wait(self, crew: Crew, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not crew.all_done() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _planned_accidents(self, crew: Crew) -> tuple[dict[int, list[Callable[[], None]]], int]:
        """Kills and freezes by the number of the moment in which they begin to look for a victim, and their last one.

        They come while trips do. A third of the kills looks for a capture, a third for any call, a third takes anyone.
        """
        planned: dict[int, list[Callable[[], None]]] = {}
        busy = max(1, round(self._scenario.span / (self._moments[1] - self._moments[0])))
        for number in range(self._scenario.kills):
            chance = self._scenario.chance("kill", number)
            kill = partial(crew.kill, chance, at=(CAPTURES, ANY_CALL, NOWHERE)[number % 3])
            planned.setdefault(chance.randrange(busy), []).append(kill)
        for number in range(self._scenario.freezes):
            chance = self._scenario.chance("freeze", number)
            freeze = partial(crew.freeze, chance, LEASE_SECONDS + 2)
            planned.setdefault(chance.randrange(busy), []).append(lambda freeze=freeze: freeze()())  # type: ignore[misc]
        return planned, min(busy + 6, len(self._moments) - 1)

    def _finish(self, crew: Crew, now: datetime) -> None:
        """All mail arrives, all cases are decided, all leases of the dead end, until nothing moves any more."""
        deadline, quiet = time.monotonic() + LAST_WORK_SECONDS, 0
        while time.monotonic() < deadline and quiet < 3:
            now += timedelta(hours=4)
            self._http.post("/sandbox/clock", json={"now": now.isoformat()}).raise_for_status()
            moved = self._mail.deliver(now, everything=True) + self._staff.decide(now, everything=True)
            moved += self._debtors.come(now) + self._refunding.come(now)
            self._clock.set(now)
            self._wait(crew, STEP_SECONDS)
            left = self._left(now)
            quiet = quiet + 1 if not moved and not left else 0
            if left and not moved:
                time.sleep(0.5)  # a lease has to end by real time
        self._now = now

    def _left(self, now: datetime) -> int:
        with self._stack.engine.connect() as connection:
            return int(connection.execute(_LEFT, {"now": now}).scalar_one())

    def _load(self, start: datetime) -> None:
        world = self._stack.home / "world"
        write_world(world, self._scenario, start)
        load_retailer_side(self._stack.engine, Seal(self._stack.environment.privacy_keys), world)
        start_run(self._stack.engine, source=Source(str(world / "catalog")), business_date=start.date(), now=start)
        write_stores(world, backroom=False)
        answer = self._http.post(
            "/sandbox/load", json={"world": str(world), "seed": self._scenario.seed, "faults": self._scenario.plan()}
        )
        if answer.is_error:
            raise BackroomError(f"the sandbox did not take the world: {answer.text[:300]}")
        self._http.post("/sandbox/clock", json={"now": start.isoformat()}).raise_for_status()

    def _judge(self, crew: Crew, began: float) -> Result:
        money = self._http.get("/sandbox/money").json()
        errors = [json.loads(line)["error"] for line in self._errors.read_text().splitlines()]
        with self._stack.engine.connect() as connection:
            checks = check_all(connection, money, errors=errors, config=self._stack.environment.config, now=self._now)
            states = {row.state: row.trips for row in connection.execute(_STATES)}
        for number, found in self._looks.breaches:
            checks[number - 1].breaches.append(found)
        for one in (self._mail, self._staff, self._debtors, self._refunding, self._looks, self._http):
            one.close()
        return Result(
            self._scenario,
            checks,
            time.monotonic() - began,
            {
                "trips": len(money["trips"]),
                "states": states,
                "calls": money["calls"],
                "faults": money["faults"],
                "accidents": dict(crew.counts),
                "decisions": dict(self._staff.decided),
                "debtors": dict(self._debtors.counts),
                "refunds": dict(self._refunding.counts),
                "looks": self._looks.count,
                "carts": dict(self._played),
                "simulated_hours": round((self._now - self._moments[0]).total_seconds() / 3600),
            },
        )


_STATES: Final = text("select state, count(*) as trips from charge group by 1 order by 1")
_LEFT: Final = text(
    """
    select (select count(*) from charge where next_attempt_at <= :now)
         + (select count(*) from charge where to_book)
         + (select count(*) from payment_status_report where state = 'DUE')
         + (select count(*) from refund where state in ('DUE', 'UNKNOWN', 'INITIATED'))
         + (select count(*) from refund_event where to_book) + (select count(*) from debt_event where to_book)
         + (select count(*) from charge where state not in ('CAPTURED', 'CANCELLED', 'IN_DEBT', 'PARKED'))
    """
)
