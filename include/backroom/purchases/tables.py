"""The price book, and each cart that Amazon handed over, priced."""

from sqlalchemy import (
    BigInteger,
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
    text,
)

from backroom.db.metadata import Amount, Identifier, Instant, Json, Rate, metadata

CartQuantity = Numeric(18, 8, asdecimal=True)  # every value of at most 10 characters, exactly

shelf_price = Table(
    "shelf_price",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant, comment="exclusive; null: open"),
    Column("amount", Amount, nullable=False, comment="per unit or per unit of weight"),
    Column("currency", Text, nullable=False),
    PrimaryKeyConstraint("store_id", "item_sku", "valid_from"),
    CheckConstraint("amount >= 0", name="amount"),
)

promotion = Table(
    "promotion",
    metadata,
    Column("promotion_id", Identifier, primary_key=True),
    Column("store_id", Identifier, nullable=False),
    Column("kind", Text, nullable=False),
    Column("item_sku", Identifier, comment="the product, for LINE_PERCENTAGE"),
    Column("shopping_trip_id", Identifier, comment="for BASKET_PERCENTAGE: the one basket it is for; null: every one"),
    Column("percentage", Rate, nullable=False, comment="0.125 is 12.5 % off"),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant, comment="exclusive; null: open"),
    Column("description", Text, nullable=False, server_default=""),
    CheckConstraint("kind in ('LINE_PERCENTAGE','BASKET_PERCENTAGE')", name="kind"),
    CheckConstraint("percentage > 0 and percentage <= 1", name="percentage"),
    CheckConstraint("(kind = 'LINE_PERCENTAGE') = (item_sku is not null)", name="scope"),
)
Index("ix_promotion_line", promotion.c.store_id, promotion.c.item_sku)
Index("ix_promotion_basket", promotion.c.store_id, promotion.c.shopping_trip_id)
Index(
    "ix_promotion_every_basket",
    promotion.c.store_id,
    postgresql_where=text("kind = 'BASKET_PERCENTAGE' and shopping_trip_id is null"),
)

tax_rate = Table(
    "tax_rate",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("product_tax_code", Text, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    Column("jurisdiction", Text, nullable=False),
    Column("rate", Rate, nullable=False),
    PrimaryKeyConstraint("store_id", "product_tax_code", "valid_from"),
    CheckConstraint("rate >= 0 and rate < 1", name="rate"),
)

purchase = Table(
    "purchase",
    metadata,
    Column("purchase_id", Identifier, primary_key=True),
    Column("shopping_trip_id", Identifier, nullable=False, unique=True, comment="idempotentShoppingTripId"),
    Column("request_id", Text, nullable=False),
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("business_date", Date, nullable=False, comment="of the trip's end, in the store's time zone"),
    Column("entry_method", Text, nullable=False),
    Column("shopper_id", Identifier, comment="whom the gate let in by the app; null for card entry"),
    Column("shopper_type", Text),
    Column("shopper_identity", Identifier, comment="shopperIdentity.id: Amazon's token, where it was sent"),
    Column("trip_started_at", Instant, nullable=False),
    Column("trip_ended_at", Instant, nullable=False, comment="the trip is priced as of this instant"),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("list_total", Amount, nullable=False),
    Column("promotion_total", Amount, nullable=False),
    Column("tax_total", Amount, nullable=False),
    Column("total", Amount, nullable=False, comment="list_total - promotion_total + tax_total"),
    Column("body_hash", Text, nullable=False, comment="SHA-256 of the cart's meaning, to notice another cart"),
    Column("raw_body", Json, nullable=False),
    Column("response_body", LargeBinary, nullable=False, comment="repeated byte for byte with 201"),
    Column("received_at", Instant, nullable=False),
    CheckConstraint("entry_method in ('APP','CREDIT_CARD')", name="entry_method"),
    CheckConstraint("state in ('PRICED','EMPTY','BAD_CART','NOT_CHARGEABLE','SETTLED_OTHERWISE')", name="state"),
    CheckConstraint("total >= 0 and total = list_total - promotion_total + tax_total", name="total"),
)
Index("ix_purchase_store_day", purchase.c.store_id, purchase.c.business_date)

purchase_line = Table(
    "purchase_line",
    metadata,
    Column("shopping_trip_id", Identifier, ForeignKey("purchase.shopping_trip_id"), nullable=False),
    Column("line_number", Integer, nullable=False, comment="from 1, in the cart's order"),
    Column("line_item_id", Identifier),
    Column("item_id", Identifier, nullable=False, comment="as it came"),
    Column("item_type", Text, nullable=False),
    Column("item_sku", Identifier, comment="null: unknown to us"),
    Column("quantity", CartQuantity, nullable=False, comment="as it came, in `unit`"),
    Column("unit", Text, nullable=False),
    Column("list_price", Amount, comment="per `price_unit`"),
    Column("price_unit", Text, comment="the unit that the product is sold by"),
    Column("list_amount", Amount, comment="list_price x quantity in price_unit, rounded"),
    Column("promotion_id", Identifier),
    Column("promotion_percentage", Rate),
    Column("promotion_amount", Amount, comment="taken off, rounded"),
    Column("product_tax_code", Text),
    Column("tax_rate", Rate),
    Column("tax_jurisdiction", Text),
    Column("tax_amount", Amount, comment="on list_amount - promotion_amount, rounded"),
    Column("total", Amount),
    PrimaryKeyConstraint("shopping_trip_id", "line_number"),
    CheckConstraint("item_sku is null or total = list_amount - promotion_amount + tax_amount", name="total"),
    CheckConstraint("total >= 0 and tax_amount >= 0 and promotion_amount >= 0", name="sign"),
)

refused_cart = Table(
    "refused_cart",
    metadata,
    Column("refused_id", BigInteger, Identity(), primary_key=True),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="as it came, cut at the size limit"),
    Column("received_at", Instant, nullable=False),
)
