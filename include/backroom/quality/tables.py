"""What the data quality suites found, one row per expectation and run."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Integer, PrimaryKeyConstraint, Table, Text

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

quality_set_aside = Table(
    "quality_set_aside",
    metadata,
    Column("data_set", Text, nullable=False),
    Column("row_key", Text, nullable=False),
    Column("expectation", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("noticed_at", Instant, nullable=False),
    PrimaryKeyConstraint("data_set", "row_key", "expectation"),
)
