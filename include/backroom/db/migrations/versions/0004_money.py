"""Money: refunds, payoffs, write-offs, payment status, the retailer's own processor."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NEW_TABLES = (
    "api_hold", "debt_event", "payoff", "payment_status_report", "payment_status_attempt", "payment_instrument",
    "preauthorization", "processor_call", "processor_webhook", "refund_request", "refund_request_line", "refund",
    "refund_attempt", "refund_event", "stock_due",
)  # fmt: skip
ROLES = "backroom_pipeline, backroom_connector, backroom_portal, backroom_console, backroom_reader"
# only ever added to; `to_book` is the ledger's own mark
APPEND_ONLY = ("debt_event", "refund_event")

STORE_CHECKS = {
    "payment_processor": "payment_processor in ('AMAZON','STRIPE','SANDBOX')",
    "refund_window_days": "refund_window_days between 0 and 3650",
    "refund_approval_above": "refund_approval_above >= 0",
    "feeds": "feeds <@ ARRAY['FILES','EVENTS']",
    "evidence": "cardinality(feeds) > 0 or trust_capture_answer or payment_processor <> 'AMAZON'",
}
# What listed carts took, as the movements that it is to become. A weight is told in the unit that it is sold by.
STOCK_SALE_DUE = """
    create view stock_sale_due as
    select line.store_id, line.item_sku, line.source, 'SALE' as kind, 0 as line_number, -sum(line.sold) as quantity,
           line.unit, line.happened_at, line.recorded_at
    from (
        select due.store_id, l.item_sku, due.shopping_trip_id as source, l.price_unit as unit,
               p.trip_ended_at as happened_at, p.received_at as recorded_at,
               round(case when l.unit = l.price_unit then l.quantity
                          else cast(l.quantity * cart.grams as numeric(60, 40)) / own.grams end, 8) as sold
        from stock_due as due
        join purchase as p using (shopping_trip_id)
        join purchase_line as l using (shopping_trip_id)
        left join (values ('g', 1), ('kg', 1000), ('lb', 453.59237), ('oz', 28.349523125)) as cart (unit, grams)
               on cart.unit = l.unit
        left join (values ('g', 1), ('kg', 1000), ('lb', 453.59237), ('oz', 28.349523125)) as own (unit, grams)
               on own.unit = l.price_unit
        where l.item_sku is not null and l.price_unit is not null and l.dropped_at is null
    ) as line
    where line.sold > 0
    group by line.store_id, line.item_sku, line.source, line.unit, line.happened_at, line.recorded_at
"""
STOCK_MOVED = """
    create view stock_moved as
    select store_id, item_sku, source, kind, line_number, quantity, unit, counted, happened_at, recorded_at, export_id
    from stock_movement
    union all
    select store_id, item_sku, source, kind, line_number, quantity, unit, null, happened_at, recorded_at, null
    from stock_sale_due
