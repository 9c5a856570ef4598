"""Every table of the first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("alert_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("deduplication_key", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False, comment="critical, warning, info"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("store_id", sa.String(length=255), nullable=True),
        sa.Column("what_to_do", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert")),
        sa.UniqueConstraint("deduplication_key", name=op.f("uq_alert_deduplication_key")),
    )
    op.create_table(
        "amazon_order",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("order_id", sa.String(length=255), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False, comment="of the trip's end, in the store's time zone"),
        sa.Column("status", sa.Text(), nullable=False, comment="OPEN, SETTLED, CANCELLED, REFUNDED"),
        sa.Column("entry_method", sa.Text(), nullable=False),
        sa.Column("trip_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trip_ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("order_total", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("authorized", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("captured", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("refunded", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("card_brand", sa.Text(), nullable=True),
        sa.Column("card_last_four", sa.Text(), nullable=True),
        sa.Column("reconciliation_id", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="first part of the version"),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False, comment="second part"),
        sa.Column("sequencer", sa.Text(), nullable=False, comment="third part"),
        sa.Column(
            "incomplete",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="lines do not add up to the total",
        ),
        sa.PrimaryKeyConstraint("store_id", "order_id", name=op.f("pk_amazon_order")),
    )
    op.create_index("ix_amazon_order_day", "amazon_order", ["store_id", "business_date"], unique=False)
    op.create_index(op.f("ix_amazon_order_shopping_trip_id"), "amazon_order", ["shopping_trip_id"], unique=False)
    op.create_table(
        "amazon_order_line",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("order_id", sa.String(length=255), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("list_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="per unit"),
        sa.Column(
            "price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="of the line, after promotions, before tax",
        ),
        sa.Column("promotion", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("tax", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequencer", sa.Text(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Boolean(), server_default="false", nullable=False, comment="gone in a newer version"),
        sa.PrimaryKeyConstraint("store_id", "order_id", "line_number", name=op.f("pk_amazon_order_line")),
    )
    op.create_table(
        "api_permit",
        sa.Column("permit_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column(
            "granted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="the database's clock",
        ),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the answer was there; null: on its way",
        ),
        sa.PrimaryKeyConstraint("permit_id", name=op.f("pk_api_permit")),
    )
    op.create_index("ix_api_permit_api", "api_permit", ["api", "granted_at"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("entry_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "catalog_barcode",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("barcode", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column("barcode_type", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "barcode", name=op.f("pk_catalog_barcode")),
    )
    op.create_table(
        "catalog_run",
        sa.Column("run_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="where the files were read from"),
        sa.Column("state", sa.Text(), nullable=False, comment="READING, COMPARED, UPLOADING, DONE, FAILED"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("items_read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items_rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items_new", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items_changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items_unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("items_gone", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_catalog_run")),
    )
    op.create_table(
        "day_release",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "complete", sa.Boolean(), nullable=False, comment="false: released at the cut-off with windows missing"
        ),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_windows", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("store_id", "business_date", "revision", name=op.f("pk_day_release")),
    )
    op.create_table(
        "feed_event",
        sa.Column(
            "event_id", sa.String(length=255), nullable=False, comment="the envelope's id: at least once becomes once"
        ),
        sa.Column("detail_type", sa.Text(), nullable=False, comment="CART, PAYMENT, SHOPPER or another"),
        sa.Column(
            "subtype",
            sa.Text(),
            nullable=True,
            comment="of PAYMENT: CaptureApproved, CaptureDeclined, AuthorizationApproved, …",
        ),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=True),
        sa.Column("store_id", sa.String(length=255), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "known",
            sa.Boolean(),
            server_default="true",
            nullable=False,
            comment="false: kept and counted, not understood",
        ),
        sa.Column("envelope", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_feed_event")),
    )
    op.create_index(op.f("ix_feed_event_shopping_trip_id"), "feed_event", ["shopping_trip_id"], unique=False)
    op.create_table(
        "feed_file",
        sa.Column("file_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False, comment="versionId, else sequencer, else eTag and eventTime"),
        sa.Column("sequencer", sa.Text(), server_default="", nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False, comment="eventTime"),
        sa.Column("announcements", sa.Integer(), server_default="1", nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=True, comment="null: the key names no store of ours"),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "window_end",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="from the key's name; the file covers the hour before",
        ),
        sa.Column("copy_key", sa.Text(), nullable=True, comment="in our bucket"),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="ANNOUNCED, COPIED, INGESTED, SAME_CONTENT, SUPERSEDED, FAILED"
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rows_read", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "rows_applied", sa.Integer(), server_default="0", nullable=False, comment="new or newer than what we had"
        ),
        sa.Column("rows_stale", sa.Integer(), server_default="0", nullable=False, comment="older than what we had"),
        sa.Column("rows_quarantined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_feed_file")),
        sa.UniqueConstraint("bucket", "key", "version", name=op.f("uq_feed_file_bucket_key_version")),
    )
    op.create_index(op.f("ix_feed_file_sha256"), "feed_file", ["sha256"], unique=False)
    op.create_index("ix_feed_file_window", "feed_file", ["store_id", "window_end"], unique=False)
    op.create_table(
        "gate_decision",
        sa.Column("auth_event_id", sa.String(length=255), nullable=False, comment="Amazon's idempotency key"),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column(
            "key_hash", sa.Text(), nullable=False, comment="SHA-256 of the decoded key; the key itself is never kept"
        ),
        sa.Column("auth_event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False, comment="HTTP status answered: 200 or 401"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why; kept, never sent"),
        sa.Column("shopper_id", sa.String(length=255), nullable=True),
        sa.Column("shopper_type", sa.Text(), nullable=True),
        sa.Column("response_body", sa.LargeBinary(), nullable=False, comment="repeated byte for byte"),
        sa.Column(
            "raw_body",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the request without the identity key",
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("auth_event_id", name=op.f("pk_gate_decision")),
    )
    op.create_index(op.f("ix_gate_decision_store_id"), "gate_decision", ["store_id"], unique=False)
    op.create_table(
        "promotion",
        sa.Column("promotion_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=True, comment="the product, for LINE_PERCENTAGE"),
        sa.Column(
            "shopping_trip_id",
            sa.String(length=255),
            nullable=True,
            comment="for BASKET_PERCENTAGE: the one basket it is for; null: every one",
        ),
        sa.Column("percentage", sa.Numeric(precision=9, scale=6), nullable=False, comment="0.125 is 12.5 % off"),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True, comment="exclusive; null: open"),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(kind = 'LINE_PERCENTAGE') = (item_sku is not null)", name=op.f("ck_promotion_scope")),
        sa.CheckConstraint("kind in ('LINE_PERCENTAGE','BASKET_PERCENTAGE')", name=op.f("ck_promotion_kind")),
        sa.CheckConstraint("percentage > 0 and percentage <= 1", name=op.f("ck_promotion_percentage")),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_promotion")),
    )
    op.create_index("ix_promotion_basket", "promotion", ["store_id", "shopping_trip_id"], unique=False)
    op.create_index(
        "ix_promotion_every_basket",
        "promotion",
        ["store_id"],
        unique=False,
        postgresql_where=sa.text("kind = 'BASKET_PERCENTAGE' and shopping_trip_id is null"),
    )
    op.create_index("ix_promotion_line", "promotion", ["store_id", "item_sku"], unique=False)
    op.create_table(
        "quality_result",
        sa.Column("result_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("data_set", sa.Text(), nullable=False),
        sa.Column("expectation", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False, comment="critical, warning, info"),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("rows_checked", sa.Integer(), nullable=True),
        sa.Column("rows_unexpected", sa.Integer(), nullable=True),
        sa.Column(
            "sample",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="up to 20 of the unexpected rows' keys or values",
        ),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_quality_result")),
    )
    op.create_index(op.f("ix_quality_result_run"), "quality_result", ["run"], unique=False)
    op.create_table(
        "reconciliation_break",
        sa.Column("break_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("line_number", sa.Integer(), server_default="0", nullable=False, comment="0: the whole trip"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ours", sa.Text(), nullable=True),
        sa.Column("theirs", sa.Text(), nullable=True),
        sa.Column("difference", sa.Numeric(precision=14, scale=4), nullable=True, comment="theirs - ours, in money"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True, comment="later data closed it by itself"),
        sa.Column("times_opened", sa.Integer(), server_default="1", nullable=False, comment="above 1: it came back"),
        sa.PrimaryKeyConstraint("break_id", name=op.f("pk_reconciliation_break")),
        sa.UniqueConstraint(
            "store_id",
            "business_date",
            "shopping_trip_id",
            "line_number",
            "kind",
            name=op.f("uq_reconciliation_break_store_id_business_date_shopping_trip_id_line_number_kind"),
        ),
    )
    op.create_index(
        "ix_reconciliation_break_open",
        "reconciliation_break",
        ["store_id", "business_date"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "reconciliation_run",
        sa.Column("run_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False, comment="1, then one more per run over the same day"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="business time of the run"),
        sa.Column("complete", sa.Boolean(), nullable=False, comment="were the day's files all in?"),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False, comment="one side only, or not settled, and not yet late"),
        sa.Column("breaks_open", sa.Integer(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="the report's totals"),
        sa.Column("html_path", sa.Text(), nullable=True),
        sa.Column("xlsx_path", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_reconciliation_run")),
        sa.UniqueConstraint(
            "store_id", "business_date", "revision", name=op.f("uq_reconciliation_run_store_id_business_date_revision")
        ),
    )
    op.create_table(
        "refused_cart",
        sa.Column("refused_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="as it came, cut at the size limit"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("refused_id", name=op.f("pk_refused_cart")),
    )
    op.create_table(
        "review_case",
        sa.Column("case_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="BAD_CART, UNKNOWN_CAPTURE, DIFFERENT_CART, …"),
        sa.Column("subject", sa.String(length=255), nullable=False, comment="the trip, event or batch it is about"),
        sa.Column("store_id", sa.String(length=255), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False, comment="the room that asks"),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column(
            "known", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="what is known, for who decides"
        ),
        sa.Column(
            "choices", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="list of {choice, effect}"
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("when_overdue", sa.Text(), server_default="", nullable=False, comment="what happens then, in words"),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_review_case")),
    )
    op.create_index(
        "uq_review_case_open",
        "review_case",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("decision is null"),
    )
    op.create_table(
        "scan_code_use",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column(
            "auth_event_id", sa.String(length=255), nullable=False, comment="the one gate event that this code serves"
        ),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_scan_code_use")),
    )
    op.create_table(
        "shelf_price",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True, comment="exclusive; null: open"),
        sa.Column(
            "amount", sa.Numeric(precision=14, scale=4), nullable=False, comment="per unit or per unit of weight"
        ),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_shelf_price_amount")),
        sa.PrimaryKeyConstraint("store_id", "item_sku", "valid_from", name=op.f("pk_shelf_price")),
    )
    op.create_table(
        "shopper",
        sa.Column("shopper_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("flagged", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("flag_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("type in ('SHOPPER','ASSOCIATE','CASH_SHOPPER')", name=op.f("ck_shopper_type")),
        sa.PrimaryKeyConstraint("shopper_id", name=op.f("pk_shopper")),
    )
    op.create_table(
        "store",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False, comment="first folder of the intra-day files' keys"),
        sa.Column("time_zone", sa.Text(), nullable=False, comment="IANA name; the business day is this zone's"),
        sa.Column("currency", sa.Text(), nullable=False, comment="ISO 4217"),
        sa.Column("tax_jurisdiction", sa.Text(), nullable=False),
        sa.Column("risk_strategy", sa.Text(), nullable=False),
        sa.Column("after_decline", sa.Text(), server_default="none", nullable=False),
        sa.Column(
            "preauthorization_amount",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="held at the gate; set in Amazon's portal",
        ),
        sa.Column("feeds", sa.ARRAY(sa.Text()), nullable=False, comment="FILES, EVENTS or both"),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "test", sa.Boolean(), server_default="false", nullable=False, comment="a test store stays out of the books"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("after_decline in ('none','capture_preauth_once')", name=op.f("ck_store_after_decline")),
        sa.CheckConstraint("feeds <@ ARRAY['FILES','EVENTS'] and cardinality(feeds) > 0", name=op.f("ck_store_feeds")),
        sa.CheckConstraint(
            "risk_strategy in ('AMAZON_MANAGED','AMAZON_RECOMMENDATION','RETAILER_MANAGED','NONE')",
            name=op.f("ck_store_risk_strategy"),
        ),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_store")),
    )
    op.create_table(
        "tax_rate",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("product_tax_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.CheckConstraint("rate >= 0 and rate < 1", name=op.f("ck_tax_rate_rate")),
        sa.PrimaryKeyConstraint("store_id", "product_tax_code", "valid_from", name=op.f("pk_tax_rate")),
    )
    op.create_table(
        "catalog_batch",
        sa.Column("batch_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="INTENT, SENT, UNKNOWN, DONE, REFUSED, FATAL, CANCELLED"),
        sa.Column(
            "store_id", sa.String(length=255), nullable=True, comment="the one store of an upload; null for an archive"
        ),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("ingestion_id", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "settled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="nothing more is done about it; business time",
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "not_before",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="of the next try to send it, by the wall clock",
        ),
        sa.CheckConstraint("kind in ('UPLOAD','ARCHIVE')", name=op.f("ck_catalog_batch_kind")),
        sa.ForeignKeyConstraint(["run_id"], ["catalog_run.run_id"], name=op.f("fk_catalog_batch_run_id_catalog_run")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_catalog_batch")),
        sa.UniqueConstraint("ingestion_id", name=op.f("uq_catalog_batch_ingestion_id")),
    )
    op.create_index(op.f("ix_catalog_batch_run_id"), "catalog_batch", ["run_id"], unique=False)
    op.create_table(
        "catalog_item",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column(
            "record",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the whole upload record of Amazon's catalog API",
        ),
        sa.Column("content_hash", sa.Text(), nullable=False, comment="SHA-256 of the canonical record"),
        sa.Column("item_name", sa.Text(), nullable=False),
        sa.Column("product_tax_code", sa.Text(), server_default="", nullable=False),
        sa.Column("product_category", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "unit", sa.Text(), server_default="unit", nullable=False, comment="unit it is sold by: unit, kg, g, lb, oz"
        ),
        sa.Column("seen_in_run", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(
            ["seen_in_run"], ["catalog_run.run_id"], name=op.f("fk_catalog_item_seen_in_run_catalog_run")
        ),
        sa.PrimaryKeyConstraint("store_id", "item_sku", name=op.f("pk_catalog_item")),
    )
    op.create_table(
        "catalog_rejection",
        sa.Column("rejection_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("item_sku", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["catalog_run.run_id"], name=op.f("fk_catalog_rejection_run_id_catalog_run")
        ),
        sa.PrimaryKeyConstraint("rejection_id", name=op.f("pk_catalog_rejection")),
    )
    op.create_index(op.f("ix_catalog_rejection_run_id"), "catalog_rejection", ["run_id"], unique=False)
    op.create_table(
        "charge",
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column(
            "total",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="what the trip costs; 0: only a cancel is due",
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="the fold's state: docs/money.md draws the table"),
        sa.Column("authorized", sa.Numeric(precision=14, scale=4), server_default="0", nullable=False),
        sa.Column(
            "captured",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="final, by evidence",
        ),
        sa.Column(
            "capture_initiated",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="begun, not yet final",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, comment="when the payment token ends"),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True, comment="due at; null: nothing to do"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fencing", sa.BigInteger(), server_default="0", nullable=False, comment="grows with each claim"),
        sa.Column(
            "to_book", sa.Boolean(), server_default="true", nullable=False, comment="the ledger has news of it to book"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_charge_store_id_store")),
        sa.PrimaryKeyConstraint("shopping_trip_id", name=op.f("pk_charge")),
    )
    op.create_index(
        "ix_charge_due",
        "charge",
        ["store_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index("ix_charge_state", "charge", ["state"], unique=False)
    op.create_index("ix_charge_to_book", "charge", ["shopping_trip_id"], unique=False, postgresql_where="to_book")
    op.create_table(
        "debt",
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False, comment="one debt per trip"),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("shopper_id", sa.String(length=255), nullable=True, comment="who owes, for app entry"),
        sa.Column(
            "shopper_identity",
            sa.String(length=255),
            nullable=True,
            comment="the card's token, for card entry, where it was sent",
        ),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("paid", sa.Numeric(precision=14, scale=4), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="OPEN", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("age_days", sa.Integer(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True, comment="0-30, 31-60, 61-90, 90+ : by the last aging run"),
        sa.Column("aged_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "cause in ('ADJUST_DECLINED','PARTIAL_APPROVAL','CAPTURE_DECLINED','TOKEN_EXPIRED')",
            name=op.f("ck_debt_cause"),
        ),
        sa.CheckConstraint("state in ('OPEN','PAID','WRITTEN_OFF')", name=op.f("ck_debt_state")),
        sa.CheckConstraint("amount > 0 and paid >= 0 and paid <= amount", name=op.f("ck_debt_amount")),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_debt_store_id_store")),
        sa.PrimaryKeyConstraint("shopping_trip_id", name=op.f("pk_debt")),
    )
    op.create_index("ix_debt_open", "debt", ["state", "opened_at"], unique=False)
    op.create_index("ix_debt_shopper", "debt", ["shopper_id"], unique=False)
    op.create_table(
        "feed_quarantine",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False, comment="in the file; the header is line 1"),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="WAITING", nullable=False, comment="WAITING, RETRIED"),
        sa.ForeignKeyConstraint(["file_id"], ["feed_file.file_id"], name=op.f("fk_feed_quarantine_file_id_feed_file")),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_feed_quarantine")),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("transaction_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="the event it books, once: charge_event:42"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=True),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reverses", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["reverses"],
            ["ledger_transaction.transaction_id"],
            name=op.f("fk_ledger_transaction_reverses_ledger_transaction"),
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_ledger_transaction_store_id_store")),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_ledger_transaction")),
        sa.UniqueConstraint("source", name=op.f("uq_ledger_transaction_source")),
    )
    op.create_index("ix_ledger_transaction_day", "ledger_transaction", ["store_id", "business_date"], unique=False)
    op.create_index(
        op.f("ix_ledger_transaction_shopping_trip_id"), "ledger_transaction", ["shopping_trip_id"], unique=False
    )
    op.create_table(
        "purchase",
        sa.Column("purchase_id", sa.String(length=255), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False, comment="idempotentShoppingTripId"),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False, comment="of the trip's end, in the store's time zone"),
        sa.Column("entry_method", sa.Text(), nullable=False),
        sa.Column(
            "shopper_id",
            sa.String(length=255),
            nullable=True,
            comment="whom the gate let in by the app; null for card entry",
        ),
        sa.Column("shopper_type", sa.Text(), nullable=True),
        sa.Column(
            "shopper_identity",
            sa.String(length=255),
            nullable=True,
            comment="shopperIdentity.id: Amazon's token, where it was sent",
        ),
        sa.Column("trip_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "trip_ended_at", sa.DateTime(timezone=True), nullable=False, comment="the trip is priced as of this instant"
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("list_total", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("promotion_total", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("tax_total", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column(
            "total",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="list_total - promotion_total + tax_total",
        ),
        sa.Column(
            "body_hash", sa.Text(), nullable=False, comment="SHA-256 of the cart's meaning, to notice another cart"
        ),
        sa.Column("raw_body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False, comment="repeated byte for byte with 201"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("entry_method in ('APP','CREDIT_CARD')", name=op.f("ck_purchase_entry_method")),
        sa.CheckConstraint(
            "state in ('PRICED','EMPTY','BAD_CART','NOT_CHARGEABLE','SETTLED_OTHERWISE')",
            name=op.f("ck_purchase_state"),
        ),
        sa.CheckConstraint(
            "total >= 0 and total = list_total - promotion_total + tax_total", name=op.f("ck_purchase_total")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.store_id"], name=op.f("fk_purchase_store_id_store")),
        sa.PrimaryKeyConstraint("purchase_id", name=op.f("pk_purchase")),
        sa.UniqueConstraint("shopping_trip_id", name=op.f("uq_purchase_shopping_trip_id")),
    )
    op.create_index("ix_purchase_store_day", "purchase", ["store_id", "business_date"], unique=False)
    op.create_table(
        "recognition_key",
        sa.Column(
            "key_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the decoded key or of the token in a scan key code",
        ),
        sa.Column("shopper_id", sa.String(length=255), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="OPAQUE: used again and again; TOKEN: carried by scan key codes"
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('OPAQUE','TOKEN')", name=op.f("ck_recognition_key_kind")),
        sa.ForeignKeyConstraint(
            ["shopper_id"], ["shopper.shopper_id"], name=op.f("fk_recognition_key_shopper_id_shopper")
        ),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_recognition_key")),
    )
    op.create_index(op.f("ix_recognition_key_shopper_id"), "recognition_key", ["shopper_id"], unique=False)
    op.create_table(
        "reconciliation_trip",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False, comment="the newest judge"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="MATCHED, EXPECTED, BREAK"),
        sa.Column(
            "note", sa.Text(), server_default="", nullable=False, comment="what it waits for, or what is worth knowing"
        ),
        sa.Column("entry_method", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("purchase_total", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("charge_state", sa.Text(), nullable=True),
        sa.Column("charge_captured", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("order_total", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("order_captured", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("ledger_captured", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.CheckConstraint("outcome in ('MATCHED','EXPECTED','BREAK')", name=op.f("ck_reconciliation_trip_outcome")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["reconciliation_run.run_id"], name=op.f("fk_reconciliation_trip_run_id_reconciliation_run")
        ),
        sa.PrimaryKeyConstraint("store_id", "business_date", "shopping_trip_id", name=op.f("pk_reconciliation_trip")),
    )
    op.create_index("ix_reconciliation_trip_run", "reconciliation_trip", ["run_id"], unique=False)
    op.create_table(
        "catalog_accepted",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column(
            "content_hash",
            sa.Text(),
            nullable=False,
            comment="what Amazon last accepted; the difference compares to this",
        ),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["catalog_batch.batch_id"], name=op.f("fk_catalog_accepted_batch_id_catalog_batch")
        ),
        sa.PrimaryKeyConstraint("store_id", "item_sku", name=op.f("pk_catalog_accepted")),
    )
    op.create_table(
        "catalog_batch_item",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True, comment="ACCEPTED or REJECTED, from Amazon's report"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["catalog_batch.batch_id"], name=op.f("fk_catalog_batch_item_batch_id_catalog_batch")
        ),
        sa.PrimaryKeyConstraint("batch_id", "store_id", "item_sku", name=op.f("pk_catalog_batch_item")),
    )
    op.create_index("ix_catalog_batch_item_sku", "catalog_batch_item", ["item_sku", "store_id"], unique=False)
    op.create_table(
        "charge_attempt",
        sa.Column("attempt_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of this operation on this trip, from 1"),
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
        sa.CheckConstraint("operation in ('ADJUST','CAPTURE','CANCEL')", name=op.f("ck_charge_attempt_operation")),
        sa.ForeignKeyConstraint(
            ["shopping_trip_id"], ["charge.shopping_trip_id"], name=op.f("fk_charge_attempt_shopping_trip_id_charge")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_charge_attempt")),
        sa.UniqueConstraint(
            "shopping_trip_id", "operation", "number", name=op.f("uq_charge_attempt_shopping_trip_id_operation_number")
        ),
    )
    op.create_index(op.f("ix_charge_attempt_shopping_trip_id"), "charge_attempt", ["shopping_trip_id"], unique=False)
    op.create_table(
        "charge_event",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="CONNECTOR, ATTEMPT, ORDER_ROW, EVENT, PERSON, CLOCK"),
        sa.Column("source_id", sa.Text(), nullable=False, comment="with source and kind: the same news is kept once"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["shopping_trip_id"], ["charge.shopping_trip_id"], name=op.f("fk_charge_event_shopping_trip_id_charge")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_charge_event")),
        sa.UniqueConstraint(
            "shopping_trip_id",
            "kind",
            "source",
            "source_id",
            name=op.f("uq_charge_event_shopping_trip_id_kind_source_source_id"),
        ),
    )
    op.create_index(op.f("ix_charge_event_shopping_trip_id"), "charge_event", ["shopping_trip_id"], unique=False)
    op.create_table(
        "ledger_posting",
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("posting_number", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False, comment="backroom.ledger.accounts names them"),
        sa.Column("detail", sa.Text(), server_default="", nullable=False, comment="sub-account: a tax jurisdiction"),
        sa.Column(
            "amount", sa.Numeric(precision=14, scale=4), nullable=False, comment="debit positive, credit negative"
        ),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_ledger_posting_amount")),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transaction.transaction_id"],
            name=op.f("fk_ledger_posting_transaction_id_ledger_transaction"),
        ),
        sa.PrimaryKeyConstraint("transaction_id", "posting_number", name=op.f("pk_ledger_posting")),
    )
    op.create_index("ix_ledger_posting_account", "ledger_posting", ["account"], unique=False)
    op.create_table(
        "purchase_line",
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False, comment="from 1, in the cart's order"),
        sa.Column("line_item_id", sa.String(length=255), nullable=True),
        sa.Column("item_id", sa.String(length=255), nullable=False, comment="as it came"),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=True, comment="null: unknown to us"),
        sa.Column("quantity", sa.Numeric(precision=18, scale=8), nullable=False, comment="as it came, in `unit`"),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("list_price", sa.Numeric(precision=14, scale=4), nullable=True, comment="per `price_unit`"),
        sa.Column("price_unit", sa.Text(), nullable=True, comment="the unit that the product is sold by"),
        sa.Column(
            "list_amount",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="list_price x quantity in price_unit, rounded",
        ),
        sa.Column("promotion_id", sa.String(length=255), nullable=True),
        sa.Column("promotion_percentage", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("promotion_amount", sa.Numeric(precision=14, scale=4), nullable=True, comment="taken off, rounded"),
        sa.Column("product_tax_code", sa.Text(), nullable=True),
        sa.Column("tax_rate", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("tax_jurisdiction", sa.Text(), nullable=True),
        sa.Column(
            "tax_amount",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="on list_amount - promotion_amount, rounded",
        ),
        sa.Column("total", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.CheckConstraint(
            "item_sku is null or total = list_amount - promotion_amount + tax_amount",
            name=op.f("ck_purchase_line_total"),
        ),
        sa.CheckConstraint(
            "total >= 0 and tax_amount >= 0 and promotion_amount >= 0", name=op.f("ck_purchase_line_sign")
        ),
        sa.ForeignKeyConstraint(
            ["shopping_trip_id"], ["purchase.shopping_trip_id"], name=op.f("fk_purchase_line_shopping_trip_id_purchase")
        ),
        sa.PrimaryKeyConstraint("shopping_trip_id", "line_number", name=op.f("pk_purchase_line")),
    )


def downgrade() -> None:
    op.drop_table("purchase_line")
    op.drop_index("ix_ledger_posting_account", table_name="ledger_posting")
    op.drop_table("ledger_posting")
    op.drop_index(op.f("ix_charge_event_shopping_trip_id"), table_name="charge_event")
    op.drop_table("charge_event")
    op.drop_index(op.f("ix_charge_attempt_shopping_trip_id"), table_name="charge_attempt")
    op.drop_table("charge_attempt")
    op.drop_index("ix_catalog_batch_item_sku", table_name="catalog_batch_item")
    op.drop_table("catalog_batch_item")
    op.drop_table("catalog_accepted")
    op.drop_index("ix_reconciliation_trip_run", table_name="reconciliation_trip")
    op.drop_table("reconciliation_trip")
    op.drop_index(op.f("ix_recognition_key_shopper_id"), table_name="recognition_key")
    op.drop_table("recognition_key")
    op.drop_index("ix_purchase_store_day", table_name="purchase")
    op.drop_table("purchase")
    op.drop_index(op.f("ix_ledger_transaction_shopping_trip_id"), table_name="ledger_transaction")
    op.drop_index("ix_ledger_transaction_day", table_name="ledger_transaction")
    op.drop_table("ledger_transaction")
    op.drop_table("feed_quarantine")
    op.drop_index("ix_debt_shopper", table_name="debt")
    op.drop_index("ix_debt_open", table_name="debt")
    op.drop_table("debt")
    op.drop_index("ix_charge_to_book", table_name="charge", postgresql_where="to_book")
    op.drop_index("ix_charge_state", table_name="charge")
    op.drop_index("ix_charge_due", table_name="charge", postgresql_where=sa.text("next_attempt_at IS NOT NULL"))
    op.drop_table("charge")
    op.drop_index(op.f("ix_catalog_rejection_run_id"), table_name="catalog_rejection")
    op.drop_table("catalog_rejection")
    op.drop_table("catalog_item")
    op.drop_index(op.f("ix_catalog_batch_run_id"), table_name="catalog_batch")
    op.drop_table("catalog_batch")
    op.drop_table("tax_rate")
    op.drop_table("store")
    op.drop_table("shopper")
    op.drop_table("shelf_price")
    op.drop_table("scan_code_use")
    op.drop_index("uq_review_case_open", table_name="review_case", postgresql_where=sa.text("decision is null"))
    op.drop_table("review_case")
    op.drop_table("refused_cart")
    op.drop_table("reconciliation_run")
    op.drop_index(
        "ix_reconciliation_break_open", table_name="reconciliation_break", postgresql_where=sa.text("closed_at IS NULL")
    )
    op.drop_table("reconciliation_break")
    op.drop_index(op.f("ix_quality_result_run"), table_name="quality_result")
    op.drop_table("quality_result")
    op.drop_index("ix_promotion_line", table_name="promotion")
    op.drop_index(
        "ix_promotion_every_basket",
        table_name="promotion",
        postgresql_where=sa.text("kind = 'BASKET_PERCENTAGE' and shopping_trip_id is null"),
    )
    op.drop_index("ix_promotion_basket", table_name="promotion")
    op.drop_table("promotion")
    op.drop_index(op.f("ix_gate_decision_store_id"), table_name="gate_decision")
    op.drop_table("gate_decision")
    op.drop_index("ix_feed_file_window", table_name="feed_file")
    op.drop_index(op.f("ix_feed_file_sha256"), table_name="feed_file")
    op.drop_table("feed_file")
    op.drop_index(op.f("ix_feed_event_shopping_trip_id"), table_name="feed_event")
    op.drop_table("feed_event")
    op.drop_table("day_release")
    op.drop_table("catalog_run")
    op.drop_table("catalog_barcode")
    op.drop_table("audit_entry")
    op.drop_index("ix_api_permit_api", table_name="api_permit")
    op.drop_table("api_permit")
    op.drop_table("amazon_order_line")
    op.drop_index(op.f("ix_amazon_order_shopping_trip_id"), table_name="amazon_order")
    op.drop_index("ix_amazon_order_day", table_name="amazon_order")
    op.drop_table("amazon_order")
    op.drop_table("alert")
