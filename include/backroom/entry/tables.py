"""What was decided at the gate, and the answer that a repeat gets again."""

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from backroom.db.metadata import Identifier, Instant, Json, metadata

gate_decision = Table(
    "gate_decision",
    metadata,
    Column("auth_event_id", Identifier, primary_key=True, comment="Amazon's idempotency key"),
    Column("request_id", Text, nullable=False),
    Column("store_id", Identifier, nullable=False, index=True),
    Column("key_hash", Text, nullable=False, comment="SHA-256 of the decoded key; the key itself is never kept"),
    Column("auth_event_at", Instant, nullable=False),
    Column("status", Integer, nullable=False, comment="HTTP status answered: 200 or 401"),
    Column("reason", Text, nullable=False, comment="why; kept, never sent"),
    Column("shopper_id", Identifier),
    Column("shopper_type", Text),
    Column("response_body", LargeBinary, nullable=False, comment="repeated byte for byte"),
    Column("raw_body", Json, nullable=False, comment="the request without the identity key"),
    Column("received_at", Instant, nullable=False),
)

scan_code_use = Table(
    "scan_code_use",
    metadata,
    Column("code_hash", Text, primary_key=True),
    Column("auth_event_id", Identifier, nullable=False, comment="the one gate event that this code serves"),
    Column("used_at", Instant, nullable=False),
)