"""
DEBT_AMOUNT = (
    "amount >= 0 and paid >= 0 and reduced >= 0 and written_off >= 0 and returned >= 0"
    " and returned <= paid + reduced and paid + reduced + written_off - returned <= amount"
)


def upgrade() -> None:
    op.create_table(
        "api_hold",
        sa.Column(
            "api",
            sa.Text(),
            nullable=False,
            comment="whose limit it is: PAYMENTS, CATALOG, or one store's: PAYMENTS STORE-1",
        ),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False, comment="business time; no call before it"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("api", name=op.f("pk_api_hold")),
    )
    op.create_table(
        "stock_due",
        sa.Column(
            "shopping_trip_id",
            sa.String(length=255),
            nullable=False,
            comment="of a purchase whose lines are not moved yet",
        ),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("shopping_trip_id", name=op.f("pk_stock_due")),
    )
    op.create_index(op.f("ix_stock_due_store_id"), "stock_due", ["store_id"], unique=False)
    op.create_table(
        "debt_event",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False, comment="of the debt"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="with trip and kind: the same news is kept once"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "to_book", sa.Boolean(), server_default="true", nullable=False, comment="the ledger has not booked it yet"
        ),
        sa.CheckConstraint(
            "kind in ('PAID','REDUCED','WRITTEN_OFF','WRITE_OFF_UNDONE','RECOVERED','FORGIVEN','PAYOFF_RETURNED')",
            name=op.f("ck_debt_event_kind"),
        ),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_debt_event_amount")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_debt_event")),
        sa.UniqueConstraint(
            "shopping_trip_id", "kind", "source", name=op.f("uq_debt_event_shopping_trip_id_kind_source")
        ),
    )
    op.create_index(
        "ix_debt_event_to_book", "debt_event", ["event_id"], unique=False, postgresql_where=sa.text("to_book")
    )
    op.create_table(
        "payment_status_report",
        sa.Column("report_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("settled", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column(
            "status_time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="never earlier than that of the trip's report before",
        ),
        sa.Column("state", sa.Text(), server_default="DUE", nullable=False),
        sa.Column("rejections", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fencing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('DUE','ACCEPTED','SUPERSEDED','PARKED')", name=op.f("ck_payment_status_report_state")
        ),
        sa.CheckConstraint("settled >= 0 and settled <= total", name=op.f("ck_payment_status_report_settled")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_payment_status_report")),
    )
    op.create_index(
        "ix_payment_status_report_due",
        "payment_status_report",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'DUE'"),
    )
    op.create_index(
        op.f("ix_payment_status_report_shopping_trip_id"), "payment_status_report", ["shopping_trip_id"], unique=False
    )
    op.create_index(
        "uq_payment_status_report_open",
        "payment_status_report",
        ["shopping_trip_id"],
        unique=True,
        postgresql_where=sa.text("state = 'DUE'"),
    )
    op.create_table(
        "processor_call",
        sa.Column("call_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column(
            "operation", sa.Text(), nullable=False, comment="AUTHORIZE, ADJUST, CAPTURE, VOID, REFUND, LOOKUP, PAY"
        ),
        sa.Column("reference", sa.Text(), nullable=False, comment="our key: the same for every try of one thing"),
        sa.Column("subject", sa.String(length=255), nullable=False, comment="the trip, gate event, refund or payoff"),
        sa.Column("instrument_id", sa.BigInteger(), nullable=True),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False, comment="business time"),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome",
        ),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("latency_seconds", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_processor_call")),
    )
    op.create_index("ix_processor_call_caps", "processor_call", ["instrument_id", "intended_at"], unique=False)
    op.create_index("ix_processor_call_reference", "processor_call", ["reference"], unique=False)
    op.create_index("ix_processor_call_subject", "processor_call", ["subject"], unique=False)
    op.create_table(
        "processor_webhook",
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False, comment="the processor's: taken once"),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("processor_reference", sa.Text(), nullable=True),
        sa.Column(
            "body", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="without what is not needed"
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("processor", "event_id", name=op.f("pk_processor_webhook")),
    )
    op.create_index(
        op.f("ix_processor_webhook_processor_reference"), "processor_webhook", ["processor_reference"], unique=False
    )
    op.create_table(
        "refund_request",
        sa.Column("request_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("asked_key", sa.Text(), nullable=False, comment="the caller's own: the same question asks once"),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False, comment="the window is counted here"),
        sa.Column(
            "is_return",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="money that came although nothing was owed goes back; no sale is undone",
        ),
        sa.Column(
            "asked",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="what was asked, to know the question again",
        ),
        sa.Column("needs_approval", sa.Boolean(), server_default="false", nullable=False, comment="of a second person"),
        sa.Column(
            "goods_returned",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="they go back into the stock",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason in ('DAMAGED_ITEM','EXPIRED_ITEM','UNWANTED_ITEM','JWO_TECH_ERROR','OTHER')",
            name=op.f("ck_refund_request_reason"),
        ),
        sa.CheckConstraint(
            "state in ('AWAITING_APPROVAL','APPROVED','REJECTED','DONE','FAILED')", name=op.f("ck_refund_request_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_request_amount")),
        sa.CheckConstraint(
            "lower(trim(decided_by)) <> lower(trim(requested_by))", name=op.f("ck_refund_request_second_person")
        ),
        sa.CheckConstraint(
            "not needs_approval or state = 'AWAITING_APPROVAL' or decided_by is not null",
            name=op.f("ck_refund_request_approved_by_someone"),
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_refund_request")),
        sa.UniqueConstraint("asked_key", name=op.f("uq_refund_request_asked_key")),
    )
    op.create_index(op.f("ix_refund_request_shopping_trip_id"), "refund_request", ["shopping_trip_id"], unique=False)
    op.create_index("ix_refund_request_state", "refund_request", ["state"], unique=False)
    op.create_table(
        "payment_instrument",
        sa.Column("instrument_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopper_id", sa.String(length=255), nullable=False),
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("customer_token", sa.Text(), nullable=False),
        sa.Column("method_token", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False, comment="VISA, MASTERCARD, …: the networks' caps go by it"),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("last_four ~ '^[0-9]{4}$'", name=op.f("ck_payment_instrument_last_four")),
        sa.CheckConstraint("processor in ('STRIPE','SANDBOX')", name=op.f("ck_payment_instrument_processor")),
        sa.ForeignKeyConstraint(
            ["shopper_id"], ["shopper.shopper_id"], name=op.f("fk_payment_instrument_shopper_id_shopper")
        ),
        sa.PrimaryKeyConstraint("instrument_id", name=op.f("pk_payment_instrument")),
    )
    op.create_index(op.f("ix_payment_instrument_shopper_id"), "payment_instrument", ["shopper_id"], unique=False)
    op.create_table(
        "payment_status_attempt",
        sa.Column("attempt_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of this report, from 1"),
        sa.Column("fencing", sa.BigInteger(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False, comment="business time"),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome",
        ),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("latency_seconds", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["payment_status_report.report_id"],
            name=op.f("fk_payment_status_attempt_report_id_payment_status_report"),
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_payment_status_attempt")),
        sa.UniqueConstraint("report_id", "number", name=op.f("uq_payment_status_attempt_report_id_number")),
    )
    op.create_index(op.f("ix_payment_status_attempt_report_id"), "payment_status_attempt", ["report_id"], unique=False)
    op.create_table(
        "refund",
        sa.Column("refund_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column(
            "instrument", sa.Text(), nullable=False, comment="DEBT: an open debt is reduced; CAPTURE; PAYOFF:<id>"
        ),
        sa.Column("refund_request_key", sa.Text(), nullable=False, comment="refundRequestId: made once, kept"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reconciliation_id", sa.Text(), nullable=True),
        sa.Column("initiated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("final_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True, comment="due at; null: nothing to do"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fencing", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state in ('WAITING','DUE','UNKNOWN','INITIATED','FINAL','REFUSED','PARKED','DROPPED')",
            name=op.f("ck_refund_state"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["refund_request.request_id"], name=op.f("fk_refund_request_id_refund_request")
        ),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("pk_refund")),
        sa.UniqueConstraint("refund_request_key", name=op.f("uq_refund_refund_request_key")),
    )
    op.create_index(
        "ix_refund_due",
        "refund",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_refund_request_id"), "refund", ["request_id"], unique=False)
    op.create_index(op.f("ix_refund_shopping_trip_id"), "refund", ["shopping_trip_id"], unique=False)
    op.create_table(
        "refund_request_line",
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=18, scale=8), nullable=False, comment="in the line's unit"),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False, comment="tax included"),
        sa.CheckConstraint("quantity > 0 and amount >= 0", name=op.f("ck_refund_request_line_amount")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["refund_request.request_id"], name=op.f("fk_refund_request_line_request_id_refund_request")
        ),
        sa.PrimaryKeyConstraint("request_id", "line_number", name=op.f("pk_refund_request_line")),
    )
    op.create_table(
        "payoff",
        sa.Column("payoff_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False, comment="CASH, TERMINAL, or the processor that takes it"),
        sa.Column("reference", sa.Text(), nullable=False, comment="made once, sent with every try: the payment's key"),
        sa.Column("processor_reference", sa.Text(), nullable=True, comment="what the processor calls the payment"),
        sa.Column(
            "instrument",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="brand, last four, token",
        ),
        sa.Column("state", sa.Text(), server_default="INTENDED", nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its outcome is looked up again; null: nothing to do",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint(
            "state in ('INTENDED','PAID','DECLINED','NOT_SENT','UNKNOWN')", name=op.f("ck_payoff_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payoff_amount")),
        sa.ForeignKeyConstraint(
            ["shopping_trip_id"], ["debt.shopping_trip_id"], name=op.f("fk_payoff_shopping_trip_id_debt")
        ),
        sa.PrimaryKeyConstraint("payoff_id", name=op.f("pk_payoff")),
        sa.UniqueConstraint("reference", name=op.f("uq_payoff_reference")),
    )
    op.create_index(op.f("ix_payoff_shopping_trip_id"), "payoff", ["shopping_trip_id"], unique=False)
    op.create_index(
        "uq_payoff_open",
        "payoff",
        ["shopping_trip_id"],
        unique=True,
        postgresql_where=sa.text("state in ('INTENDED','UNKNOWN')"),
    )
    op.create_table(
        "preauthorization",
        sa.Column(
            "auth_event_id", sa.String(length=255), nullable=False, comment="of the gate's decision: one hold each"
        ),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("shopper_id", sa.String(length=255), nullable=False),
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("state", sa.Text(), server_default="INTENDED", nullable=False),
        sa.Column("processor_reference", sa.Text(), nullable=True),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=True, comment="once its cart has come"),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fencing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('INTENDED','HELD','DECLINED','UNKNOWN','NO_INSTRUMENT','VOIDED','USED','PARKED')",
            name=op.f("ck_preauthorization_state"),
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["payment_instrument.instrument_id"],
            name=op.f("fk_preauthorization_instrument_id_payment_instrument"),
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_preauthorization_store_id_store")),
        sa.PrimaryKeyConstraint("auth_event_id", name=op.f("pk_preauthorization")),
    )
    op.create_index(
        "ix_preauthorization_due",
        "preauthorization",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_preauthorization_shopping_trip_id"), "preauthorization", ["shopping_trip_id"], unique=False
    )
    op.create_table(
        "refund_attempt",
        sa.Column("attempt_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("refund_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of this refund, from 1"),
        sa.Column("fencing", sa.BigInteger(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False, comment="business time"),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="SUCCEEDED, REFUSED, NOT_SENT, UNKNOWN; null: intent without an outcome",
        ),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("latency_seconds", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.refund_id"], name=op.f("fk_refund_attempt_refund_id_refund")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_refund_attempt")),
        sa.UniqueConstraint("refund_id", "number", name=op.f("uq_refund_attempt_refund_id_number")),
    )
    op.create_index(op.f("ix_refund_attempt_refund_id"), "refund_attempt", ["refund_id"], unique=False)
    op.create_table(
        "refund_event",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("refund_id", sa.BigInteger(), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="with refund and kind: the same news is kept once"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "to_book", sa.Boolean(), server_default="true", nullable=False, comment="the ledger has not booked it yet"
        ),
        sa.CheckConstraint(
            "kind in ('DEBT_REDUCED','INITIATED','FINAL','REVERSED')", name=op.f("ck_refund_event_kind")
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.refund_id"], name=op.f("fk_refund_event_refund_id_refund")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_refund_event")),
        sa.UniqueConstraint("refund_id", "kind", "source", name=op.f("uq_refund_event_refund_id_kind_source")),
    )
    op.create_index(
        "ix_refund_event_to_book", "refund_event", ["event_id"], unique=False, postgresql_where=sa.text("to_book")
    )
    op.add_column(
        "debt",
        sa.Column(
            "reduced",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="by refunds of the trip",
        ),
    )
    op.add_column(
        "debt",
        sa.Column(
            "written_off",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="given up in the books, not yet paid",
        ),
    )
    op.add_column(
        "debt",
        sa.Column(
            "returned",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="more came for the trip than was owed: so much is given back, by a refund of its own",
        ),
    )
    op.add_column(
        "debt",
        sa.Column(
            "outstanding",
            sa.Numeric(precision=14, scale=4),
            sa.Computed("amount + returned - paid - reduced - written_off", persisted=True),
            nullable=False,
        ),
    )
    op.add_column(
        "debt",
        sa.Column(
            "forgiven_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a person let the debtor in again by name; null: a write-off denies entry",
        ),
    )
    op.add_column(
        "debt",
        sa.Column(
            "escalated_at", sa.DateTime(timezone=True), nullable=True, comment="when it was handed to a person as old"
        ),
    )
    op.alter_column(
        "debt",
        "amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="what the trip's charge leaves to be paid; 0: withdrawn",
        existing_nullable=False,
    )
    op.alter_column(
        "debt",
        "paid",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="by payoffs, also after a write-off",
        existing_nullable=False,
        existing_server_default=sa.text("'0'::numeric"),
    )
    op.add_column(
        "review_case",
        sa.Column(
            "shown_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a run of the DAG review was started for it",
        ),
    )
    op.add_column(
        "store",
        sa.Column(
            "payment_processor",
            sa.Text(),
            server_default="AMAZON",
            nullable=False,
            comment="who moves the money of its trips",
        ),
    )
    op.add_column(
        "store",
        sa.Column(
            "refund_window_days", sa.Integer(), server_default="30", nullable=False, comment="from the trip's end"
        ),
    )
    op.add_column(
        "store",
        sa.Column(
            "refund_approval_above",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="a refund above it waits for a second person; null: the setting",
        ),
    )
    op.add_column(
        "store",
        sa.Column(
            "trust_capture_answer",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="a capture that Amazon has answered counts as final: for a store without any feed",
        ),
    )
    op.drop_constraint(op.f("ck_debt_amount"), "debt")
    op.create_check_constraint(op.f("ck_debt_amount"), "debt", DEBT_AMOUNT)
    op.drop_constraint(op.f("ck_store_feeds"), "store")
    for name, rule in STORE_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_store_{name}"), "store", rule)
    _keep_stores()
    _grant()


def _keep_stores() -> None:
    """A cart would pay, twice, for a check (and a lock) of its store's row, which it has just read.

    What the foreign keys forbade is forbidden by the store: none that has purchases or charges is removed or renamed.
    """
    for table in ("purchase", "charge"):
        op.drop_constraint(op.f(f"fk_{table}_store_id_store"), table)
        comment = {
            "purchase": "of a store: none that has purchases is ever removed",
            "charge": "of the purchase, or of the trip that is cancelled",
        }[table]
        op.alter_column(table, "store_id", comment=comment)
    op.execute(
        """
        create function store_is_kept() returns trigger language plpgsql as $$
        begin
            if exists (select from purchase where store_id = old.store_id)
               or exists (select from charge where store_id = old.store_id) then
                raise exception 'store % has purchases; it can be made inactive, not removed or renamed', old.store_id
                    using errcode = 'foreign_key_violation';
            end if;
            return case tg_op when 'DELETE' then old else new end;
        end $$
        """
    )
    op.execute(
        "create trigger store_is_kept before delete or update of store_id on store "
        "for each row execute function store_is_kept()"
    )


def _grant() -> None:
    new = ", ".join(NEW_TABLES)
    op.execute(f"grant select on {new} to backroom_reader, backroom_pipeline, backroom_console")
    op.execute(f"grant insert, update, delete on {new} to backroom_pipeline")
    for table in APPEND_ONLY:
        op.execute(f"revoke update, delete, truncate on {table} from {ROLES}")
        op.execute(f"grant update (to_book) on {table} to backroom_pipeline")
    # the gate writes the intent of a hold; nothing else of the processor's is the connector's
    op.execute("grant select on payment_instrument, preauthorization to backroom_connector")
    op.execute("grant insert on preauthorization to backroom_connector")
    # what carts take out of the stock is moved by the pipelines, and by whoever looks
    op.execute("grant select, insert on stock_due to backroom_connector")
    op.execute(STOCK_SALE_DUE)
    op.execute(STOCK_MOVED)
    op.execute("grant select on stock_sale_due, stock_moved to backroom_reader, backroom_pipeline, backroom_console")
    # the processor's signed webhooks come in by the portal
    op.execute("grant select, insert on processor_webhook to backroom_portal")


def downgrade() -> None:
    op.execute("drop trigger store_is_kept on store")
    op.execute("drop function store_is_kept()")
    for table in ("purchase", "charge"):
        op.create_foreign_key(op.f(f"fk_{table}_store_id_store"), table, "store", ["store_id"], ["store_id"])
        op.alter_column(table, "store_id", comment=None)
    op.execute("drop view stock_moved")
    op.execute("drop view stock_sale_due")
    op.drop_table("stock_due")
    for name in STORE_CHECKS:
        op.drop_constraint(op.f(f"ck_store_{name}"), "store")
    op.create_check_constraint(
        op.f("ck_store_feeds"), "store", "feeds <@ ARRAY['FILES','EVENTS'] and cardinality(feeds) > 0"
    )
    op.drop_constraint(op.f("ck_debt_amount"), "debt")
    op.create_check_constraint(op.f("ck_debt_amount"), "debt", "amount > 0 and paid >= 0 and paid <= amount")
    op.drop_column("store", "trust_capture_answer")
    op.drop_column("store", "refund_approval_above")
    op.drop_column("store", "refund_window_days")
    op.drop_column("store", "payment_processor")
    op.drop_column("review_case", "shown_at")
    op.alter_column(
        "debt",
        "paid",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment=None,
        existing_comment="by payoffs, also after a write-off",
        existing_nullable=False,
        existing_server_default=sa.text("'0'::numeric"),
    )
    op.drop_column("debt", "escalated_at")
    op.drop_column("debt", "forgiven_at")
    op.alter_column(
        "debt",
        "amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment=None,
        existing_comment="what the trip's charge leaves to be paid; 0: withdrawn",
        existing_nullable=False,
    )
    op.drop_column("debt", "outstanding")
    op.drop_column("debt", "returned")
    op.drop_column("debt", "written_off")
    op.drop_column("debt", "reduced")
    op.drop_index("ix_refund_event_to_book", table_name="refund_event", postgresql_where=sa.text("to_book"))
    op.drop_table("refund_event")
    op.drop_index(op.f("ix_refund_attempt_refund_id"), table_name="refund_attempt")
    op.drop_table("refund_attempt")
    op.drop_index(op.f("ix_preauthorization_shopping_trip_id"), table_name="preauthorization")
    op.drop_index(
        "ix_preauthorization_due",
        table_name="preauthorization",
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.drop_table("preauthorization")
    op.drop_index("uq_payoff_open", table_name="payoff", postgresql_where=sa.text("state in ('INTENDED','UNKNOWN')"))
    op.drop_index(op.f("ix_payoff_shopping_trip_id"), table_name="payoff")
    op.drop_table("payoff")
    op.drop_table("refund_request_line")
    op.drop_index(op.f("ix_refund_shopping_trip_id"), table_name="refund")
    op.drop_index(op.f("ix_refund_request_id"), table_name="refund")
    op.drop_index("ix_refund_due", table_name="refund", postgresql_where=sa.text("next_attempt_at IS NOT NULL"))
    op.drop_table("refund")
    op.drop_index(op.f("ix_payment_status_attempt_report_id"), table_name="payment_status_attempt")
    op.drop_table("payment_status_attempt")
    op.drop_index(op.f("ix_payment_instrument_shopper_id"), table_name="payment_instrument")
    op.drop_table("payment_instrument")
    op.drop_index("ix_refund_request_state", table_name="refund_request")
    op.drop_index(op.f("ix_refund_request_shopping_trip_id"), table_name="refund_request")
    op.drop_table("refund_request")
    op.drop_index(op.f("ix_processor_webhook_processor_reference"), table_name="processor_webhook")
    op.drop_table("processor_webhook")
    op.drop_index("ix_processor_call_subject", table_name="processor_call")
    op.drop_index("ix_processor_call_reference", table_name="processor_call")
    op.drop_index("ix_processor_call_caps", table_name="processor_call")
    op.drop_table("processor_call")
    op.drop_index(
        "uq_payment_status_report_open", table_name="payment_status_report", postgresql_where=sa.text("state = 'DUE'")
    )
    op.drop_index(op.f("ix_payment_status_report_shopping_trip_id"), table_name="payment_status_report")
    op.drop_index(
        "ix_payment_status_report_due", table_name="payment_status_report", postgresql_where=sa.text("state = 'DUE'")
    )
    op.drop_table("payment_status_report")
    op.drop_index("ix_debt_event_to_book", table_name="debt_event", postgresql_where=sa.text("to_book"))
    op.drop_table("debt_event")
    op.drop_table("api_hold")
