"""The gate over the same database, asked as Amazon asks."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime

from sqlalchemy import Engine

from backroom.settings import Settings
from connector_app.amazon import create_app


def at_gate(engine: Engine, code: str, at: datetime, store_id: str = "STORE-001") -> int:
    """The status with which our connector answers a code that is shown at that moment."""
    assert engine is not None
    client = create_app(Settings(connector_auth="off"), lambda: at).test_client()
    body = {
        "requestId": str(uuid.uuid4()),
        "identityKey": base64.b64encode(code.encode()).decode(),
        "storeId": store_id,
        "authEvent": {"id": str(uuid.uuid4()), "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "location": "ENTRY"},
    }
    return client.post("/v1/identity/identity-keys", json=body).status_code
