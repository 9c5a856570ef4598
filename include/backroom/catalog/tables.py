"""The catalog: source runs, current items, what was uploaded, what Amazon accepted."""

from sqlalchemy import (
    ARRAY,
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
    func,
    text,
)

from backroom.db.metadata import Identifier, Instant, Json, metadata

catalog_run = Table(
    "catalog_run",
    metadata,
    Column("run_id", BigInteger, Identity(), primary_key=True),
    Column("business_date", Date, nullable=False),
    Column("source", Text, nullable=False, comment="where the files were read from"),
    Column("state", Text, nullable=False, comment="READING, COMPARED, UPLOADING, DONE, FAILED"),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("items_read", Integer, nullable=False, server_default="0"),
    Column("items_rejected", Integer, nullable=False, server_default="0"),
    Column("items_new", Integer, nullable=False, server_default="0"),
    Column("items_changed", Integer, nullable=False, server_default="0"),
    Column("items_unchanged", Integer, nullable=False, server_default="0"),
    Column("items_gone", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    Column("store_id", Identifier, comment="the one store of a run; null: all"),
    Column(
        "held_stores",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="stores whose source waits for a person",
    ),
    Column(
        "items_refused",
        Integer,
        nullable=False,
        server_default="0",
        comment="rejected by Amazon as they are; not sent until they change",
    ),
)

catalog_item = Table(
    "catalog_item",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("record", Json, nullable=False, comment="the whole upload record of Amazon's catalog API"),
    Column("content_hash", Text, nullable=False, comment="SHA-256 of the canonical record"),
    Column("item_name", Text, nullable=False),
    Column("product_tax_code", Text, nullable=False, server_default=""),
    Column("product_category", Text, nullable=False, server_default=""),
    Column("unit", Text, nullable=False, server_default="unit", comment="unit it is sold by: unit, kg, g, lb, oz"),
    Column(
        "seen_in_run",
        BigInteger,
        ForeignKey("catalog_run.run_id"),
        nullable=False,
        comment="the run that last changed it",
    ),
    Column("gone", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("store_id", "item_sku"),
)
Index("ix_catalog_item_gone", catalog_item.c.item_sku, postgresql_where=catalog_item.c.gone)

catalog_barcode = Table(
    "catalog_barcode",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("barcode", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("barcode_type", Text),
    PrimaryKeyConstraint("store_id", "barcode"),
)

catalog_rejection = Table(
    "catalog_rejection",
    metadata,
    Column("rejection_id", BigInteger, Identity(), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("catalog_run.run_id"), nullable=False, index=True),
    Column("file", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("store_id", Text, index=True),
    Column("item_sku", Text),
    Column("field", Text),
    Column("reason", Text, nullable=False),
    Column("raw", Json, nullable=False),
)

catalog_batch = Table(
    "catalog_batch",
    metadata,
    Column("batch_id", BigInteger, Identity(), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("catalog_run.run_id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column(
        "state",
        Text,
        nullable=False,
        comment="INTENT, CALLING, SENT, UNKNOWN, DONE, REFUSED, FATAL, CANCELLED, SUPERSEDED",
    ),
    Column("store_id", Identifier, comment="the one store of an upload; null for an archive"),
    Column("item_count", Integer, nullable=False),
    Column("ingestion_id", Text, unique=True),
    Column("intended_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("settled_at", Instant, comment="nothing more is done about it; business time"),
    Column("reason", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant, comment="of the next try to send it, by the wall clock"),
    Column("claimed_until", Instant, comment="by the database's clock"),
    Column("called_at", Instant, comment="of the latest call, by the database's clock"),
    Column("report_link", Text, comment="presigned; lives for 60 minutes"),
    Column("link_at", Instant, comment="by the database's clock"),
    Column("bad_store", Boolean, nullable=False, server_default="false", comment="refused for its store"),
    CheckConstraint("kind in ('UPLOAD','ARCHIVE')", name="kind"),
)
Index("ix_catalog_batch_open", catalog_batch.c.batch_id, postgresql_where=catalog_batch.c.settled_at.is_(None))

catalog_batch_item = Table(
    "catalog_batch_item",
    metadata,
    Column("batch_id", BigInteger, ForeignKey("catalog_batch.batch_id"), nullable=False),
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("status", Text, comment="ACCEPTED or REJECTED, from Amazon's report"),
    Column("error_code", Text),
    Column("error_message", Text),
    PrimaryKeyConstraint("batch_id", "store_id", "item_sku"),
)
Index("ix_catalog_batch_item_sku", catalog_batch_item.c.item_sku, catalog_batch_item.c.store_id)

catalog_accepted = Table(
    "catalog_accepted",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("content_hash", Text, nullable=False, comment="what Amazon last accepted; the difference compares to this"),
    Column("batch_id", BigInteger, ForeignKey("catalog_batch.batch_id"), nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("archived", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("store_id", "item_sku"),
)

catalog_refusal = Table(
    "catalog_refusal",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content_hash", Text, nullable=False, comment="the content that was rejected; only another is sent"),
    Column("batch_id", BigInteger, ForeignKey("catalog_batch.batch_id"), nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("refused_at", Instant, nullable=False, comment="business time"),
    PrimaryKeyConstraint("store_id", "item_sku"),
    CheckConstraint("kind in ('UPLOAD','ARCHIVE')", name="kind"),
)

catalog_notification = Table(
    "catalog_notification",
    metadata,
    Column("ingestion_id", Text, primary_key=True),
    Column("processing_status", Text, nullable=False),
    Column("report_link", Text),
    Column(
        "received_at",
        Instant,
        nullable=False,
        server_default=func.clock_timestamp(),
        comment="the database's clock, which the link's age is counted by",
    ),
    Column(
        "compared",
        Boolean,
        nullable=False,
        server_default="false",
        comment="its report was held against batches of unknown outcome",
    ),
)
