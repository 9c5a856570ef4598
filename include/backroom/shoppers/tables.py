"""Who may enter: shoppers and their recognition keys (kept as hashes)."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, PrimaryKeyConstraint, Table, Text, func

from backroom.db.metadata import Identifier, Instant, metadata
from backroom.shoppers import sign_in_tables

__all__ = ["loyalty_account", "loyalty_promotion", "recognition_key", "shopper", "sign_in_tables"]

shopper = Table(
    "shopper",
    metadata,
    Column("shopper_id", Identifier, primary_key=True),
    Column("type", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("flagged", Boolean, nullable=False, server_default="false"),
    Column("flag_reason", Text),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint("type in ('SHOPPER','ASSOCIATE','CASH_SHOPPER')", name="type"),
)

recognition_key = Table(
    "recognition_key",
    metadata,
    Column("key_hash", Text, primary_key=True, comment="SHA-256 of the decoded key or of the token in a scan key code"),
    Column("shopper_id", Identifier, ForeignKey("shopper.shopper_id"), nullable=False, index=True),
    Column("store_id", Identifier, comment="the one store where it is good; null: everywhere"),
    Column("kind", Text, nullable=False, comment="OPAQUE: used again and again; TOKEN: carried by scan key codes"),
    Column("expires_at", Instant),
    Column("revoked", Boolean, nullable=False, server_default="false"),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint("kind in ('OPAQUE','TOKEN')", name="kind"),
)

loyalty_account = Table(
    "loyalty_account",
    metadata,
    Column("account_index", Identifier, primary_key=True, comment="keyed hash of what scanResult.id is for LOYALTY"),
    Column("loyalty_id_sealed", Text, nullable=False, comment="that id, encrypted"),
    Column("key_index", Text, nullable=False, unique=True, comment="keyed hash of the SHA-256 of the scanned value"),
    Column("provider", Identifier, nullable=False),
    Column("shopper_id", Identifier, ForeignKey("shopper.shopper_id"), index=True),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
)

loyalty_promotion = Table(
    "loyalty_promotion",
    metadata,
    Column(
        "account_index", Identifier, ForeignKey("loyalty_account.account_index", ondelete="CASCADE"), nullable=False
    ),
    Column("promotion_id", Identifier, nullable=False),
    PrimaryKeyConstraint("account_index", "promotion_id"),
)
