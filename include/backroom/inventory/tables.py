"""What purchases, returns, deliveries and counts do to the stock. A level is the sum of its movements."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Integer, PrimaryKeyConstraint, Table, Text

from backroom.db.metadata import Identifier, Instant, Quantity, metadata

stock_movement = Table(
    "stock_movement",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("source", Identifier, nullable=False, comment="with the kind, what moved it: a trip, a refund, a count"),
    Column("kind", Text, nullable=False),
    Column("quantity", Quantity, nullable=False, comment="in `unit`; below zero: out of the store"),
    Column("unit", Text, nullable=False, comment="the unit that the product is sold by"),
    Column("happened_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("export_id", BigInteger, comment="the export that told the point of sale; null: not yet"),
    PrimaryKeyConstraint("store_id", "item_sku", "source", "kind"),
    CheckConstraint("kind in ('SALE','SALE_UNDONE','RETURN','DELIVERY','COUNT')", name="kind"),
)
Index("ix_stock_movement_to_export", stock_movement.c.store_id, postgresql_where=stock_movement.c.export_id.is_(None))

stock_export = Table(
    "stock_export",
    metadata,
    Column("export_id", BigInteger, Identity(), primary_key=True),
    Column("store_id", Identifier, nullable=False, index=True),
    Column("channel", Text, nullable=False, comment="FILE or HTTP"),
    Column("movements", Integer, nullable=False),
    Column("body", Text, nullable=False, comment="what is told, exactly: sent again as it is"),
    Column("content_hash", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="INTENDED"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("answer", Text, comment="of the last attempt: a status, or why it was not sent"),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    CheckConstraint("channel in ('FILE','HTTP')", name="channel"),
    CheckConstraint("state in ('INTENDED','DONE','REFUSED')", name="state"),
)
