"""A cart's body is kept as the text that came: nothing of it is parsed again when it is stored."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table purchase alter column raw_body type json using raw_body::text::json")


def downgrade() -> None:
    op.execute("alter table purchase alter column raw_body type jsonb using raw_body::jsonb")
