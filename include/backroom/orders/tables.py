"""Orders as Amazon saw them, from files and events; the highest version of each row."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, PrimaryKeyConstraint, Table, Text

from backroom.db.metadata import Amount, Identifier, Instant, Quantity, metadata

amazon_order = Table(
    "amazon_order",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("order_id", Identifier, nullable=False),
    Column("shopping_trip_id", Identifier, nullable=False, index=True),
    Column("business_date", Date, nullable=False, comment="of the trip's end, in the store's time zone"),
    Column("status", Text, nullable=False, comment="OPEN, SETTLED, CANCELLED, REFUNDED"),
    Column("entry_method", Text, nullable=False),
    Column("trip_started_at", Instant, nullable=False),
    Column("trip_ended_at", Instant, nullable=False),
    Column("currency", Text, nullable=False),
    Column("order_total", Amount, nullable=False),
    Column("authorized", Amount, nullable=False),
    Column("captured", Amount, nullable=False),
    Column("refunded", Amount, nullable=False),
    Column("card_brand", Text),
    Column("card_last_four", Text),
    Column("reconciliation_id", Text),
    Column("updated_at", Instant, nullable=False, comment="first part of the version"),
    Column("window_end", Instant, nullable=False, comment="second part"),
    Column("sequencer", Text, nullable=False, comment="third part"),
    Column("incomplete", Boolean, nullable=False, server_default="false", comment="lines do not add up to the total"),
    Column("to_hear", Boolean, nullable=False, server_default="true", comment="its charge may not know it yet"),
    PrimaryKeyConstraint("store_id", "order_id"),
)
Index("ix_amazon_order_to_hear", amazon_order.c.shopping_trip_id, postgresql_where=amazon_order.c.to_hear)
Index("ix_amazon_order_day", amazon_order.c.store_id, amazon_order.c.business_date)

amazon_order_line = Table(
    "amazon_order_line",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("order_id", Identifier, nullable=False),
    Column("line_number", Integer, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("unit", Text, nullable=False),
    Column("list_price", Amount, nullable=False, comment="per unit"),
    Column("price", Amount, nullable=False, comment="of the line, after promotions, before tax"),
    Column("promotion", Amount, nullable=False),
    Column("tax", Amount, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("window_end", Instant, nullable=False),
    Column("sequencer", Text, nullable=False),
    Column("file_id", BigInteger, nullable=False),
    Column("dropped", Boolean, nullable=False, server_default="false", comment="gone in a newer version"),
    PrimaryKeyConstraint("store_id", "order_id", "line_number"),
)
