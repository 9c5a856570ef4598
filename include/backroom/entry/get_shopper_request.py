"""The body of `POST /v1/identity/shopper`, inbound (inbound.md, 4)."""

from __future__ import annotations

import base64
from typing import Literal

from backroom.entry.get_shopper import ShopperQuestion
from backroom.entry.wire import Identifier, Instant, Key, Uuid, WireModel


class GetShopperRequest(WireModel):
    """Who is the shopper whom an associate helps? Without a type, the key is read as a QR code's."""

    request_id: Uuid
    shopper_key: Key
    shopper_key_type: Literal["QR_CODE", "PHONE_NUMBER"] | None = None
    store_id: Identifier
    timestamp: Instant

    def question(self) -> ShopperQuestion:
        """In the terms of `backroom.entry.get_shopper`: the key decoded."""
        return ShopperQuestion(
            request_id=self.request_id,
            store_id=self.store_id,
            key=base64.b64decode(self.shopper_key),
            may_be_scan_code=self.shopper_key_type != "PHONE_NUMBER",
            at=self.timestamp,
        )
