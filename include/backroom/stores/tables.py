"""The stores that the retailer runs and how each works."""

from sqlalchemy import ARRAY, Boolean, CheckConstraint, Column, Integer, Table, Text, func

from backroom.db.metadata import Amount, Identifier, Instant, metadata

store = Table(
    "store",
    metadata,
    Column("store_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column("merchant", Text, nullable=False, comment="first folder of the intra-day files' keys"),
    Column("time_zone", Text, nullable=False, comment="IANA name; the business day is this zone's"),
    Column("currency", Text, nullable=False, comment="ISO 4217"),
    Column("tax_jurisdiction", Text, nullable=False),
    Column("risk_strategy", Text, nullable=False),
    Column("after_decline", Text, nullable=False, server_default="none"),
    Column("preauthorization_amount", Amount, nullable=False, comment="held at the gate; set in Amazon's portal"),
    Column("feeds", ARRAY(Text), nullable=False, comment="FILES, EVENTS or both"),
    Column("prices_include_tax", Boolean, nullable=False, server_default="false", comment="shelf prices hold the tax"),
    Column("pricing_provider", Text, nullable=False, server_default="PRICE_BOOK", comment="who prices a cart"),
    Column("point_of_sale_url", Text, comment="base URL of the store's point of sale"),
    Column(
        "balance_scope",
        Text,
        nullable=False,
        server_default="ALL_STORES",
        comment="whose debts deny entry here, where the store manages its own risk",
    ),
    Column(
        "payment_processor", Text, nullable=False, server_default="AMAZON", comment="who moves the money of its trips"
    ),
    Column("refund_window_days", Integer, nullable=False, server_default="30", comment="from the trip's end"),
    Column("refund_approval_above", Amount, comment="a refund above it waits for a second person; null: the setting"),
    Column(
        "trust_capture_answer",
        Boolean,
        nullable=False,
        server_default="false",
        comment="a capture that Amazon has answered counts as final: for a store without any feed",
    ),
    Column("store_type", Text, nullable=False, server_default="JWO", comment="JWO, or DASH_CART: smart trolleys"),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("test", Boolean, nullable=False, server_default="false", comment="a test store stays out of the books"),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint(
        "risk_strategy in ('AMAZON_MANAGED','AMAZON_RECOMMENDATION','RETAILER_MANAGED','NONE')", name="risk_strategy"
    ),
    CheckConstraint("after_decline in ('none','capture_preauth_once')", name="after_decline"),
    CheckConstraint("pricing_provider in ('PRICE_BOOK','POINT_OF_SALE')", name="pricing_provider"),
    CheckConstraint("pricing_provider <> 'POINT_OF_SALE' or point_of_sale_url is not null", name="point_of_sale_url"),
    CheckConstraint("balance_scope in ('ALL_STORES','THIS_STORE')", name="balance_scope"),
    CheckConstraint("payment_processor in ('AMAZON','STRIPE','SANDBOX')", name="payment_processor"),
    CheckConstraint("store_type in ('JWO','DASH_CART')", name="store_type"),
    CheckConstraint("refund_window_days between 0 and 3650", name="refund_window_days"),
    CheckConstraint("refund_approval_above >= 0", name="refund_approval_above"),
    CheckConstraint("feeds <@ ARRAY['FILES','EVENTS']", name="feeds"),
    CheckConstraint("cardinality(feeds) > 0 or trust_capture_answer or payment_processor <> 'AMAZON'", name="evidence"),
)
