"""The price book, and each cart that Amazon handed over, priced."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
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
    Column("shopping_trip_id", Identifier, comment="for BASKET_…: the one basket it is for; null: every one"),
    Column("percentage", Rate, comment="0.125 is 12.5 % off; for BUY_X_GET_Y off each unit that is got"),
    Column("amount", Amount, comment="off each unit (LINE_AMOUNT) or off the basket (BASKET_AMOUNT)"),
    Column("buy_quantity", Integer, comment="BUY_X_GET_Y: units at the full price"),
    Column("get_quantity", Integer, comment="BUY_X_GET_Y: units that then get the percentage off"),
    Column("minimum_amount", Amount, comment="list amount of the basket from which it applies; null: always"),
    Column("stacks", Boolean, nullable=False, server_default="false", comment="false: excludes others on a line"),
    Column("stacking_order", Integer, nullable=False, server_default="0", comment="of those that stack, low first"),
    Column("loyalty", Boolean, nullable=False, server_default="false", comment="only for accounts that it is given to"),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant, comment="exclusive; null: open"),
    Column("description", Text, nullable=False, server_default=""),
    Column(
        "version_of",
        Identifier,
        comment="for what was in force before the source changed: the promotion's id there; null: as it is there",
    ),
    CheckConstraint(
        "kind in ('LINE_PERCENTAGE','LINE_AMOUNT','BUY_X_GET_Y','BASKET_PERCENTAGE','BASKET_AMOUNT')", name="kind"
    ),
    CheckConstraint("percentage > 0 and percentage <= 1", name="percentage"),
    CheckConstraint("amount > 0 and minimum_amount > 0", name="amount"),
    CheckConstraint(
        "(kind in ('LINE_AMOUNT','BASKET_AMOUNT')) = (amount is not null)"
        " and (kind in ('LINE_AMOUNT','BASKET_AMOUNT')) = (percentage is null)",
        name="value",
    ),
    CheckConstraint(
        "(kind = 'BUY_X_GET_Y') = (coalesce(buy_quantity, 0) > 0 and coalesce(get_quantity, 0) > 0)", name="units"
    ),
    CheckConstraint("shopping_trip_id is null or kind like 'BASKET%'", name="scope"),
)
Index("ix_promotion_basket", promotion.c.store_id, promotion.c.shopping_trip_id)
Index(
    "ix_promotion_every_basket",
    promotion.c.store_id,
    postgresql_where=text("kind like 'BASKET%' and shopping_trip_id is null"),
)

promotion_item = Table(
    "promotion_item",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("item_sku", Identifier, nullable=False),
    Column(
        "promotion_id", Identifier, ForeignKey("promotion.promotion_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    PrimaryKeyConstraint("store_id", "item_sku", "promotion_id"),
)

price_book_version = Table(
    "price_book_version",
    metadata,
    Column("store_id", Identifier, primary_key=True),
    Column(
        "version",
        BigInteger,
        nullable=False,
        comment="raised by triggers with each change of the store, its catalog, prices, taxes or promotions",
    ),
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
    Column("store_id", Identifier, nullable=False, comment="of a store: none that has purchases is ever removed"),
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
    Column(
        "tax_included_total",
        Amount,
        nullable=False,
        server_default="0",
        comment="of tax_total, what the list prices hold already",
    ),
    Column("total", Amount, nullable=False, comment="list_total - promotion_total + tax_total - tax_included_total"),
    Column("priced_by", Text, nullable=False, server_default="PRICE_BOOK"),
    Column("body_hash", Text, nullable=False, comment="SHA-256 of the cart's meaning, to notice another cart"),
    Column("raw_body", JSON, nullable=False),
    Column("response_body", LargeBinary, nullable=False, comment="repeated byte for byte with 201"),
    Column("received_at", Instant, nullable=False),
    CheckConstraint("entry_method in ('APP','CREDIT_CARD')", name="entry_method"),
    CheckConstraint("state in ('PRICED','EMPTY','BAD_CART','NOT_CHARGEABLE','SETTLED_OTHERWISE')", name="state"),
    CheckConstraint(
        "total >= 0 and total = list_total - promotion_total + tax_total - tax_included_total", name="total"
    ),
    CheckConstraint("priced_by in ('PRICE_BOOK','POINT_OF_SALE','PRICE_BOOK_FALLBACK')", name="priced_by"),
)
Index("ix_purchase_store_day", purchase.c.store_id, purchase.c.business_date)
Index(
    "ix_purchase_card_of_shopper",
    purchase.c.shopper_identity,
    postgresql_where=purchase.c.shopper_id.is_not(None) & purchase.c.shopper_identity.is_not(None),
)
Index("ix_purchase_shopper", purchase.c.shopper_id, postgresql_where=purchase.c.shopper_id.is_not(None))
Index(
    "ix_purchase_card",
    purchase.c.shopper_identity,
    postgresql_where=purchase.c.shopper_id.is_(None) & purchase.c.shopper_identity.is_not(None),
)
Index("ix_purchase_bad_cart", purchase.c.trip_started_at, postgresql_where=purchase.c.state == "BAD_CART")

purchase_line = Table(
    "purchase_line",
    metadata,
    Column("shopping_trip_id", Identifier, nullable=False, comment="of a purchase, with which its lines go in"),
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
    Column(
        "promotions",
        Json,
        nullable=False,
        server_default="[]",
        comment="list of {promotion_id, kind, description, amount}: what each took off, in the order applied",
    ),
    Column("promotion_amount", Amount, comment="taken off by all of them, rounded"),
    Column("product_tax_code", Text),
    Column("tax_rate", Rate),
    Column("tax_jurisdiction", Text),
    Column("tax_amount", Amount, comment="on (or, where prices hold it, in) list_amount - promotion_amount, rounded"),
    Column("tax_included", Boolean, nullable=False, server_default="false", comment="the list price holds the tax"),
    Column("total", Amount),
    Column("mapped_at", Instant, comment="when a person said what `item_sku` is; null: it was looked up"),
    Column("dropped_at", Instant, comment="when a person took the line out of the cart; null: it stands"),
    PrimaryKeyConstraint("shopping_trip_id", "line_number"),
    CheckConstraint(
        "total = list_amount - promotion_amount + case when tax_included then 0 else tax_amount end", name="total"
    ),
    CheckConstraint("total >= 0 and tax_amount >= 0 and promotion_amount >= 0", name="sign"),
)

unbilled_line = Table(
    "unbilled_line",
    metadata,
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("line_number", Integer, nullable=False),
    Column("store_id", Identifier, nullable=False, index=True),
    Column("item_id", Identifier, nullable=False),
    Column("quantity", CartQuantity, nullable=False),
    Column("unit", Text, nullable=False),
    Column("reason", Text, nullable=False, comment="why it had no price"),
    Column("recorded_at", Instant, nullable=False, comment="when the rest of the cart was charged without it"),
    PrimaryKeyConstraint("shopping_trip_id", "line_number"),
    ForeignKeyConstraint(
        ["shopping_trip_id", "line_number"], ["purchase_line.shopping_trip_id", "purchase_line.line_number"]
    ),
)

refused_cart = Table(
    "refused_cart",
    metadata,
    Column("refused_id", BigInteger, Identity(), primary_key=True),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="as it came, cut at the size limit"),
    Column("shopping_trip_id", Identifier, comment="where the body could be read"),
    Column("received_at", Instant, nullable=False),
    Column("settled_at", Instant, comment="null: waits for a person"),
    Column("settled_by", Text),
    Column("outcome", Text, comment="TAKEN: recorded after all; SENT_AGAIN: Amazon did; DISMISSED"),
    Column("spool_line", Text, unique=True, comment="the line's id in the spool that it waited in; null: it did not"),
    CheckConstraint("outcome in ('TAKEN','SENT_AGAIN','DISMISSED')", name="outcome"),
)
Index("ix_refused_cart_waiting", refused_cart.c.received_at, postgresql_where=refused_cart.c.settled_at.is_(None))

Index(
    "ix_refused_cart_unauthenticated",
    refused_cart.c.reason,
    postgresql_where=(refused_cart.c.status == 403) & refused_cart.c.settled_at.is_(None),
)

refused_call_count = Table(
    "refused_call_count",
    metadata,
    Column("hour", Instant, nullable=False, comment="its beginning"),
    Column("reason", Text, nullable=False, comment="why the calls were answered 403"),
    Column("calls", BigInteger, nullable=False, comment="carts that were not kept, only counted"),
    PrimaryKeyConstraint("hour", "reason"),
)

price_source = Table(
    "price_source",
    metadata,
    Column("source", Identifier, primary_key=True, comment="the file's name, or a store's point of sale"),
    Column("content_hash", Text, nullable=False, comment="SHA-256 of what was loaded last"),
    Column("rows", Integer, nullable=False),
    Column("loaded_at", Instant, nullable=False),
    Column("checked_at", Instant, nullable=False),
)
