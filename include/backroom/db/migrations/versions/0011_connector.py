"""Carts that were answered 403 and only counted; former versions of promotions."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE refused_call_count (
        hour TIMESTAMP WITH TIME ZONE NOT NULL,
        reason TEXT NOT NULL,
        calls BIGINT NOT NULL,
        CONSTRAINT pk_refused_call_count PRIMARY KEY (hour, reason)
    )
    """,
    "COMMENT ON COLUMN refused_call_count.hour IS 'its beginning'",
    "COMMENT ON COLUMN refused_call_count.reason IS 'why the calls were answered 403'",
    "COMMENT ON COLUMN refused_call_count.calls IS 'carts that were not kept, only counted'",
    "CREATE INDEX ix_refused_cart_unauthenticated ON refused_cart (reason) WHERE status = 403 AND settled_at IS NULL",
    "ALTER TABLE promotion ADD COLUMN version_of VARCHAR(255)",
    "COMMENT ON COLUMN promotion.version_of IS "
    "'for what was in force before the source changed: the promotion''s id there; null: as it is there'",
    "grant select on refused_call_count to backroom_reader, backroom_console",
    "grant select, insert, update, delete on refused_call_count to backroom_pipeline",
    "grant select, insert, update on refused_call_count to backroom_connector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("delete from promotion where version_of is not null")
    op.execute("alter table promotion drop column version_of")
    op.execute("drop index ix_refused_cart_unauthenticated")
    op.execute("drop table refused_call_count")
