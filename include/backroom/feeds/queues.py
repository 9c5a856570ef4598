"""Draining an SQS queue: a message is deleted only after what it said has been committed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_BATCH = 10  # SQS hands out and deletes at most ten at once


def receive(sqs: Any, url: str, *, max_messages: int) -> Iterator[list[dict[str, Any]]]:
    """Batches of up to ten messages until the queue has none to give or the limit is reached.

    The caller deletes what is done before it asks for the next batch; what it leaves comes back by itself.
    """
    taken = 0
    while taken < max_messages:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(_BATCH, max_messages - taken),
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return
        taken += len(messages)
        yield messages


def delete(sqs: Any, url: str, messages: list[dict[str, Any]]) -> None:
    """Delete up to ten messages. One that can't be deleted comes again, and is known then."""
    if messages:
        sqs.delete_message_batch(
            QueueUrl=url,
            Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
        )


def dead_letters_of(sqs: Any, url: str) -> str | None:
    """URL of the queue's dead-letter queue, None where it has none."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    target = json.loads(attributes.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
    return None if target is None else str(sqs.get_queue_url(QueueName=target.rsplit(":", 1)[1])["QueueUrl"])


def dead_letter(sqs: Any, url: str, message: dict[str, Any], reason: str) -> bool:
    """Move a message that can never be understood to the queue's dead-letter queue; False where it has none."""
    target = dead_letters_of(sqs, url)
    if target is None:
        return False
    sqs.send_message(
        QueueUrl=target,
        MessageBody=message["Body"],
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason[:250]}},
    )
    delete(sqs, url, [message])
    return True
