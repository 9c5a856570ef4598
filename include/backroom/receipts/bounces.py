"""Notices of SES about receipts that did not arrive: bounces and complaints, by SNS into a queue of ours.

A message is deleted after its effect is committed; a copy has no further effect. What is not understood is left for the
dead-letter queue.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from backroom.alerts.raising import raise_alert

AT_ONCE: Final = 10
_MARK: Final = text(
    """
    update receipt_mail set state = 'BOUNCED', bounced_at = :now, problem = :problem
    where message_id = :message_id and state <> 'BOUNCED' returning mail_id, store_id
    """
)


def take_in(engine: Engine, sqs: Any, queue_url: str, *, now: datetime) -> Counter[str]:
    """Reads the queue until it is empty; counts by kind of notice."""
    counts: Counter[str] = Counter()
    while True:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=0)
        messages = answer.get("Messages", [])
        if not messages:
            return counts
        for message in messages:
            try:
                kind, message_id, problem = _read(message["Body"])
            except (ValueError, KeyError, TypeError, AttributeError):
                counts["NOT_UNDERSTOOD"] += 1
                continue
            with engine.begin() as connection:
                known = _mark(connection, message_id, problem, now)
            counts[kind if known else "NOT_OURS"] += 1
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def _mark(connection: Connection, message_id: str, problem: str, now: datetime) -> bool:
    row = connection.execute(_MARK, {"message_id": message_id, "problem": problem, "now": now}).one_or_none()
    if row is not None:
        raise_alert(
            connection,
            key="receipt-bounced",
            severity="info",
            title="receipts came back",
            what_to_do="`backroom receipts list --state BOUNCED` shows them; ask the shopper for another address",
            store_id=row.store_id,
            now=now,
        )
    return row is not None


def _read(body: str) -> tuple[str, str, str]:
    """(kind, SES's message id, why), with or without SNS's envelope. Addresses are left where they are."""
    told = json.loads(body)
    if "Message" in told:
        told = json.loads(told["Message"])
    kind = str(told.get("notificationType") or told["eventType"])
    detail = told.get(kind.lower(), {})
    why = detail.get("bounceType") or detail.get("complaintFeedbackType") or ""
    if kind not in ("Bounce", "Complaint"):
        raise ValueError(kind)
    return kind.upper(), str(told["mail"]["messageId"]), f"{kind} {why}".strip()
