"""What Amazon's own staff had given back of a trip before a refund of ours was asked for: it proves none of ours."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "refund_attempt",
        sa.Column(
            "given_by_others",
            sa.Numeric(14, 4),
            comment="when it was intended: Amazon's figure of the trip's refunds beyond ours",
        ),
    )


def downgrade() -> None:
    op.drop_column("refund_attempt", "given_by_others")
