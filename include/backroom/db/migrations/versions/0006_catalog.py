"""The catalog: what Amazon rejected, guard rails, notifications, the kind of store; who waits for a call's turn."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROLES = "backroom_pipeline, backroom_connector, backroom_portal, backroom_console, backroom_reader"
CATALOG_TABLES = ("catalog_refusal", "catalog_notification", "api_waiting")


def upgrade() -> None:
    op.add_column(
        "store",
        sa.Column(
            "store_type", sa.Text(), server_default="JWO", nullable=False, comment="JWO, or DASH_CART: smart trolleys"
        ),
    )
    op.create_check_constraint("store_type", "store", "store_type in ('JWO','DASH_CART')")
    _runs_and_batches()
    op.create_table(
        "catalog_refusal",
        sa.Column("store_id", sa.String(255), nullable=False),
        sa.Column("item_sku", sa.String(255), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "content_hash", sa.Text(), nullable=False, comment="the content that was rejected; only another is sent"
        ),
        sa.Column("batch_id", sa.BigInteger(), sa.ForeignKey("catalog_batch.batch_id"), nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False, comment="business time"),
        sa.PrimaryKeyConstraint("store_id", "item_sku"),
        sa.CheckConstraint("kind in ('UPLOAD','ARCHIVE')", name=op.f("ck_catalog_refusal_kind")),
    )
    op.create_table(
        "catalog_notification",
        sa.Column("ingestion_id", sa.Text(), primary_key=True),
        sa.Column("processing_status", sa.Text(), nullable=False),
        sa.Column("report_link", sa.Text()),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="the database's clock, which the link's age is counted by",
        ),
        sa.Column(
            "compared",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="its report was held against batches of unknown outcome",
        ),
    )
    op.create_table(
        "api_waiting",
        sa.Column("waiter_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, comment="the lower goes first"),
        sa.Column(
            "until", sa.DateTime(timezone=True), nullable=False, comment="whoever has gone does not stand in line"
        ),
    )
    op.create_index("ix_api_waiting_api", "api_waiting", ["api", "priority"])
    for table in CATALOG_TABLES:
        op.execute(f"revoke all on {table} from {ROLES}")
        op.execute(f"grant select on {table} to backroom_reader, backroom_console")
        op.execute(f"grant select, insert, update, delete on {table} to backroom_pipeline")


def _runs_and_batches() -> None:
    op.add_column("catalog_run", sa.Column("store_id", sa.String(255), comment="the one store of a run; null: all"))
    op.add_column(
        "catalog_run",
        sa.Column(
            "held_stores",
            sa.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="stores whose source waits for a person",
        ),
    )
    op.add_column(
        "catalog_run",
        sa.Column(
            "items_refused",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="rejected by Amazon as they are; not sent until they change",
        ),
    )
    op.add_column(
        "catalog_batch", sa.Column("claimed_until", sa.DateTime(timezone=True), comment="by the database's clock")
    )
    op.add_column(
        "catalog_batch",
        sa.Column("called_at", sa.DateTime(timezone=True), comment="of the latest call, by the database's clock"),
    )
    op.add_column("catalog_batch", sa.Column("report_link", sa.Text(), comment="presigned; lives for 60 minutes"))
    op.add_column("catalog_batch", sa.Column("link_at", sa.DateTime(timezone=True), comment="by the database's clock"))
    op.add_column(
        "catalog_batch",
        sa.Column("bad_store", sa.Boolean(), server_default="false", nullable=False, comment="refused for its store"),
    )
    op.execute(
        "comment on column catalog_batch.state is"
        " 'INTENT, CALLING, SENT, UNKNOWN, DONE, REFUSED, FATAL, CANCELLED, SUPERSEDED'"
    )
    op.execute("comment on column catalog_item.seen_in_run is 'the run that last changed it'")
    op.create_index("ix_catalog_item_gone", "catalog_item", ["item_sku"], postgresql_where=sa.text("gone"))
    op.create_index(
        "ix_catalog_batch_open", "catalog_batch", ["batch_id"], postgresql_where=sa.text("settled_at is null")
    )


def downgrade() -> None:
    for table in reversed(CATALOG_TABLES):
        op.drop_table(table)
    op.drop_index("ix_catalog_batch_open", "catalog_batch")
    op.drop_index("ix_catalog_item_gone", "catalog_item")
    for column in ("bad_store", "link_at", "report_link", "called_at", "claimed_until"):
        op.drop_column("catalog_batch", column)
    for column in ("items_refused", "held_stores", "store_id"):
        op.drop_column("catalog_run", column)
    op.drop_constraint("store_type", "store")
    op.drop_column("store", "store_type")
