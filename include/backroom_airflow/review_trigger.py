"""Waits, in the triggerer, for a case to be decided: in Airflow or anywhere else. No worker slot is held meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

_ASK_AIRFLOW_EVERY: Final = 12  # looks at our row: an answer in Airflow resumes the task by itself, as a rule


class ReviewTrigger(HITLTrigger):
    """Fires with the answer given in Airflow, or with `{"decided_elsewhere": True}` once our row has a decision."""

    def __init__(self, *, case_id: int, poll_seconds: float, **human_in_the_loop: Any) -> None:
        """`human_in_the_loop` as HITLTrigger's."""
        super().__init__(**human_in_the_loop)
        self.case_id = case_id
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class's path and what makes it again."""
        _, arguments = super().serialize()
        return (
            "backroom_airflow.review_trigger.ReviewTrigger",
            {**arguments, "case_id": self.case_id, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event. It waits as long as it takes: a database that does not answer is asked again."""
        looks = 0
        with WATCH.of(self.case_id):
            while True:
                if looks % _ASK_AIRFLOW_EVERY == 0 and (event := await self._answered_in_airflow()):
                    yield event
                    return
                if (decision := await self._decided()) is not None:
                    await self._tell_airflow(decision)
                    yield TriggerEvent({"decided_elsewhere": True})
                    return
                looks += 1
                await asyncio.sleep(self.poll_seconds)

    async def _decided(self) -> str | None:
        try:
            return await WATCH.decision(self.case_id, every=self.poll_seconds)
        except Exception as error:  # noqa: BLE001 - an escaping error would end the wait for a person
            self.log.warning("case %s can't be looked at: %s", self.case_id, error)
            return None

    async def _answered_in_airflow(self) -> TriggerEvent | None:
        """An answer that came before the task had begun to wait."""
        try:
            event: TriggerEvent | None = await self._handle_response()
        except Exception as error:  # noqa: BLE001 - as above
            self.log.warning("the answer to case %s can't be looked up: %s", self.case_id, error)
            return None
        return event

    async def _tell_airflow(self, decision: str) -> None:
        """Takes the question off Airflow's list of what waits for a person."""
        from airflow.sdk.execution_time.hitl import update_hitl_detail_response

        try:
            await sync_to_async(update_hitl_detail_response)(
                ti_id=self.ti_id, chosen_options=[decision], params_input={"reason": "decided elsewhere"}
            )
        except Exception as error:  # noqa: BLE001 - somebody answered at this very moment: our row stands
            self.log.info("case %s was decided elsewhere; Airflow was not told: %s", self.case_id, error)


class Watch:
    """Looks at all cases that this process waits for by one query, however many triggers wait."""

    def __init__(self, look: Callable[[Sequence[int]], dict[int, str]]) -> None:
        """`look` gives those of the cases that are decided, with their decision."""
        self._look = look
        self._waiting: dict[int, int] = {}
        self._decided: dict[int, str] = {}
        self._looked_at = float("-inf")

    def of(self, case_id: int) -> _Waiting:
        """While it lasts, the case is among those that are looked at."""
        return _Waiting(self._waiting, self._decided, case_id)

    async def decision(self, case_id: int, *, every: float) -> str | None:
        """What was decided about the case; None while it is open. As of `every` seconds ago, or twice that."""
        if time.monotonic() - self._looked_at >= every:
            self._looked_at = time.monotonic()
            self._decided |= await asyncio.to_thread(self._look, list(self._waiting))
        return self._decided.get(case_id)


class _Waiting:
    def __init__(self, waiting: dict[int, int], decided: dict[int, str], case_id: int) -> None:
        self._waiting, self._decided, self._case_id = waiting, decided, case_id

    def __enter__(self) -> None:
        self._waiting[self._case_id] = self._waiting.get(self._case_id, 0) + 1

    def __exit__(self, *_: object) -> None:
        self._waiting[self._case_id] -= 1
        if self._waiting[self._case_id] == 0:
            del self._waiting[self._case_id]
            self._decided.pop(self._case_id, None)


def _look(case_ids: Sequence[int]) -> dict[int, str]:
    from backroom.db.engine import engine
    from backroom.reviews.showing import decided_among

    with engine().connect() as connection:
        return decided_among(connection, case_ids)


WATCH: Final = Watch(_look)
