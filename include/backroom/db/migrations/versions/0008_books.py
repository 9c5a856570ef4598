"""The books: how trips were matched, owners and history of breaks, closed months, payouts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLES = "backroom_pipeline, backroom_connector, backroom_portal, backroom_console, backroom_reader"
BOOKS_TABLES = ("reconciliation_break_event", "closed_month", "processor_payout_line", "report_delivery")
CONSOLE_ADDS = (
    "audit_entry, review_case, alert, debt_event, refund, refund_event, purchase, purchase_line, charge, charge_event, "
    "stock_due, stock_movement"
)
CONSOLE_CHANGES = (
    "review_case, alert, debt, payoff, refund_request, refund, purchase, purchase_line, charge, refused_cart"
)
# A closed month takes nothing any more: what belongs to it goes to the first open day, and says where it belongs.
POST_INTO_AN_OPEN_MONTH = """
    create function post_into_an_open_month() returns trigger language plpgsql as $$
    declare
        open_month date := date_trunc('month', new.business_date);
    begin
        while exists (select from closed_month c where c.store_id = new.store_id and c.month = open_month) loop
            open_month := open_month + interval '1 month';
        end loop;
        if open_month <> date_trunc('month', new.business_date) then
            new.belongs_to := new.business_date;
            new.business_date := open_month;
        end if;
        return new;
    end $$
"""


def upgrade() -> None:
    _matching()
    _breaks()
    _closed_months()
    _payouts()
    _deliveries()
    _grant_books()
    _staff()
    _grant_console()


def _matching() -> None:
    """How each trip's sides were found to belong together, and what a run looked at."""
    op.add_column(
        "reconciliation_run",
        sa.Column("fingerprint", sa.Text(), comment="of all that the run read: the same again needs no other run"),
    )
    op.add_column(
        "reconciliation_run", sa.Column("figures_fingerprint", sa.Text(), comment="of what only the figures read")
    )
    op.add_column(
        "reconciliation_run",
        sa.Column("checked_at", sa.DateTime(timezone=True), comment="when a later run last found nothing new"),
    )
    op.add_column(
        "reconciliation_trip",
        sa.Column(
            "matched_by", sa.Text(), comment="TRIP, RECONCILIATION_ID, AMOUNT_TIME_CARD; null: there is one side only"
        ),
    )
    op.add_column(
        "reconciliation_trip", sa.Column("confidence", sa.Numeric(3, 2), comment="1: the same trip for certain")
    )
    op.add_column(
        "reconciliation_trip",
        sa.Column(
            "their_trip_id", sa.String(255), comment="what Amazon's order calls the trip, where that is another id"
        ),
    )
    op.add_column(
        "reconciliation_trip",
        sa.Column("reading", sa.Text(), comment="SUPERSEDED, FOUND_AFTER_PAYOFF: how the sides came to agree"),
    )
    op.add_column(
        "reconciliation_trip",
        sa.Column(
            "waits",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="time alone may change the verdict: something is due and not late",
        ),
    )
    # a day's trips are written at once: what would be looked up for each is left out
    op.drop_constraint("fk_reconciliation_trip_run_id_reconciliation_run", "reconciliation_trip", type_="foreignkey")
    op.drop_index("ix_reconciliation_trip_run", "reconciliation_trip")
    op.create_check_constraint(
        "matched_by", "reconciliation_trip", "matched_by in ('TRIP','RECONCILIATION_ID','AMOUNT_TIME_CARD')"
    )


