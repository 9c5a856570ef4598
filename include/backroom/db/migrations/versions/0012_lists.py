"""What lists, queues and reports need to be quick and complete: a room's statements and how they are taken back."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CHARGES: tuple[tuple[str, str], ...] = ()
CATALOG: tuple[tuple[str, str], ...] = ()
FEEDS: tuple[tuple[str, str], ...] = ()
BOOKS: tuple[tuple[str, str], ...] = ()
CONSOLE: tuple[tuple[str, str], ...] = (
    (
        "CREATE INDEX ix_charge_created ON charge (created_at, shopping_trip_id)",
        "drop index ix_charge_created",
    ),
)
PORTAL: tuple[tuple[str, str], ...] = ()

STATEMENTS = CHARGES + CATALOG + FEEDS + BOOKS + CONSOLE + PORTAL


def upgrade() -> None:
    for statement, _ in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for _, undo in reversed(STATEMENTS):
        op.execute(undo)
