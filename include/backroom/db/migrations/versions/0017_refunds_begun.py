"""Days with a break about refunds are looked at again: its difference counts the refunds that have begun."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        update reconciliation_run r set read_up_to = null
        where exists (
            select from reconciliation_break b
            where b.store_id = r.store_id and b.business_date = r.business_date and b.kind = 'REFUND'
              and (b.closed_at is null or b.resolution = 'WRITTEN_OFF'))
        """
    )


def downgrade() -> None:
    """Nothing to undo: a day that is looked at once more stays as it was judged."""
