"""Where the reconciliation's runs say that reports go, and what went wrong with a report that staff want."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS: tuple[tuple[str, str], ...] = (
    (
        "CREATE TABLE report_destination (told_at timestamp with time zone NOT NULL, stores boolean NOT NULL,"
        " announces boolean NOT NULL, only_row boolean DEFAULT true NOT NULL,"
        " CONSTRAINT pk_report_destination PRIMARY KEY (only_row),"
        " CONSTRAINT ck_report_destination_only_row CHECK (only_row))",
        "drop table report_destination",
    ),
    (
        "COMMENT ON COLUMN report_destination.told_at IS 'business time of the run that found it in its settings'",
        "comment on column report_destination.told_at is null",
    ),
    (
        "COMMENT ON COLUMN report_destination.stores IS 'BACKROOM_REPORTS_BUCKET is set'",
        "comment on column report_destination.stores is null",
    ),
    (
        "COMMENT ON COLUMN report_destination.announces IS 'BACKROOM_REPORTS_RECIPIENTS is set'",
        "comment on column report_destination.announces is null",
    ),
    (
        "ALTER TABLE report_wanted ADD COLUMN failed_at timestamp with time zone",
        "alter table report_wanted drop column failed_at",
    ),
    (
        "COMMENT ON COLUMN report_wanted.failed_at IS 'when it was last tried and not delivered'",
        "comment on column report_wanted.failed_at is null",
    ),
    ("ALTER TABLE report_wanted ADD COLUMN failure text", "alter table report_wanted drop column failure"),
    (
        "COMMENT ON COLUMN report_wanted.failure IS 'what went wrong then'",
        "comment on column report_wanted.failure is null",
    ),
    (
        "GRANT SELECT ON report_destination TO backroom_pipeline, backroom_console, backroom_reader",
        "revoke all on report_destination from backroom_pipeline, backroom_console, backroom_reader",
    ),
    (
        "GRANT INSERT, UPDATE ON report_destination TO backroom_pipeline",
        "revoke insert, update on report_destination from backroom_pipeline",
    ),
    (
        "GRANT UPDATE (failed_at, failure) ON report_wanted TO backroom_pipeline",
        "revoke update (failed_at, failure) on report_wanted from backroom_pipeline",
    ),
)


def upgrade() -> None:
    for statement, _ in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for _, undo in reversed(STATEMENTS):
        op.execute(undo)
