"""Every inbound call: promotions, tax in prices, stock, shopper authorizations, loyalty, what is unbilled."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW_TABLES = (
    "card_standing", "identity_answer", "price_source", "shopper_authorization", "stock_export", "stock_movement",
    "loyalty_account", "promotion_item", "loyalty_promotion", "unbilled_line", "price_book_version",
)  # fmt: skip
CONNECTOR_READS = "card_standing, promotion_item, loyalty_account, loyalty_promotion, price_book_version"
CONNECTOR_WRITES = "identity_answer, shopper_authorization, stock_movement"
PORTAL_READS = "store, shopper, debt, recognition_key"

PROMOTION_CHECKS = {
    "kind": "kind in ('LINE_PERCENTAGE','LINE_AMOUNT','BUY_X_GET_Y','BASKET_PERCENTAGE','BASKET_AMOUNT')",
    "value": "(kind in ('LINE_AMOUNT','BASKET_AMOUNT')) = (amount is not null)"
    " and (kind in ('LINE_AMOUNT','BASKET_AMOUNT')) = (percentage is null)",
    "units": "(kind = 'BUY_X_GET_Y') = (coalesce(buy_quantity, 0) > 0 and coalesce(get_quantity, 0) > 0)",
    "scope": "shopping_trip_id is null or kind like 'BASKET%'",
}
STORE_CHECKS = {
    "pricing_provider": "pricing_provider in ('PRICE_BOOK','POINT_OF_SALE')",
    "point_of_sale_url": "pricing_provider <> 'POINT_OF_SALE' or point_of_sale_url is not null",
    "balance_scope": "balance_scope in ('ALL_STORES','THIS_STORE')",
}


def upgrade() -> None:
    op.create_table(
        "card_standing",
        sa.Column("shopper_identity", sa.String(length=255), nullable=False, comment="Amazon's token for the card"),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("standing in ('FLAGGED','TRUSTED')", name=op.f("ck_card_standing_standing")),
        sa.PrimaryKeyConstraint("shopper_identity", name=op.f("pk_card_standing")),
    )
    op.create_table(
        "identity_answer",
        sa.Column("operation", sa.Text(), nullable=False, comment="SCAN or GET_SHOPPER"),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False, comment="scanEvent.id, or requestId"),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column(
            "key_hash", sa.Text(), nullable=False, comment="SHA-256 of what was scanned; the value itself is never kept"
        ),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="why; kept, never sent"),
        sa.Column("shopper_id", sa.String(length=255), nullable=True),
        sa.Column("response_body", sa.LargeBinary(), nullable=False, comment="repeated byte for byte"),
        sa.Column(
            "raw_body",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the request without what was scanned",
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operation", "idempotency_key", name=op.f("pk_identity_answer")),
    )
    op.create_table(
        "price_source",
        sa.Column(
            "source", sa.String(length=255), nullable=False, comment="the file's name, or a store's point of sale"
        ),
        sa.Column("content_hash", sa.Text(), nullable=False, comment="SHA-256 of what was loaded last"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_price_source")),
    )
    op.create_table(
        "shopper_authorization",
        sa.Column("gate_authentication_event_id", sa.String(length=255), nullable=False, comment="our idempotency key"),
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=True),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column(
            "shopper_identity",
            sa.String(length=255),
            nullable=False,
            comment="Amazon's token for the card: owns the trip's debts",
        ),
        sa.Column("risk_strategy", sa.Text(), nullable=False, comment="of the store, when it was asked"),
        sa.Column("recommended", sa.Boolean(), nullable=True, comment="Amazon's recommendation, where it gave one"),
        sa.Column("authorized", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="why; kept, never sent"),
        sa.Column(
            "amount", sa.Numeric(precision=14, scale=4), nullable=True, comment="the reduced amount, where there is one"
        ),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("risks", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False, comment="repeated byte for byte"),
        sa.Column("raw_body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("gate_authentication_event_id", name=op.f("pk_shopper_authorization")),
    )
    op.create_index(
        op.f("ix_shopper_authorization_shopping_trip_id"), "shopper_authorization", ["shopping_trip_id"], unique=False
    )
    op.create_index(op.f("ix_shopper_authorization_store_id"), "shopper_authorization", ["store_id"], unique=False)
    op.create_table(
        "stock_export",
        sa.Column(
            "export_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="the key by which the point of sale knows it",
        ),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="FILE or HTTP"),
        sa.Column("movements", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="what is told, exactly: sent again as it is"),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="INTENDED", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("answer", sa.Text(), nullable=True, comment="of the last attempt: a status, or why it was not sent"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("channel in ('FILE','HTTP')", name=op.f("ck_stock_export_channel")),
        sa.CheckConstraint("state in ('INTENDED','DONE','REFUSED')", name=op.f("ck_stock_export_state")),
        sa.PrimaryKeyConstraint("export_id", "channel", name=op.f("pk_stock_export")),
    )
    op.create_index(op.f("ix_stock_export_store_id"), "stock_export", ["store_id"], unique=False)
    op.create_table(
        "stock_movement",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column(
            "source",
            sa.String(length=255),
            nullable=False,
            comment="with the kind, what moved it: a trip, a refund, a count",
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "line_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="which part of the source: a line, a return's number, a count's correction; 0: all of it",
        ),
        sa.Column(
            "quantity",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="in `unit`; below zero: out of the store",
        ),
        sa.Column("unit", sa.Text(), nullable=False, comment="the unit that the product is sold by"),
        sa.Column(
            "counted",
            sa.Numeric(precision=28, scale=8),
            nullable=True,
            comment="for a COUNT: what was counted; null in its corrections",
        ),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "export_id", sa.BigInteger(), nullable=True, comment="the export that told the point of sale; null: not yet"
        ),
        sa.CheckConstraint(
            "kind in ('SALE','SALE_UNDONE','RETURN','DELIVERY','COUNT')", name=op.f("ck_stock_movement_kind")
        ),
        sa.PrimaryKeyConstraint(
            "store_id", "item_sku", "source", "kind", "line_number", name=op.f("pk_stock_movement")
        ),
    )
    op.create_index(
        "ix_stock_movement_to_export",
        "stock_movement",
        ["store_id"],
        unique=False,
        postgresql_where=sa.text("export_id IS NULL"),
    )
    op.create_index(
        "ix_stock_movement_count",
        "stock_movement",
        ["store_id", "item_sku"],
        unique=False,
        postgresql_where=sa.text("kind = 'COUNT'"),
    )
    op.create_table(
        "loyalty_account",
        sa.Column("loyalty_id", sa.String(length=255), nullable=False, comment="what scanResult.id is for LOYALTY"),
        sa.Column("key_hash", sa.Text(), nullable=False, comment="SHA-256 of the scanned value"),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("shopper_id", sa.String(length=255), nullable=True),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["shopper_id"], ["shopper.shopper_id"], name=op.f("fk_loyalty_account_shopper_id_shopper")
        ),
        sa.PrimaryKeyConstraint("loyalty_id", name=op.f("pk_loyalty_account")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_loyalty_account_key_hash")),
    )
    op.create_index(op.f("ix_loyalty_account_shopper_id"), "loyalty_account", ["shopper_id"], unique=False)
    op.create_table(
        "promotion_item",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_sku", sa.String(length=255), nullable=False),
        sa.Column("promotion_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["promotion_id"],
            ["promotion.promotion_id"],
            name=op.f("fk_promotion_item_promotion_id_promotion"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("store_id", "item_sku", "promotion_id", name=op.f("pk_promotion_item")),
    )
    op.create_index(op.f("ix_promotion_item_promotion_id"), "promotion_item", ["promotion_id"], unique=False)
    op.create_table(
        "loyalty_promotion",
        sa.Column("loyalty_id", sa.String(length=255), nullable=False),
        sa.Column("promotion_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["loyalty_id"],
            ["loyalty_account.loyalty_id"],
            name=op.f("fk_loyalty_promotion_loyalty_id_loyalty_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("loyalty_id", "promotion_id", name=op.f("pk_loyalty_promotion")),
    )
    op.create_table(
        "unbilled_line",
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("item_id", sa.String(length=255), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=18, scale=8), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it had no price"),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the rest of the cart was charged without it",
        ),
        sa.ForeignKeyConstraint(
            ["shopping_trip_id", "line_number"],
            ["purchase_line.shopping_trip_id", "purchase_line.line_number"],
            name=op.f("fk_unbilled_line_shopping_trip_id_line_number_purchase_line"),
        ),
        sa.PrimaryKeyConstraint("shopping_trip_id", "line_number", name=op.f("pk_unbilled_line")),
    )
    op.create_index(op.f("ix_unbilled_line_store_id"), "unbilled_line", ["store_id"], unique=False)
    op.add_column(
        "promotion",
        sa.Column(
            "amount",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="off each unit (LINE_AMOUNT) or off the basket (BASKET_AMOUNT)",
        ),
    )
    op.add_column(
        "promotion",
        sa.Column("buy_quantity", sa.Integer(), nullable=True, comment="BUY_X_GET_Y: units at the full price"),
    )
    op.add_column(
        "promotion",
        sa.Column(
            "get_quantity", sa.Integer(), nullable=True, comment="BUY_X_GET_Y: units that then get the percentage off"
        ),
    )
    op.add_column(
        "promotion",
        sa.Column(
            "minimum_amount",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="list amount of the basket from which it applies; null: always",
        ),
    )
    op.add_column(
        "promotion",
        sa.Column(
            "stacks", sa.Boolean(), server_default="false", nullable=False, comment="false: excludes others on a line"
        ),
    )
    op.add_column(
        "promotion",
        sa.Column(
            "stacking_order", sa.Integer(), server_default="0", nullable=False, comment="of those that stack, low first"
        ),
    )
    op.add_column(
        "promotion",
        sa.Column(
            "loyalty",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="only for accounts that it is given to",
        ),
    )
    op.alter_column(
        "promotion",
        "shopping_trip_id",
        existing_type=sa.VARCHAR(length=255),
        comment="for BASKET_…: the one basket it is for; null: every one",
        existing_comment="for BASKET_PERCENTAGE: the one basket it is for; null: every one",
        existing_nullable=True,
    )
    op.alter_column(
        "promotion",
        "percentage",
        existing_type=sa.NUMERIC(precision=9, scale=6),
        nullable=True,
        comment="0.125 is 12.5 % off; for BUY_X_GET_Y off each unit that is got",
        existing_comment="0.125 is 12.5 % off",
    )
    op.execute(
        "insert into promotion_item (store_id, item_sku, promotion_id)"
        " select store_id, item_sku, promotion_id from promotion where item_sku is not null"
    )
    op.drop_constraint(op.f("ck_promotion_scope"), "promotion")
    op.drop_constraint(op.f("ck_promotion_kind"), "promotion")
    op.drop_index(op.f("ix_promotion_line"), table_name="promotion")
    op.drop_index(op.f("ix_promotion_every_basket"), table_name="promotion")
    op.drop_column("promotion", "item_sku")
    op.create_index(
        "ix_promotion_every_basket",
        "promotion",
        ["store_id"],
        postgresql_where=sa.text("kind like 'BASKET%' and shopping_trip_id is null"),
    )
    for name, rule in PROMOTION_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_promotion_{name}"), "promotion", rule)
    op.add_column(
        "purchase",
        sa.Column(
            "tax_included_total",
            sa.Numeric(precision=14, scale=4),
            server_default="0",
            nullable=False,
            comment="of tax_total, what the list prices hold already",
        ),
    )
    op.add_column("purchase", sa.Column("priced_by", sa.Text(), server_default="PRICE_BOOK", nullable=False))
    op.drop_constraint(op.f("ck_purchase_total"), "purchase")
    op.create_check_constraint(
        op.f("ck_purchase_total"),
        "purchase",
        "total >= 0 and total = list_total - promotion_total + tax_total - tax_included_total",
    )
    op.create_check_constraint(
        op.f("ck_purchase_priced_by"),
        "purchase",
        "priced_by in ('PRICE_BOOK','POINT_OF_SALE','PRICE_BOOK_FALLBACK')",
    )
    op.alter_column(
        "purchase",
        "total",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="list_total - promotion_total + tax_total - tax_included_total",
        existing_comment="list_total - promotion_total + tax_total",
        existing_nullable=False,
    )
    op.add_column(
        "purchase_line",
        sa.Column(
            "promotions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="list of {promotion_id, kind, description, amount}: what each took off, in the order applied",
        ),
    )
    op.add_column(
        "purchase_line",
        sa.Column(
            "tax_included", sa.Boolean(), server_default="false", nullable=False, comment="the list price holds the tax"
        ),
    )
    op.create_index(
        "ix_purchase_bad_cart", "purchase", ["trip_started_at"], postgresql_where=sa.text("state = 'BAD_CART'")
    )
    op.add_column(
        "purchase_line",
        sa.Column(
            "mapped_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a person said what `item_sku` is; null: it was looked up",
        ),
    )
    op.add_column(
        "purchase_line",
        sa.Column(
            "dropped_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a person took the line out of the cart; null: it stands",
        ),
    )
    op.alter_column(
        "purchase_line",
        "promotion_amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="taken off by all of them, rounded",
        existing_comment="taken off, rounded",
        existing_nullable=True,
    )
    op.alter_column(
        "purchase_line",
        "tax_amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="on (or, where prices hold it, in) list_amount - promotion_amount, rounded",
        existing_comment="on list_amount - promotion_amount, rounded",
        existing_nullable=True,
    )
    op.execute(
        "update purchase_line set promotions = jsonb_build_array(jsonb_build_object("
        "'promotion_id', promotion_id, 'kind', 'PERCENTAGE', 'description', '', 'amount', promotion_amount::text))"
        " where promotion_id is not null"
    )
    op.drop_constraint(op.f("ck_purchase_line_total"), "purchase_line")
    op.create_check_constraint(
        op.f("ck_purchase_line_total"),
        "purchase_line",
        "total = list_amount - promotion_amount + case when tax_included then 0 else tax_amount end",
    )
    op.drop_column("purchase_line", "promotion_id")
    op.drop_column("purchase_line", "promotion_percentage")
    op.add_column(
        "recognition_key",
        sa.Column(
            "store_id", sa.String(length=255), nullable=True, comment="the one store where it is good; null: everywhere"
        ),
    )
    op.add_column(
        "refused_cart",
        sa.Column("shopping_trip_id", sa.String(length=255), nullable=True, comment="where the body could be read"),
    )
    op.add_column(
        "refused_cart",
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True, comment="null: waits for a person"),
    )
    op.add_column("refused_cart", sa.Column("settled_by", sa.Text(), nullable=True))
    op.add_column(
        "refused_cart",
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="TAKEN: recorded after all; SENT_AGAIN: Amazon did; DISMISSED"
        ),
    )
    op.add_column(
        "refused_cart",
        sa.Column(
            "spool_line",
            sa.Text(),
            nullable=True,
            comment="the line's id in the spool that it waited in; null: it did not",
        ),
    )
    op.create_unique_constraint(op.f("uq_refused_cart_spool_line"), "refused_cart", ["spool_line"])
    op.create_index(
        "ix_refused_cart_waiting",
        "refused_cart",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.add_column(
        "store",
        sa.Column(
            "prices_include_tax",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="shelf prices hold the tax",
        ),
    )
    op.add_column(
        "store",
        sa.Column(
            "pricing_provider", sa.Text(), server_default="PRICE_BOOK", nullable=False, comment="who prices a cart"
        ),
    )
    op.add_column(
        "store",
        sa.Column("point_of_sale_url", sa.Text(), nullable=True, comment="base URL of the store's point of sale"),
    )
    op.add_column(
        "store",
        sa.Column(
            "balance_scope",
            sa.Text(),
            server_default="ALL_STORES",
            nullable=False,
            comment="whose debts deny entry here, where the store manages its own risk",
        ),
    )
    for name, rule in STORE_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_store_{name}"), "store", rule)
    op.create_check_constraint(
        op.f("ck_refused_cart_outcome"), "refused_cart", "outcome in ('TAKEN','SENT_AGAIN','DISMISSED')"
    )
    op.create_check_constraint(op.f("ck_promotion_amount"), "promotion", "amount > 0 and minimum_amount > 0")
    op.create_index("ix_debt_shopper_identity", "debt", ["shopper_identity"])
    op.create_index(
        "ix_purchase_card_of_shopper",
        "purchase",
        ["shopper_identity"],
        postgresql_where=sa.text("shopper_id IS NOT NULL AND shopper_identity IS NOT NULL"),
    )
    # the unique key of charge_event begins with the trip; a line goes in with its purchase, in one statement
    op.drop_index("ix_charge_event_shopping_trip_id", table_name="charge_event")
    op.drop_constraint(op.f("fk_purchase_line_shopping_trip_id_purchase"), "purchase_line")
    op.alter_column("purchase_line", "shopping_trip_id", comment="of a purchase, with which its lines go in")
    _raise_version_with_each_change()
    _grant()


# What a cart's price is made of. A process that keeps some of it in memory asks for the version before it relies on it.
PRICED_BY = ("store", "catalog_item", "catalog_barcode", "shelf_price", "tax_rate", "promotion", "promotion_item")


def _raise_version_with_each_change() -> None:
    op.create_table(
        "price_book_version",
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column(
            "version",
            sa.BigInteger(),
            nullable=False,
            comment="raised by triggers with each change of the store, its catalog, prices, taxes or promotions",
        ),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_price_book_version")),
    )
    op.execute("insert into price_book_version select store_id, 1 from store")
    op.execute("""
        create function raise_price_book_version() returns trigger
        language plpgsql security definer set search_path = public, pg_temp as $$
        begin
            insert into price_book_version (store_id, version)
            select distinct store_id, 1 from changed order by store_id
            on conflict (store_id) do update set version = price_book_version.version + 1;
            return null;
        end $$
    """)
    for table in PRICED_BY:
        # an update that moves a row from store to store changes both
        for event, rows in (("insert", "new"), ("update", "new"), ("update", "old"), ("delete", "old")):
            op.execute(
                f"create trigger price_book_{event}_{rows} after {event} on {table} referencing {rows} table as changed"
                " for each statement execute function raise_price_book_version()"
            )


def _grant() -> None:
    new = ", ".join(NEW_TABLES)
    op.execute(f"grant select on {new} to backroom_reader, backroom_pipeline, backroom_console")
    op.execute(f"grant insert, update, delete on {new} to backroom_pipeline")
    op.execute(f"grant select on {CONNECTOR_READS} to backroom_connector")
    op.execute(f"grant select, insert on {CONNECTOR_WRITES} to backroom_connector")
    op.execute(f"grant select on {PORTAL_READS} to backroom_portal")
    op.execute("grant insert on recognition_key to backroom_portal")
    op.execute("grant update (auth_event_id) on scan_code_use to backroom_connector")


def downgrade() -> None:
    op.create_foreign_key(
        op.f("fk_purchase_line_shopping_trip_id_purchase"),
        "purchase_line",
        "purchase",
        ["shopping_trip_id"],
        ["shopping_trip_id"],
    )
    op.create_index("ix_charge_event_shopping_trip_id", "charge_event", ["shopping_trip_id"])
    op.execute("drop function raise_price_book_version() cascade")
    op.drop_table("price_book_version")
    op.drop_index("ix_purchase_card_of_shopper", table_name="purchase")
    op.drop_table("card_standing")
    op.drop_index("ix_debt_shopper_identity", table_name="debt")
    op.drop_constraint(op.f("ck_refused_cart_outcome"), "refused_cart")
    for name in STORE_CHECKS:
        op.drop_constraint(op.f(f"ck_store_{name}"), "store")
    op.execute("revoke select, insert on shopper, debt, store, recognition_key from backroom_portal")
    op.execute("delete from promotion where kind not in ('LINE_PERCENTAGE','BASKET_PERCENTAGE')")
    for name in (*PROMOTION_CHECKS, "amount"):
        op.drop_constraint(op.f(f"ck_promotion_{name}"), "promotion")
    op.drop_constraint(op.f("ck_purchase_total"), "purchase")
    op.drop_constraint(op.f("ck_purchase_priced_by"), "purchase")
    op.drop_constraint(op.f("ck_purchase_line_total"), "purchase_line")
    op.drop_column("store", "balance_scope")
    op.drop_column("store", "point_of_sale_url")
    op.drop_column("store", "pricing_provider")
    op.drop_column("store", "prices_include_tax")
    op.drop_index("ix_refused_cart_waiting", table_name="refused_cart", postgresql_where=sa.text("settled_at IS NULL"))
    op.drop_column("refused_cart", "spool_line")
    op.drop_column("refused_cart", "outcome")
    op.drop_column("refused_cart", "settled_by")
    op.drop_column("refused_cart", "settled_at")
    op.drop_column("refused_cart", "shopping_trip_id")
    op.drop_column("recognition_key", "store_id")
    op.add_column(
        "purchase_line",
        sa.Column("promotion_percentage", sa.NUMERIC(precision=9, scale=6), autoincrement=False, nullable=True),
    )
    op.add_column(
        "purchase_line", sa.Column("promotion_id", sa.VARCHAR(length=255), autoincrement=False, nullable=True)
    )
    op.alter_column(
        "purchase_line",
        "tax_amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="on list_amount - promotion_amount, rounded",
        existing_comment="on (or, where prices hold it, in) list_amount - promotion_amount, rounded",
        existing_nullable=True,
    )
    op.alter_column(
        "purchase_line",
        "promotion_amount",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="taken off, rounded",
        existing_comment="taken off by all of them, rounded",
        existing_nullable=True,
    )
    op.drop_column("purchase_line", "dropped_at")
    op.drop_column("purchase_line", "mapped_at")
    op.drop_index("ix_purchase_bad_cart", table_name="purchase")
    op.drop_column("purchase_line", "tax_included")
    op.drop_column("purchase_line", "promotions")
    op.alter_column(
        "purchase",
        "total",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        comment="list_total - promotion_total + tax_total",
        existing_comment="list_total - promotion_total + tax_total - tax_included_total",
        existing_nullable=False,
    )
    op.drop_column("purchase", "priced_by")
    op.drop_column("purchase", "tax_included_total")
    op.add_column(
        "promotion",
        sa.Column(
            "item_sku",
            sa.VARCHAR(length=255),
            autoincrement=False,
            nullable=True,
            comment="the product, for LINE_PERCENTAGE",
        ),
    )
    op.execute(
        "update promotion set item_sku = (select min(item_sku) from promotion_item"
        " where promotion_item.promotion_id = promotion.promotion_id)"
    )
    op.create_check_constraint(
        op.f("ck_promotion_scope"), "promotion", "(kind = 'LINE_PERCENTAGE') = (item_sku is not null)"
    )
    op.create_check_constraint(
        op.f("ck_promotion_kind"), "promotion", "kind in ('LINE_PERCENTAGE','BASKET_PERCENTAGE')"
    )
    op.create_index(op.f("ix_promotion_line"), "promotion", ["store_id", "item_sku"], unique=False)
    op.alter_column(
        "promotion",
        "percentage",
        existing_type=sa.NUMERIC(precision=9, scale=6),
        nullable=False,
        comment="0.125 is 12.5 % off",
        existing_comment="0.125 is 12.5 % off; for BUY_X_GET_Y off each unit that is got",
    )
    op.alter_column(
        "promotion",
        "shopping_trip_id",
        existing_type=sa.VARCHAR(length=255),
        comment="for BASKET_PERCENTAGE: the one basket it is for; null: every one",
        existing_comment="for BASKET_…: the one basket it is for; null: every one",
        existing_nullable=True,
    )
    op.drop_column("promotion", "loyalty")
    op.drop_column("promotion", "stacking_order")
    op.drop_column("promotion", "stacks")
    op.drop_column("promotion", "minimum_amount")
    op.drop_column("promotion", "get_quantity")
    op.drop_column("promotion", "buy_quantity")
    op.drop_column("promotion", "amount")
    op.drop_index(op.f("ix_unbilled_line_store_id"), table_name="unbilled_line")
    op.drop_table("unbilled_line")
    op.drop_table("loyalty_promotion")
    op.drop_index(op.f("ix_promotion_item_promotion_id"), table_name="promotion_item")
    op.drop_table("promotion_item")
    op.drop_index(op.f("ix_loyalty_account_shopper_id"), table_name="loyalty_account")
    op.drop_table("loyalty_account")
    op.drop_index(
        "ix_stock_movement_to_export", table_name="stock_movement", postgresql_where=sa.text("export_id IS NULL")
    )
    op.drop_table("stock_movement")
    op.drop_index(op.f("ix_stock_export_store_id"), table_name="stock_export")
    op.drop_table("stock_export")
    op.drop_index(op.f("ix_shopper_authorization_store_id"), table_name="shopper_authorization")
    op.drop_index(op.f("ix_shopper_authorization_shopping_trip_id"), table_name="shopper_authorization")
    op.drop_table("shopper_authorization")
    op.drop_table("price_source")
    op.drop_table("identity_answer")
    op.create_check_constraint(
        op.f("ck_purchase_total"), "purchase", "total >= 0 and total = list_total - promotion_total + tax_total"
    )
    op.create_check_constraint(
        op.f("ck_purchase_line_total"),
        "purchase_line",
        "item_sku is null or total = list_amount - promotion_amount + tax_amount",
    )
