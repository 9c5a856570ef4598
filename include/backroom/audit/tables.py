"""Who did what, when and why. No role of the apps can change or delete a row."""

from sqlalchemy import BigInteger, Column, Identity, Table, Text

from backroom.db.metadata import Identifier, Instant, Json, metadata

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("entry_id", BigInteger, Identity(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Identifier, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("details", Json, nullable=False, server_default="{}"),
)
