"""What was not paid."""

from sqlalchemy import CheckConstraint, Column, Date, ForeignKey, Index, Integer, Table, Text

from backroom.db.metadata import Amount, Identifier, Instant, metadata

debt = Table(
    "debt",
    metadata,
    Column("shopping_trip_id", Identifier, primary_key=True, comment="one debt per trip"),
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("shopper_id", Identifier, comment="who owes, for app entry"),
    Column("shopper_identity", Identifier, comment="the card's token, for card entry, where it was sent"),
    Column("cause", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("paid", Amount, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="OPEN"),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("age_days", Integer),
    Column("bucket", Text, comment="0-30, 31-60, 61-90, 90+ : by the last aging run"),
    Column("aged_on", Date),
    CheckConstraint("cause in ('ADJUST_DECLINED','PARTIAL_APPROVAL','CAPTURE_DECLINED','TOKEN_EXPIRED')", name="cause"),
    CheckConstraint("state in ('OPEN','PAID','WRITTEN_OFF')", name="state"),
    CheckConstraint("amount > 0 and paid >= 0 and paid <= amount", name="amount"),
)
Index("ix_debt_shopper", debt.c.shopper_id)
Index("ix_debt_shopper_identity", debt.c.shopper_identity)
Index("ix_debt_open", debt.c.state, debt.c.opened_at)
