"""What a message of the intra-day queue announces: an S3 event inside an SNS notification. Pure.

Several messages may speak of one file, in any order, and a file may be rewritten under its key (docs/feeds.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from backroom.clock import parse_instant

_KEY = re.compile(r"(?P<merchant>[^/]+)/(?P<store>[^/]+)/orders_(?P<day>\d{8})_(?P<time>\d{4})\.csv")
_NOT_FILES = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


class Malformed(ValueError):
    """The message is not an S3 event inside SNS; it says what is missing."""


@dataclass(frozen=True)
class Announcement:
    """One object that was written. `version` and (bucket, key) are its identity."""

    bucket: str
    key: str
    version: str  # versionId, else sequencer, else eTag and eventTime
    version_id: str | None
    sequencer: str  # padded, so that text order is S3's order; '' where there is none
    etag: str
    announced_at: datetime
    size: int | None = None  # bytes
    link: str | None = None  # presigned, lives for 60 minutes; a secret


@dataclass(frozen=True)
class KeyName:
    """What a key says: whose file it is, and the end of its window (UTC)."""

    merchant: str
    store_id: str
    window_end: datetime


def parse(body: str) -> list[Announcement]:
    """The files that one SQS body announces; none for SNS's own messages and S3's test event. Raises Malformed."""
    envelope = _object(body, "the body")
    if envelope.get("Type") in _NOT_FILES:
        return []
    message = envelope.get("Message")
    event = _object(message, "its Message") if envelope.get("Type") == "Notification" else envelope
    if event.get("Event") == "s3:TestEvent":
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise Malformed("it has no Records")
    return [_record(record) for record in records if _is_creation(record)]


def parse_key(key: str) -> KeyName | None:
    """`<merchant>/<store>/orders_YYYYMMDD_HHMM.csv`, or None where the key is not of that shape."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match["day"] + match["time"], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return KeyName(match["merchant"], match["store"], moment)


def _object(text: Any, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def _is_creation(record: Any) -> bool:
    if not isinstance(record, dict):
        raise Malformed("a record is not a JSON object")
    return str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated:")


def _record(record: dict[str, Any]) -> Announcement:
    try:
        s3 = record["s3"]
        entry = s3["object"]
        announced_at = parse_instant(record["eventTime"])
        etag = _text(entry.get("eTag") or "", "eTag").strip('"')
        version_id = _text(entry.get("versionId") or "", "versionId") or None
        sequencer = _text(entry.get("sequencer") or "", "sequencer")
        return Announcement(
            bucket=_text(s3["bucket"]["name"], "bucket name"),
            key=_text(unquote_plus(_text(entry["key"], "key")), "key"),
            version=version_id or sequencer or f"{etag} {announced_at.isoformat()}",
            version_id=version_id,
            # S3: pad the shorter one with zeros on the right, then compare as text
            sequencer=sequencer.upper().ljust(32, "0") if sequencer else "",
            etag=etag,
            announced_at=announced_at,
            size=_size(entry.get("size")),
            link=_link(entry.get("presignedUrl") or record.get("presignedUrl")),
        )
    except Malformed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"a record lacks {error}") from error


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _link(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 8000 or not value.startswith(("https://", "http://")):
        raise Malformed("a record's presignedUrl is not a link")
    return value


def _text(value: Any, what: str) -> str:
    """Text that PostgreSQL can keep and index: no NUL, no half of a surrogate pair, as long as S3's longest key."""
    if not isinstance(value, str) or "\0" in value or len(value.encode(errors="replace")) > 1024:
        raise Malformed(f"a record's {what} is not text of at most 1,024 bytes without NUL")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Malformed(f"a record's {what} is not Unicode text")
    return value
