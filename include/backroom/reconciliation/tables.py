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
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
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
    Column("fingerprint", Text, comment="of all that the run read: the same again needs no other run"),
    Column("figures_fingerprint", Text, comment="of what only the figures read"),
    Column("checked_at", Instant, comment="when a later run last found nothing new"),
    Column(
        "read_up_to",
        BigInteger,
        comment="all transactions below this number were over when the day was last looked at",
    ),
    UniqueConstraint("store_id", "business_date", "revision"),
)

reconciliation_trip = Table(
    "reconciliation_trip",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("run_id", BigInteger, nullable=False, comment="the newest judge"),
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
    Column("matched_by", Text, comment="TRIP, RECONCILIATION_ID, AMOUNT_TIME_CARD; null: there is one side only"),
    Column("confidence", Numeric(3, 2, asdecimal=True), comment="1: the same trip for certain"),
    Column("their_trip_id", Identifier, comment="what Amazon's order calls the trip, where that is another id"),
    Column("reading", Text, comment="SUPERSEDED, FOUND_AFTER_PAYOFF: how the sides came to agree"),
    Column(
        "waits",
        Boolean,
        nullable=False,
        server_default="false",
        comment="time alone may change the verdict: something is due and not late",
    ),
    CheckConstraint("matched_by in ('TRIP','RECONCILIATION_ID','AMOUNT_TIME_CARD')", name="matched_by"),
    CheckConstraint("outcome in ('MATCHED','EXPECTED','BREAK')", name="outcome"),
    PrimaryKeyConstraint("store_id", "business_date", "shopping_trip_id"),
)
Index(
    "ix_reconciliation_trip_theirs",
    reconciliation_trip.c.store_id,
    reconciliation_trip.c.business_date,
    postgresql_where=reconciliation_trip.c.their_trip_id.is_not(None),
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
    Column("closed_at", Instant, comment="when later data or a person closed it"),
    Column("times_opened", Integer, nullable=False, server_default="1", comment="above 1: it came back"),
    Column("owner", Text, comment="whose work it is; null: nobody's yet"),
    Column("resolution", Text, comment="LATER_DATA, FORCE_MATCHED, WRITTEN_OFF; null: open"),
    Column("resolved_by", Text),
    Column("resolved_reason", Text),
    UniqueConstraint("store_id", "business_date", "shopping_trip_id", "line_number", "kind"),
    CheckConstraint(
        "resolution in ('LATER_DATA','FORCE_MATCHED','WRITTEN_OFF') and (resolution is null) = (closed_at is null)",
        name="resolution",
    ),
)
Index("ix_reconciliation_break_day", reconciliation_break.c.business_date, reconciliation_break.c.break_id)
Index("ix_reconciliation_break_kind", reconciliation_break.c.kind, reconciliation_break.c.business_date)
Index(
    "ix_reconciliation_break_open",
    reconciliation_break.c.store_id,
    reconciliation_break.c.business_date,
    postgresql_where=reconciliation_break.c.closed_at.is_(None),
)

reconciliation_break_event = Table(
    "reconciliation_break_event",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("break_id", BigInteger, ForeignKey("reconciliation_break.break_id"), nullable=False, index=True),
    Column("at", Instant, nullable=False, comment="business time"),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("ours", Text),
    Column("theirs", Text),
    Column("difference", Amount),
    Column(
        "given_up", Amount, comment="what stands in the books and will not come; negative: a write-off is taken back"
    ),
    Column("given_up_of", Text, comment="the account on which it stands"),
    Column("to_book", Boolean, nullable=False, server_default="false", comment="the ledger has not booked it yet"),
    CheckConstraint(
        "kind in ('OPENED','CHANGED','OPENED_AGAIN','CLOSED_BY_LATER_DATA','ASSIGNED','NOTED','FORCE_MATCHED',"
        "'WRITTEN_OFF')",
        name="kind",
    ),
    CheckConstraint(
        "given_up_of in ('card_clearing','shopper_receivable') and (given_up is null) = (given_up_of is null)",
        name="given_up",
    ),
)
Index(
    "ix_reconciliation_break_event_to_book",
    reconciliation_break_event.c.event_id,
    postgresql_where=reconciliation_break_event.c.to_book,
)
Index(
    "ix_reconciliation_break_event_given_up",
    reconciliation_break_event.c.at,
    postgresql_where=reconciliation_break_event.c.given_up.is_not(None),
)

