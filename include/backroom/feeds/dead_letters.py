"""Messages that could not be taken in after so many tries: looked at, and put back into their queue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from backroom.errors import BackroomError
from backroom.feeds import queues
from backroom.feeds.aws import Aws

_LINK = re.compile(r'https?://[^\s"\\]+')  # whoever has a presigned one may read the file
_LOOKS_FOR = 30  # seconds for which a message is hidden while it is looked at


@dataclass(frozen=True)
class DeadLetter:
    """A message of a dead-letter queue. `reason` is ours; None: SQS itself moved it after too many tries."""

    message_id: str
    reason: str | None
    body: str


def look(aws: Aws, queue: str, *, limit: int = 50) -> list[DeadLetter]:
    """Up to `limit` messages, which stay where they are. Raises BackroomError where the queue has no dead letters."""
    url = _dead(aws, queue)
    seen: dict[str, dict[str, Any]] = {}
    while len(seen) < limit:
        messages = _receive(aws, url, hidden=_LOOKS_FOR)
        seen |= {message["MessageId"]: message for message in messages}
        if not messages:
            break
    for message in seen.values():  # what is only looked at stays for others
        aws.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    return [_letter(message) for message in seen.values()][:limit]


def replay(aws: Aws, queue: str, *, limit: int = 1000) -> int:
    """Put up to `limit` messages back into their queue; how many. What is broken for good comes back.

    A message is sent before it is deleted: where that is cut off it comes twice, and is known the second time.
    """
    dead, moved = _dead(aws, queue), 0
    while moved < limit:
        messages = _receive(aws, dead, hidden=60)[: limit - moved]
        if not messages:
            break
        for message in messages:
            aws.sqs.send_message(QueueUrl=aws.queue_url(queue), MessageBody=message["Body"])
        queues.delete(aws.sqs, dead, messages)
        moved += len(messages)
    return moved


def _dead(aws: Aws, queue: str) -> str:
    url = queues.dead_letters_of(aws.sqs, aws.queue_url(queue))
    if url is None:
        raise BackroomError(f"the queue {queue} has no dead-letter queue; give it a redrive policy")
    return url


def _receive(aws: Aws, url: str, *, hidden: int) -> list[dict[str, Any]]:
    answer = aws.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=hidden, MessageAttributeNames=["reason"]
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _letter(message: dict[str, Any]) -> DeadLetter:
    reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
    return DeadLetter(message["MessageId"], reason, _LINK.sub("(a link)", message["Body"]))
