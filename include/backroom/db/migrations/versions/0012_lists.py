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
    # the console's list of breaks, from the newest day back
    (
        "CREATE INDEX ix_reconciliation_break_day ON reconciliation_break (business_date, break_id)",
        "drop index ix_reconciliation_break_day",
    ),
    # what staff ask of the next run of the files' pipeline
    (
        "ALTER TABLE feed_file ADD COLUMN retry_asked_at timestamp with time zone",
        "alter table feed_file drop column retry_asked_at",
    ),
    (
        "COMMENT ON COLUMN feed_file.retry_asked_at IS 'a person wants it taken from our copy again'",
        "comment on column feed_file.retry_asked_at is null",
    ),
    (
        "CREATE INDEX ix_feed_file_retry ON feed_file (file_id) WHERE retry_asked_at IS NOT NULL",
        "drop index ix_feed_file_retry",
    ),
    (
        "CREATE TABLE day_release_wanted (store_id varchar(255) NOT NULL, business_date date NOT NULL,"
        " wanted_at timestamp with time zone NOT NULL, wanted_by text NOT NULL,"
        " CONSTRAINT pk_day_release_wanted PRIMARY KEY (store_id, business_date))",
        "drop table day_release_wanted",
    ),
    (
        "COMMENT ON COLUMN day_release_wanted.business_date IS 'is released with the windows that it has'",
        "comment on column day_release_wanted.business_date is null",
    ),
    (
        "GRANT SELECT ON day_release_wanted TO backroom_pipeline, backroom_console, backroom_reader",
        "revoke all on day_release_wanted from backroom_pipeline, backroom_console, backroom_reader",
    ),
    (
        "GRANT INSERT ON day_release_wanted, refund_request, refund_request_line TO backroom_console",
        "revoke insert on day_release_wanted, refund_request, refund_request_line from backroom_console",
    ),
    (
        "GRANT UPDATE (retry_asked_at) ON feed_file TO backroom_console",
        "revoke update (retry_asked_at) on feed_file from backroom_console",
    ),
    (
        "GRANT UPDATE (state) ON feed_quarantine TO backroom_console",
        "revoke update (state) on feed_quarantine from backroom_console",
    ),
    (
        "GRANT DELETE ON catalog_refusal TO backroom_console",
        "revoke delete on catalog_refusal from backroom_console",
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
