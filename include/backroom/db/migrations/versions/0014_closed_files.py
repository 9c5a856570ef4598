"""The files of closed months; up to where a run has read; what tells a day that another one has taken its order."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS: tuple[tuple[str, str], ...] = (
    (
        "CREATE TABLE closed_month_file (report varchar(255) NOT NULL, month date NOT NULL,"
        " kept_at timestamp with time zone NOT NULL, name text NOT NULL, content_sha256 text NOT NULL,"
        " content bytea NOT NULL, CONSTRAINT pk_closed_month_file PRIMARY KEY (report, month, kept_at, name))",
        "drop table closed_month_file",
    ),
    (
        "COMMENT ON COLUMN closed_month_file.report IS 'the store, or company'",
        "comment on column closed_month_file.report is null",
    ),
    (
        "COMMENT ON COLUMN closed_month_file.month IS 'its first day'",
        "comment on column closed_month_file.month is null",
    ),
    (
        "COMMENT ON COLUMN closed_month_file.content IS 'as it was written when the month was closed'",
        "comment on column closed_month_file.content is null",
    ),
    (
        "GRANT SELECT ON closed_month_file TO backroom_pipeline, backroom_console, backroom_reader",
        "revoke all on closed_month_file from backroom_pipeline, backroom_console, backroom_reader",
    ),
    (
        "GRANT INSERT ON closed_month_file TO backroom_pipeline, backroom_console",
        "revoke insert on closed_month_file from backroom_pipeline, backroom_console",
    ),
    (
        "ALTER TABLE reconciliation_run ADD COLUMN read_up_to bigint",
        "alter table reconciliation_run drop column read_up_to",
    ),
    (
        "COMMENT ON COLUMN reconciliation_run.read_up_to IS"
        " 'all transactions below this number were over when the day was last looked at'",
        "comment on column reconciliation_run.read_up_to is null",
    ),
    (
        "CREATE INDEX ix_reconciliation_trip_theirs ON reconciliation_trip (store_id, business_date)"
        " WHERE their_trip_id IS NOT NULL",
        "drop index ix_reconciliation_trip_theirs",
    ),
    (
        "CREATE INDEX ix_catalog_rejection_store_id ON catalog_rejection (store_id)",
        "drop index ix_catalog_rejection_store_id",
    ),
)


def upgrade() -> None:
    for statement, _ in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for _, undo in reversed(STATEMENTS):
        op.execute(undo)
