"""What lists, queues and reports need to be quick and complete: a room's statements and how they are taken back."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CHARGES: tuple[tuple[str, str], ...] = (
    (
        "drop index ix_charge_due",
        "CREATE INDEX ix_charge_due ON charge (store_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL",
    ),
    (
        "CREATE INDEX ix_charge_due ON charge (store_id, next_attempt_at, shopping_trip_id)"
        " WHERE next_attempt_at IS NOT NULL",
        "drop index ix_charge_due",
    ),
    # what a person was asked last about each parked trip, every five minutes
    (
        "CREATE INDEX ix_review_case_subject ON review_case (subject, case_id)",
        "drop index ix_review_case_subject",
    ),
    # what processors told of captures, and no charge has heard yet
    (
        "ALTER TABLE processor_call ADD COLUMN to_hear boolean DEFAULT true NOT NULL",
        "alter table processor_call drop column to_hear",
    ),
    (
        "COMMENT ON COLUMN processor_call.to_hear IS 'its charge may not know yet that it tells of a capture'",
        "comment on column processor_call.to_hear is null",
    ),
    (
        "CREATE INDEX ix_processor_call_to_hear ON processor_call (subject) WHERE to_hear AND"
        " operation IN ('CAPTURE', 'LOOKUP') AND outcome = 'SUCCEEDED' AND answer ->> 'state' = 'CAPTURED'"
        " AND answer ? 'captured'",
        "drop index ix_processor_call_to_hear",
    ),
)
CATALOG: tuple[tuple[str, str], ...] = ()
FEEDS: tuple[tuple[str, str], ...] = ()
BOOKS: tuple[tuple[str, str], ...] = ()
CONSOLE: tuple[tuple[str, str], ...] = (
    (
        "CREATE INDEX ix_charge_created ON charge (created_at, shopping_trip_id)",
        "drop index ix_charge_created",
    ),
)
PORTAL: tuple[tuple[str, str], ...] = (
    # a shopper's own trips, on each page
    (
        "CREATE INDEX ix_purchase_shopper ON purchase (shopper_id) WHERE shopper_id IS NOT NULL",
        "drop index ix_purchase_shopper",
    ),
    (
        "CREATE INDEX ix_purchase_card ON purchase (shopper_identity)"
        " WHERE shopper_id IS NULL AND shopper_identity IS NOT NULL",
        "drop index ix_purchase_card",
    ),
    (
        "CREATE INDEX ix_shopper_authorization_shopper_identity ON shopper_authorization (shopper_identity)",
        "drop index ix_shopper_authorization_shopper_identity",
    ),
    # what is due a receipt, every five minutes
    (
        "CREATE INDEX ix_charge_settled ON charge (updated_at) WHERE state IN ('CAPTURED', 'IN_DEBT')",
        "drop index ix_charge_settled",
    ),
)

STATEMENTS = CHARGES + CATALOG + FEEDS + BOOKS + CONSOLE + PORTAL


def upgrade() -> None:
    for statement, _ in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for _, undo in reversed(STATEMENTS):
        op.execute(undo)
