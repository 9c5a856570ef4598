"""The catalog: source runs, current items, what was uploaded, what Amazon accepted."""

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
    Column("seen_in_run", BigInteger, ForeignKey("catalog_run.run_id"), nullable=False),
    Column("gone", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("store_id", "item_sku"),
)

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
    Column("store_id", Text),
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
    Column("state", Text, nullable=False, comment="INTENT, SENT, UNKNOWN, DONE, REFUSED, FATAL, CANCELLED"),
    Column("store_id", Identifier, comment="the one store of an upload; null for an archive"),
    Column("item_count", Integer, nullable=False),
    Column("ingestion_id", Text, unique=True),
    Column("intended_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("settled_at", Instant, comment="nothing more is done about it; business time"),
    Column("reason", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant, comment="of the next try to send it, by the wall clock"),
    CheckConstraint("kind in ('UPLOAD','ARCHIVE')", name="kind"),
)

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
