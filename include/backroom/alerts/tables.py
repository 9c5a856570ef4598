"""Alerts, de-duplicated by key."""

from sqlalchemy import BigInteger, Column, Identity, Integer, Table, Text

from backroom.db.metadata import Identifier, Instant, metadata

alert = Table(
    "alert",
    metadata,
    Column("alert_id", BigInteger, Identity(), primary_key=True),
    Column("deduplication_key", Text, nullable=False, unique=True),
    Column("severity", Text, nullable=False, comment="critical, warning, info"),
    Column("title", Text, nullable=False),
    Column("subject", Identifier),
    Column("store_id", Identifier),
    Column("what_to_do", Text, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
)
