"""Asks Amazon for the state of a catalog run's batches, in the triggerer: no worker slot is held meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

_FAILURES_IN_A_ROW = 10  # of the database, say; each is a pause apart


class CatalogTrigger(BaseTrigger):
    """Fires when nothing of the run is on its way any more. All it knows is the run's id; the rest is in our tables."""

    def __init__(self, run_id: int, now: str, poll_seconds: float) -> None:
        """`now` is the DAG run's business time, ISO 8601."""
        super().__init__()
        self.run_id = run_id
        self.now = now
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class's path and what makes it again."""
        return (
            "backroom_airflow.catalog_trigger.CatalogTrigger",
            {"run_id": self.run_id, "now": self.now, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: `{"run_id", "settled", "reason"}`."""
        failures = 0
        while True:
            try:
                if await asyncio.to_thread(self.poll):
                    yield TriggerEvent({"run_id": self.run_id, "settled": True, "reason": ""})
                    return
                failures = 0
            except Exception as error:  # noqa: BLE001 - an escaping error would end the trigger without a word
                failures += 1
                self.log.warning("catalog run %s can't be polled (%s in a row): %s", self.run_id, failures, error)
                if failures >= _FAILURES_IN_A_ROW:
                    yield TriggerEvent({"run_id": self.run_id, "settled": False, "reason": str(error)})
                    return
            await asyncio.sleep(self.poll_seconds)

    def poll(self) -> bool:
        """One round of questions; true where nothing is on its way any more."""
        from backroom.amazon.catalog import CatalogClient
        from backroom.catalog import notifications, sync
        from backroom.db.engine import engine
        from backroom.settings import settings

        config = settings()
        with CatalogClient(config, engine()) as client:
            return sync.poll(
                engine(),
                client,
                run_id=self.run_id,
                now=datetime.fromisoformat(self.now),
                box=notifications.inbox(config),
            )
