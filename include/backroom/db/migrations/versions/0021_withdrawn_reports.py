"""Reports that staff wanted and want no more."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

DUE = "CREATE INDEX ix_report_wanted_due ON report_wanted (wanted_id) WHERE delivered_at IS NULL"


def upgrade() -> None:
    op.execute("alter table report_wanted add column withdrawn_at timestamptz, add column withdrawn_by text")
    op.execute(
        "alter table report_wanted add constraint ck_report_wanted_withdrawn"
        " check ((withdrawn_at is null) = (withdrawn_by is null))"
    )
    op.execute("comment on column report_wanted.withdrawn_at is 'since when no run tries it any more'")
    op.execute("grant update (withdrawn_at, withdrawn_by) on report_wanted to backroom_console")
    op.execute("drop index ix_report_wanted_due")
    op.execute(f"{DUE} AND withdrawn_at IS NULL")


def downgrade() -> None:
    """A report that was withdrawn is wanted again."""
    op.execute("drop index ix_report_wanted_due")
    op.execute("alter table report_wanted drop column withdrawn_at, drop column withdrawn_by")
    op.execute(DUE)
