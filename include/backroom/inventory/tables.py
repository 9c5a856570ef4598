"""What purchases, returns, deliveries and counts do to the stock. A level is the sum of its movements."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from backroom.db.metadata import Identifier, Instant, metadata

# A whole cart's sum in the smallest unit: it must hold whatever a cart can say, or the sale could not be recorded.
StockQuantity = Numeric(28, 8, asdecimal=True)

stock_movement = Table(
    "stock_movement",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("source", Identifier, nullable=False, comment="with the kind, what moved it: a trip, a refund, a count"),
    Column("kind", Text, nullable=False),
    Column(
        "line_number",
        Integer,
        nullable=False,
        server_default="0",
        comment="which part of the source: a line, a return's number, a count's correction; 0: all of it",
    ),
    Column("quantity", StockQuantity, nullable=False, comment="in `unit`; below zero: out of the store"),
    Column("unit", Text, nullable=False, comment="the unit that the product is sold by"),
    Column("counted", StockQuantity, comment="for a COUNT: what was counted; null in its corrections"),
    Column("happened_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("export_id", BigInteger, comment="the export that told the point of sale; null: not yet"),
    PrimaryKeyConstraint("store_id", "item_sku", "source", "kind", "line_number"),
    CheckConstraint("kind in ('SALE','SALE_UNDONE','RETURN','DELIVERY','COUNT')", name="kind"),
)
Index("ix_stock_movement_to_export", stock_movement.c.store_id, postgresql_where=stock_movement.c.export_id.is_(None))
Index(
    "ix_stock_movement_count",
    stock_movement.c.store_id,
    stock_movement.c.item_sku,
    postgresql_where=stock_movement.c.kind == "COUNT",
)

stock_due = Table(
    "stock_due",
    metadata,
    Column("shopping_trip_id", Identifier, primary_key=True, comment="of a purchase whose lines are not moved yet"),
    Column("store_id", Identifier, nullable=False, index=True),
)

stock_export = Table(
    "stock_export",
    metadata,
    Column("export_id", BigInteger, Identity(), nullable=False, comment="the key by which the point of sale knows it"),
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
    PrimaryKeyConstraint("export_id", "channel"),
    CheckConstraint("channel in ('FILE','HTTP')", name="channel"),
    CheckConstraint("state in ('INTENDED','DONE','REFUSED')", name="state"),
)
