"""Amazon's event feed: every event kept once, by its id, as it came. What it means for a charge is judged there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.clock import parse_instant
from backroom.feeds import queues
from backroom.feeds.aws import Aws

KINDS = ("CART", "PAYMENT", "SHOPPER", "TEST")  # the last two are kept, counted and ignored
SUBTYPES = ("AuthorizationApproved", "AuthorizationDeclined", "CaptureApproved", "CaptureDeclined")
DECLINES = ("AuthorizationDeclined", "CaptureDeclined")
_log = structlog.get_logger()


@dataclass(frozen=True)
class Counts:
    """What a drain found. `unknown` are among `new`: kept, not understood."""

    new: int = 0
    known_already: int = 0
    unknown: int = 0
    malformed: int = 0


class Malformed(ValueError):
    """The message is not an EventBridge envelope."""


@dataclass(frozen=True)
class Event:
    """One event. `known` is false where Backroom does not know what it means."""

    event_id: str
    detail_type: str
    subtype: str | None
    shopping_trip_id: str | None
    store_id: str | None
    happened_at: datetime
    known: bool
    body: str  # kept to the letter, so that amounts stay exact


def drain(engine: Engine, aws: Aws, *, now: datetime, max_messages: int = 100_000) -> Counts:
    """Take in all that waits in the events queue. A message is deleted after its event is committed.

    What is no event at all goes to the dead-letter queue, with an alert. Declines alert at once.
    """
    url = aws.queue_url(aws.events_queue)
    new = known = unknown = malformed = 0
    for messages in queues.receive(aws.sqs, url, max_messages=max_messages):
        done = []
        with engine.begin() as connection:
            unstorable = _unstorable(connection, [message["Body"] for message in messages if _is_json(message["Body"])])
            for message in messages:
                try:
                    if message["Body"] in unstorable:
                        raise Malformed("it is not JSON that can be kept")
                    event = parse(message["Body"])
                except Malformed as error:
                    malformed += 1
                    _put_aside(connection, aws, url, message, str(error), now)
                    continue
                done.append(message)
                if not _keep(connection, event, now):
                    known += 1
                    continue
                new += 1
                unknown += not event.known
                if event.subtype in DECLINES:
                    _alert_decline(connection, event, now)
        queues.delete(aws.sqs, url, done)
    return Counts(new, known, unknown, malformed)


def parse(body: str) -> Event:
    """The event of one SQS body. Raises Malformed."""
    try:
        envelope = json.loads(body)
        detail = envelope.get("detail")
        event_id, kind = envelope["id"], envelope["detail-type"]
        happened_at = parse_instant(envelope["time"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"it is not an event envelope: {error}") from error
    if not isinstance(event_id, str) or not isinstance(kind, str) or not 0 < len(event_id) <= 255:
        raise Malformed("its id or detail-type is not text of 1 to 255 characters")
    fields = detail if isinstance(detail, dict) else {}
    subtype = _text(fields, "subtype")
    kind = kind.upper()
    trip = _text(fields, "shoppingTripId")
    understood = kind in ("SHOPPER", "TEST") or (
        trip is not None and (kind == "CART" or (kind == "PAYMENT" and subtype in SUBTYPES))
    )
    return Event(event_id, kind, subtype, trip, _text(fields, "storeId"), happened_at, understood, body)


def _is_json(body: str) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):  # PostgreSQL raises where a body is nested too deeply, so it is not asked
        return False
    return True


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def _unstorable(connection: Connection, bodies: list[str]) -> set[str]:
    """Bodies that PostgreSQL can't keep as JSON: broken ones, and those with an escaped NUL."""
    found = connection.execute(
        text("select body from unnest(cast(:bodies as text[])) as body where not pg_input_is_valid(body, 'jsonb')"),
        {"bodies": bodies},
    )
    return set(found.scalars())


def _keep(connection: Connection, event: Event, now: datetime) -> bool:
    kept = connection.execute(
        text(
            "insert into feed_event (event_id, detail_type, subtype, shopping_trip_id, store_id, happened_at,"
            " received_at, known, envelope) values (:event_id, :detail_type, :subtype, :shopping_trip_id, :store_id,"
            " :happened_at, :now, :known, cast(:body as jsonb)) on conflict (event_id) do nothing"
        ),
        {**event.__dict__, "now": now},
    )
    if kept.rowcount and not event.known:
        _log.warning("event_not_understood", event_id=event.event_id, kind=event.detail_type, subtype=event.subtype)
    return kept.rowcount == 1


def _put_aside(connection: Connection, aws: Aws, url: str, message: dict[str, Any], reason: str, now: datetime) -> None:
    moved = queues.dead_letter(aws.sqs, url, message, reason)
    _log.warning("event_malformed", message_id=message["MessageId"], reason=reason, moved=moved)
    raise_alert(
        connection,
        key="feeds:malformed-event",
        severity="warning",
        title="A message of the events queue is not an event",
        what_to_do="Look at the dead-letter queue backroom-events-dead; each message says why.",
        now=now,
    )


def _alert_decline(connection: Connection, event: Event, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"decline:{event.subtype}:{event.shopping_trip_id}",
        severity="warning",
        title=f"Amazon reports {event.subtype} for trip {event.shopping_trip_id}",
        what_to_do=f"Nothing, unless there are many: `backroom charges show {event.shopping_trip_id}`.",
        now=now,
        subject=event.shopping_trip_id,
        store_id=event.store_id,
    )
