"""Runs of the reconciliation of a store's day, each trip's outcome, and the breaks."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, metadata

reconciliation_run = Table(
    "reconciliation_run",
    metadata,
    Column("run_id", BigInteger, Identity(), primary_key=True),
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("revision", Integer, nullable=False, comment="1, then one more per run over the same day"),
    Column("as_of", Instant, nullable=False, comment="business time of the run"),
    Column("complete", Boolean, nullable=False, comment="were the day's files all in?"),
    Column("trips", Integer, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("expected", Integer, nullable=False, comment="one side only, or not settled, and not yet late"),
    Column("breaks_open", Integer, nullable=False),
    Column("figures", Json, nullable=False, comment="the report's totals"),
    Column("html_path", Text),
    Column("xlsx_path", Text),
    UniqueConstraint("store_id", "business_date", "revision"),
)

reconciliation_trip = Table(
    "reconciliation_trip",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("run_id", BigInteger, ForeignKey("reconciliation_run.run_id"), nullable=False, comment="the newest judge"),
    Column("outcome", Text, nullable=False, comment="MATCHED, EXPECTED, BREAK"),
    Column("note", Text, nullable=False, server_default="", comment="what it waits for, or what is worth knowing"),
    Column("entry_method", Text),
    Column("currency", Text, nullable=False),
    Column("purchase_total", Amount),
    Column("charge_state", Text),
    Column("charge_captured", Amount),
    Column("order_total", Amount),
    Column("order_captured", Amount),
    Column("ledger_captured", Amount),
    CheckConstraint("outcome in ('MATCHED','EXPECTED','BREAK')", name="outcome"),
    PrimaryKeyConstraint("store_id", "business_date", "shopping_trip_id"),
)

reconciliation_break = Table(
    "reconciliation_break",
    metadata,
    Column("break_id", BigInteger, Identity(), primary_key=True),
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("line_number", Integer, nullable=False, server_default="0", comment="0: the whole trip"),
    Column("kind", Text, nullable=False),
    Column("ours", Text),
    Column("theirs", Text),
    Column("difference", Amount, comment="theirs - ours, in money"),
    Column("currency", Text, nullable=False),
    Column("explanation", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("closed_at", Instant, comment="later data closed it by itself"),
    Column("times_opened", Integer, nullable=False, server_default="1", comment="above 1: it came back"),
    UniqueConstraint("store_id", "business_date", "shopping_trip_id", "line_number", "kind"),
)
Index(
    "ix_reconciliation_break_open",
    reconciliation_break.c.store_id,
    reconciliation_break.c.business_date,
    postgresql_where=reconciliation_break.c.closed_at.is_(None),
)
Index("ix_reconciliation_trip_run", reconciliation_trip.c.run_id)
