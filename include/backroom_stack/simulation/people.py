"""The people of the simulation: staff who decide cases knowing the truth, as Amazon's support tells it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, RowMapping, text

from backroom.reviews import cases
from backroom_stack.simulation.scenario import Scenario
from backroom_stack.simulation.stack import plain_client

LEFT_OPEN = 0.05  # of the cases are left as they are: settled outside Backroom
ELSEWHERE = {"FOUND_AFTER_PAYOFF": "seen", "PAYMENT_STATUS_REFUSED": "report_again"}
"""What is said to the cases of other rooms; those that are not named stay open."""
NAME = "finance@simulated"
_REFUND_KEY = text("select refund_request_key from refund where refund_id = :refund")
PATIENCE = 2  # how often a person says "ask again" about one trip


class Staff:
    """Decides what waits for a person, some hours after it was asked."""

    def __init__(self, scenario: Scenario, engine: Engine, sandbox_url: str) -> None:
        self._scenario, self._engine = scenario, engine
        self._http = plain_client(sandbox_url)
        self._asked_again: Counter[str] = Counter()
        self.decided: Counter[str] = Counter()

    def decide(self, now: datetime, *, everything: bool = False) -> int:
        """Decides the cases whose time has come; how many."""
        with self._engine.connect() as connection:
            waiting = cases.open_cases(connection)
        count = 0
        for case in waiting:
            after = timedelta(minutes=self._scenario.chance("staff", case["kind"], case["subject"]).randrange(360))
            if not everything and case["opened_at"] + after > now:
                continue
            choice = self._choice(case)
            if choice is not None:
                try:
                    with self._engine.begin() as connection:
                        cases.decide(
                            connection, case["case_id"], choice, by=NAME, reason="as Amazon's support says", now=now
                        )
                except cases.CaseError:  # evidence has answered it meanwhile: the first decision stands
                    self.decided[f"{case['kind']} too late"] += 1
                    continue
                self.decided[f"{case['kind']} {choice}"] += 1
                count += 1
        return count

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def _choice(self, case: RowMapping) -> str | None:
        """What a person who knows the truth says; None: not yet."""
        offered = {choice["choice"] for choice in case["choices"]}
        if case["asked_by"] == "refunds":
            return self._of_refund(case, offered)
        return self._of_charge(case, offered) if case["asked_by"] == "charges" else ELSEWHERE.get(case["kind"])

    def _of_charge(self, case: RowMapping, offered: set[str]) -> str | None:
        if self._scenario.chance("left", case["kind"], case["subject"]).random() < LEFT_OPEN or offered == {"leave"}:
            return "leave"
        truth = self._truth(case["subject"])
        if truth["capture"] == "UNDER_WAY":
            return None
        if case["kind"] in ("UNKNOWN_CAPTURE", "EVIDENCE_DISAGREES"):
            said = {"CAPTURED": "captured", "DECLINED": "declined"}.get(truth["capture"], "not_captured")
            return said if said in offered else "not_captured"
        if case["kind"] == "UNKNOWN_CANCEL" and truth["cancelled"]:
            return "cancelled"
        self._asked_again[case["subject"]] += 1
        return "ask_again" if self._asked_again[case["subject"]] <= PATIENCE else "leave"

    def _of_refund(self, case: RowMapping, offered: set[str]) -> str | None:
        """Money that goes back by hand goes back at the till; else the truth, or the question again."""
        if case["kind"] == "REFUND_APPROVAL":
            return None  # decided where it was asked for (refunding.py)
        if case["kind"] == "REFUND_LEFT_OVER":
            return "seen"
        if case["kind"] == "PAY_BACK_BY_HAND":
            known = case["known"]
            body = {"shopping_trip_id": known["shopping_trip_id"], "amount": f"-{known['amount']}"}
            self._http.post("/sandbox/till", json=body).raise_for_status()
            return "paid_back"
        with self._engine.connect() as connection:
            key = connection.execute(_REFUND_KEY, {"refund": int(case["subject"].rpartition(":")[2])}).scalar_one()
        answer = self._http.post("/sandbox/inquiries", json={"refund_request_id": key})
        answer.raise_for_status()
        if answer.json()["refund"] == "MADE":
            return "refunded" if "refunded" in offered else "ask_again"
        self._asked_again[case["subject"]] += 1
        again = self._asked_again[case["subject"]] <= PATIENCE and "ask_again" in offered
        return "ask_again" if again else next(choice for choice in ("not_refunded", "not_given") if choice in offered)

    def _truth(self, shopping_trip_id: str) -> dict[str, Any]:
        answer = self._http.post("/sandbox/inquiries", json={"shopping_trip_id": shopping_trip_id})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
