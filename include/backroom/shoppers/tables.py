"""Who may enter: shoppers and their recognition keys (kept as hashes)."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Table, Text, func

from backroom.db.metadata import Identifier, Instant, metadata

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
    Column("kind", Text, nullable=False, comment="OPAQUE: used again and again; TOKEN: carried by scan key codes"),
    Column("expires_at", Instant),
    Column("revoked", Boolean, nullable=False, server_default="false"),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint("kind in ('OPAQUE','TOKEN')", name="kind"),
)