def _breaks() -> None:
    """A break's owner, what became of it, and its history, which is only added to."""
    op.add_column("reconciliation_break", sa.Column("owner", sa.Text(), comment="whose work it is; null: nobody's yet"))
    op.add_column(
        "reconciliation_break",
        sa.Column("resolution", sa.Text(), comment="LATER_DATA, FORCE_MATCHED, WRITTEN_OFF; null: open"),
    )
    op.add_column("reconciliation_break", sa.Column("resolved_by", sa.Text()))
    op.add_column("reconciliation_break", sa.Column("resolved_reason", sa.Text()))
    op.execute("comment on column reconciliation_break.closed_at is 'when later data or a person closed it'")
    op.execute("update reconciliation_break set resolution = 'LATER_DATA' where closed_at is not null")
    op.create_check_constraint(
        "resolution",
        "reconciliation_break",
        "resolution in ('LATER_DATA','FORCE_MATCHED','WRITTEN_OFF') and (resolution is null) = (closed_at is null)",
    )
    op.create_index("ix_reconciliation_break_kind", "reconciliation_break", ["kind", "business_date"])
    op.create_table(
        "reconciliation_break_event",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("break_id", sa.BigInteger(), sa.ForeignKey("reconciliation_break.break_id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="business time"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("ours", sa.Text()),
        sa.Column("theirs", sa.Text()),
        sa.Column("difference", sa.Numeric(14, 4)),
        sa.CheckConstraint(
            "kind in ('OPENED','CHANGED','OPENED_AGAIN','CLOSED_BY_LATER_DATA','ASSIGNED','NOTED','FORCE_MATCHED',"
            "'WRITTEN_OFF')",
            name=op.f("ck_reconciliation_break_event_kind"),
        ),
    )
    op.create_index("ix_reconciliation_break_event_break_id", "reconciliation_break_event", ["break_id"])


def _closed_months() -> None:
    op.create_table(
        "closed_month",
        sa.Column("store_id", sa.String(255), sa.ForeignKey("store.store_id"), nullable=False),
        sa.Column("month", sa.Date(), nullable=False, comment="its first day"),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("figures", postgresql.JSONB(), nullable=False, comment="as they were when it closed"),
        sa.CheckConstraint("month = date_trunc('month', month)", name=op.f("ck_closed_month_month")),
        sa.PrimaryKeyConstraint("store_id", "month", name=op.f("pk_closed_month")),
    )
    op.add_column(
        "ledger_transaction",
        sa.Column(
            "belongs_to", sa.Date(), comment="the day that it is about, where that day's month was closed already"
        ),
    )
    op.create_index(
        "ix_ledger_transaction_belongs_to",
        "ledger_transaction",
        ["store_id", "belongs_to"],
        postgresql_where=sa.text("belongs_to is not null"),
    )
    op.execute(POST_INTO_AN_OPEN_MONTH)
    op.execute(
        "create trigger ledger_transaction_month before insert on ledger_transaction "
        "for each row execute function post_into_an_open_month()"
    )


def _payouts() -> None:
    op.create_table(
        "processor_payout_line",
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("payout_id", sa.String(255), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(255), nullable=False, comment="what the processor calls the payment"),
        sa.Column("shopping_trip_id", sa.String(255), comment="where the processor tells it"),
        sa.Column("amount", sa.Numeric(14, 4), nullable=False, comment="before fees; a refund is negative"),
        sa.Column("fee", sa.Numeric(14, 4), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_out_on", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('CAPTURE','REFUND')", name=op.f("ck_processor_payout_line_kind")),
        sa.PrimaryKeyConstraint("processor", "payout_id", "line_number", name=op.f("pk_processor_payout_line")),
    )
    op.create_index("ix_processor_payout_line_reference", "processor_payout_line", ["reference"])
    op.create_index("ix_processor_payout_line_shopping_trip_id", "processor_payout_line", ["shopping_trip_id"])


def _deliveries() -> None:
    op.create_table(
        "report_delivery",
        sa.Column("report", sa.Text(), nullable=False, comment="its folder and name: 2026-11-23/STORE-001"),
        sa.Column("content_sha256", sa.Text(), nullable=False, comment="over all of its files"),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), comment="all files are in the bucket"),
        sa.Column("announcing_at", sa.DateTime(timezone=True), comment="the e-mail is about to go, or has gone"),
        sa.Column("announced_at", sa.DateTime(timezone=True), comment="SES has taken it"),
        sa.Column("message_id", sa.Text()),
        sa.PrimaryKeyConstraint("report", "content_sha256", name=op.f("pk_report_delivery")),
    )


def _grant_books() -> None:
    tables = ", ".join(BOOKS_TABLES)
    op.execute(f"grant select on {tables} to backroom_reader, backroom_pipeline, backroom_console")
    op.execute(f"grant insert, update, delete on {tables} to backroom_pipeline")
    op.execute(f"revoke update, delete, truncate on reconciliation_break_event, closed_month from {ROLES}")
    # a run lets PostgreSQL count what it has just written
    op.execute("grant maintain on reconciliation_trip to backroom_pipeline")
    # staff decide about breaks, and close months
    op.execute("grant insert on reconciliation_break_event, closed_month to backroom_console")
    op.execute(
        "grant update (owner, resolution, resolved_by, resolved_reason, closed_at) "
        "on reconciliation_break to backroom_console"
    )


