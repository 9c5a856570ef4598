"""The body of `POST /v1/identity/identity-keys` (inbound.md, 1)."""

from __future__ import annotations

import base64

from backroom.entry.gate import GateEvent
from backroom.entry.wire import Identifier, Instant, Key, KeyChannel, Location, Uuid, WireModel


class AuthEvent(WireModel):
    """What happened at the gate."""

    id: Uuid
    timestamp: Instant
    location: Location


class IdentityKeysRequest(WireModel):
    """Who stands at the gate, by the key that was scanned."""

    request_id: Uuid
    identity_key: Key
    store_id: Identifier
    auth_event: AuthEvent
    key_channel: KeyChannel | None = None

    def gate_event(self) -> GateEvent:
        """In the gate's own terms: the key decoded."""
        return GateEvent(
            request_id=self.request_id,
            store_id=self.store_id,
            key=base64.b64decode(self.identity_key),
            auth_event_id=self.auth_event.id,
            at=self.auth_event.timestamp,
        )
