"""The one MetaData that every room's tables.py adds to, and the column types they share."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Amount = Numeric(14, 4, asdecimal=True)  # money: exact, room for every currency's places
Quantity = Numeric(18, 8, asdecimal=True)  # as fine as a cart's
Rate = Numeric(9, 6, asdecimal=True)  # 0.082500 is 8.25 %
Instant = DateTime(timezone=True)
Identifier = String(255)
Json = JSONB


def load_all_tables() -> MetaData:
    """The metadata with every room's tables in it: for migrations and their tests."""
    from importlib import import_module

    for room in ROOMS_WITH_TABLES:
        import_module(f"backroom.{room}.tables")
    return metadata


ROOMS_WITH_TABLES = (
    "alerts",
    "amazon",
    "audit",
    "catalog",
    "charges",
    "checkout",
    "debts",
    "entry",
    "feeds",
    "inventory",
    "ledger",
    "orders",
    "processors",
    "purchases",
    "quality",
    "receipts",
    "reconciliation",
    "refunds",
    "reviews",
    "shoppers",
    "staff",
    "stores",
)
