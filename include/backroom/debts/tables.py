"""What was not paid."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, metadata

debt = Table(
    "debt",
    metadata,
    Column("shopping_trip_id", Identifier, primary_key=True, comment="one debt per trip"),
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("shopper_id", Identifier, comment="who owes, for app entry"),
    Column("shopper_identity", Identifier, comment="the card's token, for card entry, where it was sent"),
    Column("cause", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Amount, nullable=False, comment="what the trip's charge leaves to be paid; 0: withdrawn"),
    Column("paid", Amount, nullable=False, server_default="0", comment="by payoffs, also after a write-off"),
    Column("reduced", Amount, nullable=False, server_default="0", comment="by refunds of the trip"),
    Column("written_off", Amount, nullable=False, server_default="0", comment="given up in the books, not yet paid"),
    Column(
        "returned",
        Amount,
        nullable=False,
        server_default="0",
        comment="more came for the trip than was owed: so much is given back, by a refund of its own",
    ),
    Column(
        "outstanding",
        Amount,
        Computed("amount + returned - paid - reduced - written_off", persisted=True),
        nullable=False,
    ),
    Column("state", Text, nullable=False, server_default="OPEN"),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("forgiven_at", Instant, comment="a person let the debtor in again by name; null: a write-off denies entry"),
    Column("escalated_at", Instant, comment="when it was handed to a person as old"),
    Column("age_days", Integer),
    Column("bucket", Text, comment="0-30, 31-60, 61-90, 90+ : by the last aging run"),
    Column("aged_on", Date),
    CheckConstraint("cause in ('ADJUST_DECLINED','PARTIAL_APPROVAL','CAPTURE_DECLINED','TOKEN_EXPIRED')", name="cause"),
    CheckConstraint("state in ('OPEN','PAID','WRITTEN_OFF')", name="state"),
    CheckConstraint(
        "amount >= 0 and paid >= 0 and reduced >= 0 and written_off >= 0 and returned >= 0"
        " and returned <= paid + reduced and paid + reduced + written_off - returned <= amount",
        name="amount",
    ),
)
Index("ix_debt_shopper", debt.c.shopper_id)
Index("ix_debt_shopper_identity", debt.c.shopper_identity)
Index("ix_debt_open", debt.c.state, debt.c.opened_at)
Index("ix_debt_store", debt.c.store_id, debt.c.closed_at)

debt_event = Table(
    "debt_event",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, nullable=False, comment="of the debt"),
    Column("kind", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("currency", Text, nullable=False),
    Column("happened_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", Text, nullable=False, comment="with trip and kind: the same news is kept once"),
    Column("details", Json, nullable=False, server_default="{}"),
    Column("to_book", Boolean, nullable=False, server_default="true", comment="the ledger has not booked it yet"),
    UniqueConstraint("shopping_trip_id", "kind", "source"),
    CheckConstraint(
        "kind in ('PAID','REDUCED','WRITTEN_OFF','WRITE_OFF_UNDONE','RECOVERED','FORGIVEN','PAYOFF_RETURNED')",
        name="kind",
    ),
    CheckConstraint("amount >= 0", name="amount"),
)
Index("ix_debt_event_to_book", debt_event.c.event_id, postgresql_where=debt_event.c.to_book)
Index("ix_debt_event_happened", debt_event.c.happened_at)

payoff = Table(
    "payoff",
    metadata,
    Column("payoff_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, ForeignKey("debt.shopping_trip_id"), nullable=False, index=True),
    Column("store_id", Identifier, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("currency", Text, nullable=False),
    Column("method", Text, nullable=False, comment="CASH, TERMINAL, or the processor that takes it"),
    Column("reference", Text, nullable=False, unique=True, comment="made once, sent with every try: the payment's key"),
    Column("processor_reference", Text, comment="what the processor calls the payment"),
    Column("instrument", Json, nullable=False, server_default="{}", comment="brand, last four, token"),
    Column("state", Text, nullable=False, server_default="INTENDED"),
    Column("asked_by", Text, nullable=False),
    Column("intended_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("next_attempt_at", Instant, comment="when its outcome is looked up again; null: nothing to do"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("details", Json, nullable=False, server_default="{}"),
    CheckConstraint("state in ('INTENDED','PAID','DECLINED','NOT_SENT','UNKNOWN')", name="state"),
    CheckConstraint("amount > 0", name="amount"),
)
Index(
    "uq_payoff_open",
    payoff.c.shopping_trip_id,
    unique=True,
    postgresql_where=text("state in ('INTENDED','UNKNOWN')"),
)

payment_status_report = Table(
    "payment_status_report",
    metadata,
    Column("report_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, nullable=False, index=True),
    Column("store_id", Identifier, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total", Amount, nullable=False),
    Column("settled", Amount, nullable=False),
    Column("status_time", Instant, nullable=False, comment="never earlier than that of the trip's report before"),
    Column("state", Text, nullable=False, server_default="DUE"),
    Column("rejections", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Instant),
    Column("lease_until", Instant),
    Column("fencing", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    CheckConstraint("state in ('DUE','ACCEPTED','SUPERSEDED','PARKED')", name="state"),
    CheckConstraint("settled >= 0 and settled <= total", name="settled"),
)
Index(
    "uq_payment_status_report_open",
    payment_status_report.c.shopping_trip_id,
    unique=True,
    postgresql_where=text("state = 'DUE'"),
)
Index(
    "ix_payment_status_report_due",
    payment_status_report.c.next_attempt_at,
    postgresql_where=text("state = 'DUE'"),
)

payment_status_attempt = Table(
    "payment_status_attempt",
    metadata,
    Column("attempt_id", BigInteger, Identity(), primary_key=True),
    Column("report_id", BigInteger, ForeignKey("payment_status_report.report_id"), nullable=False, index=True),
    Column("number", Integer, nullable=False, comment="of this report, from 1"),
    Column("fencing", BigInteger, nullable=False),
    Column("request", Json, nullable=False),
    Column("intended_at", Instant, nullable=False, comment="business time"),
    Column("outcome", Text, comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome"),
    Column("http_status", Integer),
    Column("answer", Json),
    Column("latency_seconds", Float),
    Column("finished_at", Instant),
    UniqueConstraint("report_id", "number"),
)

payment_status_news = Table(
    "payment_status_news",
    metadata,
    Column("news_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, nullable=False, comment="Amazon may not know the truth about its payment"),
)
