"""Feeds: which days a file speaks of, corrections of released days."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ROLES = "backroom_pipeline, backroom_connector, backroom_portal, backroom_console, backroom_reader"
NEW_TABLES = ("feed_file_day",)


def upgrade() -> None:
    op.create_table(
        "feed_file_day",
        sa.Column("file_id", sa.BigInteger(), sa.ForeignKey("feed_file.file_id"), nullable=False),
        sa.Column("store_id", sa.String(255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False, comment="of the orders that the file speaks of"),
        sa.Column(
            "to_release", sa.Boolean(), nullable=False, comment="it changed the day since the day's latest release"
        ),
        sa.Column("to_land", sa.Boolean(), nullable=False, comment="it changed the day since the day's Parquet file"),
        sa.PrimaryKeyConstraint("file_id", "business_date"),
    )
    op.create_index("ix_feed_file_day_day", "feed_file_day", ["store_id", "business_date"])
    op.create_index(
        "ix_feed_file_day_open",
        "feed_file_day",
        ["store_id", "business_date"],
        postgresql_where=sa.text("to_release or to_land"),
    )
    op.add_column(
        "day_release",
        sa.Column(
            "correction",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="late data changed a day that was released before",
        ),
    )
    for table in NEW_TABLES:
        op.execute(f"revoke all on {table} from {ROLES}")
        op.execute(f"grant select on {table} to backroom_reader, backroom_console")
        op.execute(f"grant select, insert, update, delete on {table} to backroom_pipeline")


def downgrade() -> None:
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    op.drop_column("day_release", "correction")
