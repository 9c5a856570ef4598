"""What was decided at the gate, and the answer that a repeat gets again."""

from sqlalchemy import Boolean, CheckConstraint, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from backroom.db.metadata import Amount, Identifier, Instant, Json, metadata

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

shopper_authorization = Table(
    "shopper_authorization",
    metadata,
    Column("gate_authentication_event_id", Identifier, primary_key=True, comment="our idempotency key"),
    Column("shopping_trip_id", Identifier, index=True),
    Column("store_id", Identifier, nullable=False, index=True),
    Column(
        "shopper_identity",
        Identifier,
        nullable=False,
        index=True,
        comment="Amazon's token for the card: owns the trip's debts",
    ),
    Column("risk_strategy", Text, nullable=False, comment="of the store, when it was asked"),
    Column("recommended", Boolean, comment="Amazon's recommendation, where it gave one"),
    Column("authorized", Boolean, nullable=False),
    Column("reason", Text, nullable=False, comment="why; kept, never sent"),
    Column("amount", Amount, comment="the reduced amount, where there is one"),
    Column("currency", Text),
    Column("risks", Json, nullable=False, server_default="[]"),
    Column("body_hash", Text, nullable=False),
    Column("response_body", LargeBinary, nullable=False, comment="repeated byte for byte"),
    Column("raw_body", Json, nullable=False),
    Column("received_at", Instant, nullable=False),
)

identity_answer = Table(
    "identity_answer",
    metadata,
    Column("operation", Text, nullable=False, comment="SCAN or GET_SHOPPER"),
    Column("idempotency_key", Identifier, nullable=False, comment="scanEvent.id, or requestId"),
    Column("store_id", Identifier, nullable=False),
    Column("key_hash", Text, nullable=False, comment="SHA-256 of what was scanned; the value itself is never kept"),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False, comment="why; kept, never sent"),
    Column("shopper_id", Identifier),
    Column("response_body", LargeBinary, nullable=False, comment="repeated byte for byte"),
    Column("raw_body", Json, nullable=False, comment="the request without what was scanned"),
    Column("received_at", Instant, nullable=False),
    PrimaryKeyConstraint("operation", "idempotency_key"),
)

card_standing = Table(
    "card_standing",
    metadata,
    Column("shopper_identity", Identifier, primary_key=True, comment="Amazon's token for the card"),
    Column("standing", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("standing in ('FLAGGED','TRUSTED')", name="standing"),
)
