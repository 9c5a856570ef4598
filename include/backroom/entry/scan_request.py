"""The bodies of `POST /v1/identity/scan` and `/v1/identity/scan/details` (inbound.md, 2 and 3)."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from backroom.entry.scan import Scan
from backroom.entry.wire import (
    BASE64_PATTERN,
    PADDED_BASE64_PATTERN,
    UUID_PATTERN,
    Identifier,
    Instant,
    KeyChannel,
    Location,
    Uuid,
    WireModel,
)

BLANKS = " \t\r\n"
_UUID, _BASE64 = re.compile(UUID_PATTERN), re.compile(BASE64_PATTERN)
_PADDED_UUID = UUID_PATTERN.replace("^", "^[ \\t\\r\\n]*").replace("$", "[ \\t\\r\\n]*$")


class ScanEventField(WireModel):
    """What was scanned. `value` is in Base64; where it is absent or blank, an `id` that is no UUID is the value."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["value"], "properties": {"value": {"type": "string", "pattern": PADDED_BASE64_PATTERN}}},
                {"properties": {"id": {"type": "string", "pattern": PADDED_BASE64_PATTERN}}},
            ]
        }
    )

    id: Annotated[
        str,
        StringConstraints(max_length=1000),
        Field(json_schema_extra={"anyOf": [{"pattern": _PADDED_UUID}, {"pattern": PADDED_BASE64_PATTERN}]}),
    ]
    timestamp: Instant
    location: Location
    value: (
        Annotated[
            str,
            StringConstraints(max_length=1000),
            Field(json_schema_extra={"pattern": f"^[ \\t\\r\\n]*$|{PADDED_BASE64_PATTERN}"}),
        ]
        | None
    ) = None
    channel: KeyChannel | None = None

    @model_validator(mode="after")
    def _holds_a_value(self) -> ScanEventField:
        event_id, value = self.id.strip(BLANKS), (self.value or "").strip(BLANKS)
        is_uuid = _matches(_UUID, event_id)
        if not is_uuid and not _matches(_BASE64, event_id):
            raise ValueError("id: neither a UUID nor a value in Base64")
        if not value and is_uuid:
            raise ValueError("value: required")
        if value and not _matches(_BASE64, value):
            raise ValueError("value: not Base64")
        return self

    @property
    def event_id(self) -> str | None:
        """The event's id, where it is a UUID."""
        stripped = self.id.strip(BLANKS)
        return stripped if _matches(_UUID, stripped) else None

    def scanned(self) -> bytes:
        """The value, decoded."""
        return base64.b64decode((self.value or "").strip(BLANKS) or self.id.strip(BLANKS))


class ScanRequest(WireModel):
    """A loyalty card or another code was scanned."""

    request_id: Uuid
    store_id: Identifier
    scan_event: ScanEventField

    def scan(self) -> Scan:
        """In the terms of `backroom.entry.scan`: the value decoded, the id that a repeat is known by."""
        event = self.scan_event
        return Scan(
            event_id=event.event_id or self.request_id,
            store_id=self.store_id,
            value=event.scanned(),
            at=event.timestamp,
            at_entry=event.location == "ENTRY",
        )


class ScanResultField(WireModel):
    """What a scan was resolved to."""

    id: Identifier
    type: Literal["SHOPPER", "ASSOCIATE", "CASH", "CASH_SHOPPER", "LOYALTY"]


class ScanDetailsRequest(WireModel):
    """Which promotions does a scan result bring?"""

    store_id: Identifier
    scan_result: ScanResultField


def without_what_was_scanned(raw: dict[str, Any]) -> dict[str, Any]:
    """The call as it is kept: without the value, and without an id that may be the value."""
    event = raw.get("scanEvent")
    if not isinstance(event, dict):
        return raw
    event_id = str(event.get("id", "")).strip(BLANKS)
    dropped = {"value"} if _matches(_UUID, event_id) else {"value", "id"}
    return {**raw, "scanEvent": {name: value for name, value in event.items() if name not in dropped}}


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None
