"""What the data quality suites found, one row per expectation and run."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Integer, Table, Text

from backroom.db.metadata import Instant, Json, metadata

quality_result = Table(
    "quality_result",
    metadata,
    Column("result_id", BigInteger, Identity(), primary_key=True),
    Column("run", Text, nullable=False, index=True),
    Column("suite", Text, nullable=False),
    Column("data_set", Text, nullable=False),
    Column("expectation", Text, nullable=False),
    Column("column_name", Text),
    Column("severity", Text, nullable=False, comment="critical, warning, info"),
    Column("success", Boolean, nullable=False),
    Column("rows_checked", Integer),
    Column("rows_unexpected", Integer),
    Column("sample", Json, nullable=False, comment="up to 20 of the unexpected rows' keys or values"),
    Column("checked_at", Instant, nullable=False),
)
