"""Waits for a message in a bell queue: Airflow's triggerer runs it for as long as a DAG has the bell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

_WAIT = 20  # seconds that SQS holds a question open, the most that it takes
_AFTER_AN_ERROR = 10  # seconds
_AT_ONCE = 100  # messages of one event


class BellTrigger(BaseEventTrigger):
    """One event per ring, however many messages rang; they are deleted at once and nobody reads what they say.

    Airflow keeps an event's payload and shows it, and a message may carry a link that opens a file: so the payload is
    their number. While SQS does not answer, it goes on asking: the DAG's own clock starts runs meanwhile.
    """

    def __init__(self, *, queue_url: str, region: str) -> None:
        super().__init__()
        self.queue_url = queue_url
        self.region = region

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it anew."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "queue_url": self.queue_url,
            "region": self.region,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """With AWS credentials and endpoint as botocore finds them."""
        # here alone: each task loads its DAG's file, and this takes long to import
        from aiobotocore.session import get_session

        while True:
            try:
                async with get_session().create_client("sqs", region_name=self.region) as sqs:
                    while True:
                        if rung := await self._heard(sqs):
                            yield TriggerEvent({"messages": rung})
            except Exception as error:  # noqa: BLE001 - an escaping error would end the trigger without a word
                self.log.warning("the bell queue %s does not answer: %s", self.queue_url, error)
                await asyncio.sleep(_AFTER_AN_ERROR)

    async def _heard(self, sqs: Any) -> int:
        """How many messages have come, once one has come or a while is over; told whatever follows."""
        count, wait = 0, _WAIT
        while count < _AT_ONCE:
            try:
                more = await self._received(sqs, wait)
            except Exception as error:
                if not count:
                    raise
                self.log.warning("the bell queue %s stopped answering: %s", self.queue_url, error)
                break
            if not more:
                break
            count, wait = count + more, 0
        return count

    async def _received(self, sqs: Any, wait: int) -> int:
        answer = await sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        messages = answer.get("Messages", [])
        if not messages:
            return 0
        await sqs.delete_message_batch(
            QueueUrl=self.queue_url,
            Entries=[{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)],
        )
        return len(messages)
