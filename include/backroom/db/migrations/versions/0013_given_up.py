"""What a break's write-off gives up of the books, and what happened in a day found without reading all of history."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS: tuple[tuple[str, str], ...] = (
    (
        "ALTER TABLE reconciliation_break_event ADD COLUMN given_up numeric(14, 4)",
        "alter table reconciliation_break_event drop column given_up",
    ),
    (
        "COMMENT ON COLUMN reconciliation_break_event.given_up IS"
        " 'what stands in the books and will not come; negative: a write-off is taken back'",
        "comment on column reconciliation_break_event.given_up is null",
    ),
    (
        "ALTER TABLE reconciliation_break_event ADD COLUMN given_up_of text",
        "alter table reconciliation_break_event drop column given_up_of",
    ),
    (
        "COMMENT ON COLUMN reconciliation_break_event.given_up_of IS 'the account on which it stands'",
        "comment on column reconciliation_break_event.given_up_of is null",
    ),
    (
        "ALTER TABLE reconciliation_break_event ADD CONSTRAINT ck_reconciliation_break_event_given_up CHECK"
        " (given_up_of in ('card_clearing','shopper_receivable') and (given_up is null) = (given_up_of is null))",
        "alter table reconciliation_break_event drop constraint ck_reconciliation_break_event_given_up",
    ),
    (
        "ALTER TABLE reconciliation_break_event ADD COLUMN to_book boolean DEFAULT false NOT NULL",
        "alter table reconciliation_break_event drop column to_book",
    ),
    (
        "COMMENT ON COLUMN reconciliation_break_event.to_book IS 'the ledger has not booked it yet'",
        "comment on column reconciliation_break_event.to_book is null",
    ),
    (
        "CREATE INDEX ix_reconciliation_break_event_to_book ON reconciliation_break_event (event_id) WHERE to_book",
        "drop index ix_reconciliation_break_event_to_book",
    ),
    (
        "CREATE INDEX ix_reconciliation_break_event_given_up ON reconciliation_break_event (at)"
        " WHERE given_up IS NOT NULL",
        "drop index ix_reconciliation_break_event_given_up",
    ),
    (
        "GRANT UPDATE (to_book) ON reconciliation_break_event TO backroom_pipeline",
        "revoke update (to_book) on reconciliation_break_event from backroom_pipeline",
    ),
    # what happened to debts and refunds on a day, whatever day their trips are of
    (
        "CREATE INDEX ix_debt_event_happened ON debt_event (happened_at)",
        "drop index ix_debt_event_happened",
    ),
    (
        "CREATE INDEX ix_charge_event_debt ON charge_event (happened_at)"
        " WHERE kind IN ('DEBT_OPENED', 'DEBT_WITHDRAWN')",
        "drop index ix_charge_event_debt",
    ),
    (
        "CREATE INDEX ix_refund_event_happened ON refund_event (store_id, happened_at)",
        "drop index ix_refund_event_happened",
    ),
    # a store's debts that are open, or were at the end of a day
    (
        "CREATE INDEX ix_debt_store ON debt (store_id, closed_at)",
        "drop index ix_debt_store",
    ),
)


def upgrade() -> None:
    for statement, _ in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for _, undo in reversed(STATEMENTS):
        op.execute(undo)