closed_month = Table(
    "closed_month",
    metadata,
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("month", Date, nullable=False, comment="its first day"),
    Column("closed_at", Instant, nullable=False),
    Column("closed_by", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("figures", Json, nullable=False, comment="as they were when it closed"),
    CheckConstraint("month = date_trunc('month', month)", name="month"),
    PrimaryKeyConstraint("store_id", "month"),
)

closed_month_file = Table(
    "closed_month_file",
    metadata,
    Column("report", Identifier, nullable=False, comment="the store, or company"),
    Column("month", Date, nullable=False, comment="its first day"),
    Column("kept_at", Instant, nullable=False),
    Column("name", Text, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("content", LargeBinary, nullable=False, comment="as it was written when the month was closed"),
    PrimaryKeyConstraint("report", "month", "kept_at", "name"),
)

processor_payout_line = Table(
    "processor_payout_line",
    metadata,
    Column("processor", Text, nullable=False),
    Column("payout_id", Identifier, nullable=False),
    Column("line_number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Identifier, nullable=False, index=True, comment="what the processor calls the payment"),
    Column("shopping_trip_id", Identifier, index=True, comment="where the processor tells it"),
    Column("amount", Amount, nullable=False, comment="before fees; a refund is negative"),
    Column("fee", Amount, nullable=False, server_default="0"),
    Column("currency", Text, nullable=False),
    Column("paid_out_on", Date, nullable=False),
    Column("received_at", Instant, nullable=False),
    CheckConstraint("kind in ('CAPTURE','REFUND')", name="kind"),
    PrimaryKeyConstraint("processor", "payout_id", "line_number"),
)

report_wanted = Table(
    "report_wanted",
    metadata,
    Column("wanted_id", BigInteger, Identity(), primary_key=True),
    Column("store_id", Identifier, comment="null: all stores"),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("wanted_by", Text, nullable=False),
    Column("wanted_at", Instant, nullable=False),
    Column("delivered_at", Instant, comment="stored and announced, as far as the settings say where"),
    Column("failed_at", Instant, comment="when it was last tried and not delivered"),
    Column("failure", Text, comment="what went wrong then"),
    Column("withdrawn_at", Instant, comment="since when no run tries it any more"),
    Column("withdrawn_by", Text),
    CheckConstraint("(withdrawn_at is null) = (withdrawn_by is null)", name="withdrawn"),
)
Index(
    "ix_report_wanted_due",
    report_wanted.c.wanted_id,
    postgresql_where=and_(report_wanted.c.delivered_at.is_(None), report_wanted.c.withdrawn_at.is_(None)),
)

report_destination = Table(
    "report_destination",
    metadata,
    Column("told_at", Instant, nullable=False, comment="business time of the run that found it in its settings"),
    Column("stores", Boolean, nullable=False, comment="BACKROOM_REPORTS_BUCKET is set"),
    Column("announces", Boolean, nullable=False, comment="BACKROOM_REPORTS_RECIPIENTS is set"),
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    CheckConstraint("only_row", name="only_row"),
)

report_delivery = Table(
    "report_delivery",
    metadata,
    Column("report", Text, nullable=False, comment="its folder and name: 2026-11-23/STORE-001"),
    Column("content_sha256", Text, nullable=False, comment="over all of its files"),
    Column("intended_at", Instant, nullable=False),
    Column("stored_at", Instant, comment="all files are in the bucket"),
    Column("announcing_at", Instant, comment="the e-mail is about to go, or has gone"),
    Column("announced_at", Instant, comment="SES has taken it"),
    Column("message_id", Text),
    PrimaryKeyConstraint("report", "content_sha256"),
)
