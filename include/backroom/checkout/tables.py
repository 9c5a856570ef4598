"""Hosted payment pages, each for one payoff."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Table, Text

from backroom.db.metadata import Identifier, Instant, metadata

payoff_checkout = Table(
    "payoff_checkout",
    metadata,
    Column("payoff_id", BigInteger, ForeignKey("payoff.payoff_id"), primary_key=True),
    Column("reference", Text, nullable=False, unique=True, comment="the payoff's; the page's key at the processor"),
    Column("shopping_trip_id", Identifier, nullable=False, index=True),
    Column("processor", Text, nullable=False),
    Column("return_url", Text, nullable=False),
    Column("subject", Text, comment="what the page says is paid: a repeat says the same"),
    Column("language", Text),
    Column("state", Text, nullable=False, server_default="INTENDED"),
    Column("page_id", Text, comment="what the processor calls the page"),
    Column("page_url", Text),
    Column("made_at", Instant, nullable=False),
    Column("looked_at", Instant),
    CheckConstraint("state in ('INTENDED','OPEN','ENDED')", name="state"),
    CheckConstraint("processor in ('STRIPE','SANDBOX')", name="processor"),
)