def _staff() -> None:
    """Who may sign in to the console. Hashes of passwords and sessions are for the console alone."""
    op.create_table(
        "staff_member",
        sa.Column("name", sa.Text(), nullable=False, comment="in lower case; the actor in the audit trail"),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False, comment="finance, operations, support"),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="scrypt, with its salt and cost"),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("password_set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), comment="since then nobody signs in by this name"),
        sa.CheckConstraint(
            "roles <@ ARRAY['finance','operations','support'] and cardinality(roles) > 0",
            name=op.f("ck_staff_member_roles"),
        ),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_staff_member_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_staff_member")),
    )
    op.create_table(
        "staff_session",
        sa.Column("session_hash", sa.Text(), nullable=False, comment="SHA-256 of the cookie"),
        sa.Column("name", sa.Text(), sa.ForeignKey("staff_member.name"), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="signed out, or ended for this person by a change"),
        sa.Column("notice", postgresql.JSONB(), comment="what the next page says once"),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_staff_session")),
    )
    op.create_index("ix_staff_session_name", "staff_session", ["name"])
    op.create_index("ix_staff_session_seen_at", "staff_session", ["seen_at"])
    op.create_table(
        "staff_sign_in_failure",
        sa.Column("failure_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name_hash", sa.Text(), nullable=False, comment="SHA-256: what was typed may be anything"),
        sa.Column("address_hash", sa.Text(), nullable=False, comment="SHA-256 of the caller's address and the day"),
    )
    for column in ("name", "address"):
        op.create_index(f"ix_staff_sign_in_failure_{column}", "staff_sign_in_failure", [f"{column}_hash", "at"])
    op.execute("grant select on staff_member to backroom_console")
    op.execute("grant select, insert, update, delete on staff_session, staff_sign_in_failure to backroom_console")
    op.execute("grant select, insert, update on staff_member to backroom_pipeline")
    op.execute("grant select (name, ended_at), update (ended_at) on staff_session to backroom_pipeline")
    op.execute("grant select (name, roles, added_at, password_set_at, disabled_at) on staff_member to backroom_reader")


def _grant_console() -> None:
    """What staff's actions write: the same tables as the commands', and no table of the ledger."""
    op.execute(f"grant insert on {CONSOLE_ADDS} to backroom_console")
    op.execute(f"grant update on {CONSOLE_CHANGES} to backroom_console")
    # due movements are posted by whoever looks, and a sale is locked while goods come back
    op.execute("grant update, delete on stock_due to backroom_console")
    op.execute("grant update (export_id) on stock_movement to backroom_console")


def downgrade() -> None:
    op.execute(f"revoke insert on {CONSOLE_ADDS} from backroom_console")
    op.execute(f"revoke update on {CONSOLE_CHANGES} from backroom_console")
    op.execute("revoke update, delete on stock_due from backroom_console")
    op.execute("revoke update (export_id) on stock_movement from backroom_console")
    for table in ("staff_sign_in_failure", "staff_session", "staff_member"):
        op.drop_table(table)
    op.execute("drop trigger ledger_transaction_month on ledger_transaction")
    op.execute("drop function post_into_an_open_month()")
    op.drop_column("ledger_transaction", "belongs_to")
    for table in reversed(BOOKS_TABLES):
        op.drop_table(table)
    op.drop_index("ix_reconciliation_break_kind", "reconciliation_break")
    op.execute("comment on column reconciliation_break.closed_at is 'later data closed it by itself'")
    for column in ("owner", "resolution", "resolved_by", "resolved_reason"):
        op.drop_column("reconciliation_break", column)
    op.create_index("ix_reconciliation_trip_run", "reconciliation_trip", ["run_id"])
    op.create_foreign_key(
        "fk_reconciliation_trip_run_id_reconciliation_run",
        "reconciliation_trip",
        "reconciliation_run",
        ["run_id"],
        ["run_id"],
    )
    for column in ("matched_by", "confidence", "their_trip_id", "reading", "waits"):
        op.drop_column("reconciliation_trip", column)
    for column in ("fingerprint", "figures_fingerprint", "checked_at"):
        op.drop_column("reconciliation_run", column)
