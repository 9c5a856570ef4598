"""What shoppers get back: the request, its lines, its parts (one per instrument), each try, and what the books hear."""

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
    UniqueConstraint,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, Quantity, metadata

refund_request = Table(
    "refund_request",
    metadata,
    Column("request_id", BigInteger, Identity(), primary_key=True),
    Column("asked_key", Text, nullable=False, unique=True, comment="the caller's own: the same question asks once"),
    Column("shopping_trip_id", Identifier, nullable=False, index=True),
    Column("store_id", Identifier, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Instant, nullable=False, comment="the window is counted here"),
    Column(
        "is_return",
        Boolean,
        nullable=False,
        server_default="false",
        comment="money that came although nothing was owed goes back; no sale is undone",
    ),
    Column("asked", Json, nullable=False, server_default="{}", comment="what was asked, to know the question again"),
    Column("needs_approval", Boolean, nullable=False, server_default="false", comment="of a second person"),
    Column("goods_returned", Boolean, nullable=False, server_default="false", comment="they go back into the stock"),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("decision_reason", Text),
    CheckConstraint(
        "reason in ('DAMAGED_ITEM','EXPIRED_ITEM','UNWANTED_ITEM','JWO_TECH_ERROR','OTHER')", name="reason"
    ),
    CheckConstraint("state in ('AWAITING_APPROVAL','APPROVED','REJECTED','DONE','FAILED')", name="state"),
    CheckConstraint("lower(trim(decided_by)) <> lower(trim(requested_by))", name="second_person"),
    CheckConstraint(
        "not needs_approval or state = 'AWAITING_APPROVAL' or decided_by is not null", name="approved_by_someone"
    ),
    CheckConstraint("amount > 0", name="amount"),
)
Index("ix_refund_request_state", refund_request.c.state)

refund_request_line = Table(
    "refund_request_line",
    metadata,
    Column("request_id", BigInteger, ForeignKey("refund_request.request_id"), nullable=False),
    Column("line_number", Integer, nullable=False),
    Column("quantity", Quantity, nullable=False, comment="in the line's unit"),
    Column("amount", Amount, nullable=False, comment="tax included"),
    PrimaryKeyConstraint("request_id", "line_number"),
    CheckConstraint("quantity > 0 and amount >= 0", name="amount"),
)

refund = Table(
    "refund",
    metadata,
    Column("refund_id", BigInteger, Identity(), primary_key=True),
    Column("request_id", BigInteger, ForeignKey("refund_request.request_id"), nullable=False, index=True),
    Column("shopping_trip_id", Identifier, nullable=False, index=True),
    Column("store_id", Identifier, nullable=False),
    Column("instrument", Text, nullable=False, comment="DEBT: an open debt is reduced; CAPTURE; PAYOFF:<id>"),
    Column("refund_request_key", Text, nullable=False, unique=True, comment="refundRequestId: made once, kept"),
    Column("currency", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("state", Text, nullable=False),
    Column("reconciliation_id", Text),
    Column("initiated_at", Instant),
    Column("final_at", Instant),
    Column("next_attempt_at", Instant, comment="due at; null: nothing to do"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("fencing", BigInteger, nullable=False, server_default="0"),
    CheckConstraint(
        "state in ('WAITING','DUE','UNKNOWN','INITIATED','FINAL','REFUSED','PARKED','DROPPED')", name="state"
    ),
    CheckConstraint("amount > 0", name="amount"),
)
Index("ix_refund_due", refund.c.next_attempt_at, postgresql_where=refund.c.next_attempt_at.isnot(None))

refund_attempt = Table(
    "refund_attempt",
    metadata,
    Column("attempt_id", BigInteger, Identity(), primary_key=True),
    Column("refund_id", BigInteger, ForeignKey("refund.refund_id"), nullable=False, index=True),
    Column("number", Integer, nullable=False, comment="of this refund, from 1"),
    Column("fencing", BigInteger, nullable=False),
    Column("request", Json, nullable=False),
    Column("intended_at", Instant, nullable=False, comment="business time"),
    Column(
        "given_by_others", Amount, comment="when it was intended: Amazon's figure of the trip's refunds beyond ours"
    ),
    Column("outcome", Text, comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome"),
    Column("http_status", Integer),
    Column("answer", Json),
    Column("latency_seconds", Float),
    Column("finished_at", Instant),
    UniqueConstraint("refund_id", "number"),
)

refund_event = Table(
    "refund_event",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("refund_id", BigInteger, ForeignKey("refund.refund_id"), nullable=False),
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("store_id", Identifier, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("currency", Text, nullable=False),
    Column("happened_at", Instant, nullable=False),
    Column("source", Text, nullable=False, comment="with refund and kind: the same news is kept once"),
    Column("details", Json, nullable=False, server_default="{}"),
    Column("to_book", Boolean, nullable=False, server_default="true", comment="the ledger has not booked it yet"),
    UniqueConstraint("refund_id", "kind", "source"),
    CheckConstraint("kind in ('DEBT_REDUCED','INITIATED','FINAL','REVERSED')", name="kind"),
)
Index("ix_refund_event_to_book", refund_event.c.event_id, postgresql_where=refund_event.c.to_book)
Index("ix_refund_event_happened", refund_event.c.store_id, refund_event.c.happened_at)
