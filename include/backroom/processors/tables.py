"""The retailer's own payment processor: shoppers' instruments, holds of the gate, every call, every webhook.

Never a card number: a brand, the last four digits, tokens.
"""

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
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, metadata

payment_instrument = Table(
    "payment_instrument",
    metadata,
    Column("instrument_id", BigInteger, Identity(), primary_key=True),
    Column("shopper_id", Identifier, ForeignKey("shopper.shopper_id"), nullable=False, index=True),
    Column("processor", Text, nullable=False),
    Column("customer_token", Text, nullable=False),
    Column("method_token", Text, nullable=False),
    Column("brand", Text, nullable=False, comment="VISA, MASTERCARD, …: the networks' caps go by it"),
    Column("last_four", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("last_four ~ '^[0-9]{4}$'", name="last_four"),
    CheckConstraint("processor in ('STRIPE','SANDBOX')", name="processor"),
)

preauthorization = Table(
    "preauthorization",
    metadata,
    Column("auth_event_id", Identifier, primary_key=True, comment="of the gate's decision: one hold each"),
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("shopper_id", Identifier, nullable=False),
    Column("processor", Text, nullable=False),
    Column("instrument_id", BigInteger, ForeignKey("payment_instrument.instrument_id")),
    Column("currency", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("state", Text, nullable=False, server_default="INTENDED"),
    Column("processor_reference", Text),
    Column("shopping_trip_id", Identifier, index=True, comment="once its cart has come"),
    Column("intended_at", Instant, nullable=False),
    Column("next_attempt_at", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("fencing", BigInteger, nullable=False, server_default="0"),
    Column("finished_at", Instant),
    CheckConstraint(
        "state in ('INTENDED','HELD','DECLINED','UNKNOWN','NO_INSTRUMENT','VOIDED','USED','PARKED')", name="state"
    ),
)
Index(
    "ix_preauthorization_due",
    preauthorization.c.next_attempt_at,
    postgresql_where=preauthorization.c.next_attempt_at.isnot(None),
)

processor_call = Table(
    "processor_call",
    metadata,
    Column("call_id", BigInteger, Identity(), primary_key=True),
    Column("processor", Text, nullable=False),
    Column("operation", Text, nullable=False, comment="AUTHORIZE, ADJUST, CAPTURE, VOID, REFUND, LOOKUP, PAY"),
    Column("reference", Text, nullable=False, comment="our key: the same for every try of one thing"),
    Column("subject", Identifier, nullable=False, comment="the trip, gate event, refund or payoff"),
    Column("instrument_id", BigInteger),
    Column("brand", Text),
    Column("amount", Amount),
    Column("currency", Text),
    Column("intended_at", Instant, nullable=False, comment="business time"),
    Column("outcome", Text, comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome"),
    Column("answer", Json),
    Column("latency_seconds", Float),
    Column("finished_at", Instant),
    Column(
        "to_hear",
        Boolean,
        nullable=False,
        server_default="true",
        comment="its charge may not know yet that it tells of a capture",
    ),
)
Index("ix_processor_call_reference", processor_call.c.reference)
Index("ix_processor_call_subject", processor_call.c.subject)
Index(
    "ix_processor_call_to_hear",
    processor_call.c.subject,
    postgresql_where=text(
        "to_hear and operation in ('CAPTURE', 'LOOKUP') and outcome = 'SUCCEEDED' and answer ->> 'state' = 'CAPTURED'"
        " and answer ? 'captured'"
    ),
)
Index("ix_processor_call_caps", processor_call.c.instrument_id, processor_call.c.intended_at)

processor_webhook = Table(
    "processor_webhook",
    metadata,
    Column("processor", Text, nullable=False),
    Column("event_id", Identifier, nullable=False, comment="the processor's: taken once"),
    Column("type", Text, nullable=False),
    Column("processor_reference", Text, index=True),
    Column("body", Json, nullable=False, comment="without what is not needed"),
    Column("received_at", Instant, nullable=False),
    Column("applied_at", Instant),
    Column("result", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("processor", "event_id"),
)
