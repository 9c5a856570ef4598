"""The processors' signed webhooks: checked and kept by the portal, applied by the pipeline.

What a webhook tells and what a look finds both end in `learning.learn`, so that one thing is settled once, whichever
comes first. Stripe's signature scheme (a time stamp and an HMAC-SHA256 over it and the body) is the sandbox's too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import stripe
import structlog
from sqlalchemy import Connection, Engine, RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.alerts import raise_alert
from backroom.amazon import exact_json
from backroom.card_numbers import remove_card_numbers
from backroom.processors import sandbox_adapter, stripe_answers
from backroom.processors.learning import learn, learn_refund
from backroom.processors.port import Payment, Refunded
from backroom.processors.tables import processor_webhook
from backroom.settings import Settings

_KEPT: Final = (
    "object", "id", "status", "amount", "amount_capturable", "amount_received", "currency", "metadata", "reference",
    "state", "held", "captured", "canceled_at", "payment_intent",
)  # fmt: skip
_PAYMENT_EVENTS: Final = ("payment_intent.", "payment.")
_REFUND_EVENTS: Final = ("refund.", "charge.refund.")
_AT_ONCE: Final = 500
_log = structlog.get_logger()


class WebhookRefused(Exception):
    """It is not taken. `status` is HTTP's; the text never quotes the call."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def receive(
    connection: Connection, processor: str, body: bytes, signature: str | None, config: Settings, *, now: datetime
) -> bool:
    """Checks a webhook and keeps it in the caller's transaction; False where its event is there already.

    Raises WebhookRefused: 404 where no secret is set, 400 for a bad or old signature, or a body that is no event.
    """
    secret = config.stripe_webhook_secret if processor == "STRIPE" else config.sandbox_webhook_secret
    if secret is None:
        raise WebhookRefused(404, "webhook: none is expected from this processor")
    try:
        stripe.WebhookSignature.verify_header(
            body, signature, secret.get_secret_value(), tolerance=config.webhook_tolerance_seconds
        )
    except (stripe.SignatureVerificationError, ValueError, TypeError) as error:
        raise WebhookRefused(400, "signature: it does not hold") from error
    event = _event(body)
    row = connection.execute(
        upsert(processor_webhook)
        .values(processor=processor, received_at=now, **event)
        .on_conflict_do_nothing()
        .returning(processor_webhook.c.event_id)
    )
    return row.one_or_none() is not None


def apply_new(engine: Engine, *, now: datetime) -> dict[str, int]:
    """Applies what has come in, each event in a transaction of its own; counts by what it was about.

    One that fails keeps no other waiting: it is left as it was, an alert names it, and the next run tries it again.
    """
    counts: Counter[str] = Counter()
    failed: list[str] = []
    for _ in range(_AT_ONCE):
        row = None
        try:
            with engine.begin() as connection:
                row = _next(connection, but=failed)
                if row is None:
                    break
                result = _apply(connection, row, now)
                _applied(connection, row, result, now)
        except Exception:
            if row is None:  # the database, not an event
                raise
            _log.exception("webhook_failed", processor=row["processor"], event_id=row["event_id"])
            failed.append(row["event_id"])
        else:
            counts[result.split(":")[0]] += 1
    if failed:
        _tell_of_failures(engine, failed, now)
        counts["failed"] = len(failed)
    return dict(counts)


def _tell_of_failures(engine: Engine, failed: list[str], now: datetime) -> None:
    with engine.begin() as connection:
        raise_alert(
            connection,
            key=f"webhooks-failed:{now.date()}",
            severity="critical",
            title=f"{len(failed)} webhooks of a payment processor could not be applied, {failed[0]} first",
            what_to_do="the log of preauthorizations.take_in says why (webhook_failed); docs/processors.md, Webhooks",
            now=now,
            subject=failed[0],
        )


def _next(connection: Connection, *, but: list[str]) -> RowMapping | None:
    return (
        connection.execute(
            select(processor_webhook)
            .where(processor_webhook.c.applied_at.is_(None), processor_webhook.c.event_id.not_in(but))
            .order_by(processor_webhook.c.received_at, processor_webhook.c.event_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        .mappings()
        .one_or_none()
    )


def _applied(connection: Connection, row: RowMapping, result: str, now: datetime) -> None:
    connection.execute(
        update(processor_webhook)
        .where(processor_webhook.c.processor == row["processor"], processor_webhook.c.event_id == row["event_id"])
        .values(applied_at=now, result=result)
    )


def _apply(connection: Connection, row: RowMapping, now: datetime) -> str:
    processor, kind, body = row["processor"], row["type"], row["body"]
    try:
        if kind.startswith(_PAYMENT_EVENTS):
            return learn(connection, processor, _payment(processor, body), now=now)
        if kind.startswith(_REFUND_EVENTS):
            source = f"webhook:{row['event_id']}"
            return learn_refund(connection, processor, _refund(processor, body), source=source, now=now)
    except _NotUnderstood:
        return "not understood"
    return "not needed"


class _NotUnderstood(Exception):
    pass


def _payment(processor: str, body: Mapping[str, Any]) -> Payment:
    with _reading():
        if processor == "STRIPE":
            return stripe_answers.payment_of(dict(body))
        exact = {name: Decimal(str(body[name])) for name in ("held", "captured")}
        return sandbox_adapter.payment_of({**body, **exact})


def _refund(processor: str, body: Mapping[str, Any]) -> Refunded:
    with _reading():
        if processor == "STRIPE":
            return stripe_answers.refund_of(dict(body))
        return sandbox_adapter.refund_of({**body, "amount": Decimal(str(body["amount"]))})


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise _NotUnderstood from error


def _event(body: bytes) -> dict[str, Any]:
    """The event's id, type and payment, without what is not needed. Raises WebhookRefused."""
    try:
        event = exact_json.loads(body)
        told = event["data"]["object"]
        kept = {name: told[name] for name in _KEPT if name in told}
        number, kind, name = event["id"], event["type"], told.get("id")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WebhookRefused(400, "body: not an event") from error
    texts = (number, kind) if name is None else (number, kind, name)
    if not all(isinstance(value, str) and 0 < len(value) <= 255 for value in texts) or b"\\u0000" in body:
        raise WebhookRefused(400, "body: not an event")
    return {
        "event_id": number,
        "type": kind,
        "processor_reference": name,
        "body": remove_card_numbers(_plain(kept), keep=frozenset({("id",)})),
    }


def _plain(value: Any) -> Any:
    """For a JSON column: exact numbers as they were written."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | bool) else f"{value:f}"
