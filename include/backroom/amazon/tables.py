"""Permits of calls to an API with a limit that all processes share."""

from sqlalchemy import BigInteger, Column, Identity, Index, Table, Text, func

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
