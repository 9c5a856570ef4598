"""Permits of calls to an API with a limit that all processes share."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Table, Text, func

from backroom.db.metadata import Instant, metadata

api_permit = Table(
    "api_permit",
    metadata,
    Column("permit_id", BigInteger, Identity(), primary_key=True),
    Column("api", Text, nullable=False),
    Column(
        "granted_at", Instant, nullable=False, server_default=func.clock_timestamp(), comment="the database's clock"
    ),
    Column("finished_at", Instant, comment="when the answer was there; null: on its way"),
)
Index("ix_api_permit_api", api_permit.c.api, api_permit.c.granted_at)

api_waiting = Table(
    "api_waiting",
    metadata,
    Column("waiter_id", BigInteger, Identity(), primary_key=True),
    Column("api", Text, nullable=False),
    Column("priority", Integer, nullable=False, comment="the lower goes first"),
    Column("until", Instant, nullable=False, comment="whoever has gone does not stand in line"),
)
Index("ix_api_waiting_api", api_waiting.c.api, api_waiting.c.priority)

api_hold = Table(
    "api_hold",
    metadata,
    Column(
        "api", Text, primary_key=True, comment="whose limit it is: PAYMENTS, CATALOG, or one store's: PAYMENTS STORE-1"
    ),
    Column("held_until", Instant, nullable=False, comment="business time; no call before it"),
    Column("reason", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
)
