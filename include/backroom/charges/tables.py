"""A charge is an append-only list of events; the row beside it is their fold, kept for the queue."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, metadata

charge = Table(
    "charge",
    metadata,
    Column("shopping_trip_id", Identifier, primary_key=True),
    Column("store_id", Identifier, nullable=False, comment="of the purchase, or of the trip that is cancelled"),
    Column("currency", Text, nullable=False),
    Column("total", Amount, nullable=False, comment="what the trip costs; 0: only a cancel is due"),
    Column("state", Text, nullable=False, comment="the fold's state: docs/money.md draws the table"),
    Column("authorized", Amount, nullable=False, server_default="0"),
    Column("captured", Amount, nullable=False, server_default="0", comment="final, by evidence"),
    Column("capture_initiated", Amount, nullable=False, server_default="0", comment="begun, not yet final"),
    Column("expires_at", Instant, nullable=False, comment="when the payment token ends"),
    Column("next_attempt_at", Instant, comment="due at; null: nothing to do"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("fencing", BigInteger, nullable=False, server_default="0", comment="grows with each claim"),
    Column("to_book", Boolean, nullable=False, server_default="true", comment="the ledger has news of it to book"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
Index(
    "ix_charge_due",
    charge.c.store_id,
    charge.c.next_attempt_at,
    charge.c.shopping_trip_id,
    postgresql_where=charge.c.next_attempt_at.isnot(None),
)
Index("ix_charge_state", charge.c.state)
Index("ix_charge_settled", charge.c.updated_at, postgresql_where=charge.c.state.in_(["CAPTURED", "IN_DEBT"]))
Index("ix_charge_created", charge.c.created_at, charge.c.shopping_trip_id)
Index("ix_charge_to_book", charge.c.shopping_trip_id, postgresql_where=charge.c.to_book)

charge_event = Table(
    "charge_event",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, ForeignKey("charge.shopping_trip_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", Amount),
    Column("currency", Text),
    Column("happened_at", Instant, nullable=False),
    Column("heard_at", Instant, nullable=False),
    Column("source", Text, nullable=False, comment="CONNECTOR, ATTEMPT, ORDER_ROW, EVENT, PERSON, CLOCK"),
    Column("source_id", Text, nullable=False, comment="with source and kind: the same news is kept once"),
    Column("details", Json, nullable=False, server_default="{}"),
    UniqueConstraint("shopping_trip_id", "kind", "source", "source_id"),
)
Index(
    "ix_charge_event_debt",
    charge_event.c.happened_at,
    postgresql_where=charge_event.c.kind.in_(["DEBT_OPENED", "DEBT_WITHDRAWN"]),
)

charge_attempt = Table(
    "charge_attempt",
    metadata,
    Column("attempt_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, ForeignKey("charge.shopping_trip_id"), nullable=False, index=True),
    Column("operation", Text, nullable=False),
    Column("number", Integer, nullable=False, comment="of this operation on this trip, from 1"),
    Column("fencing", BigInteger, nullable=False),
    Column("request", Json, nullable=False),
    Column("intended_at", Instant, nullable=False, comment="business time"),
    Column("outcome", Text, comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome"),
    Column("http_status", Integer),
    Column("answer", Json),
    Column("latency_seconds", Float),
    Column("finished_at", Instant),
    UniqueConstraint("shopping_trip_id", "operation", "number"),
    CheckConstraint("operation in ('ADJUST','CAPTURE','CANCEL')", name="operation"),
)
