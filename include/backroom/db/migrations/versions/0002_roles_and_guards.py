"""Roles with their grants, and the guards that only the database can give.

A role is the cluster's, so it may exist already; grants are this database's.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLES = ("backroom_pipeline", "backroom_connector", "backroom_portal", "backroom_console", "backroom_reader")

# What the connector needs and no more: it records carts and gate decisions, and opens charges.
CONNECTOR_READS = (
    "store, catalog_item, catalog_barcode, shelf_price, promotion, tax_rate, shopper, recognition_key, debt"
)
CONNECTOR_WRITES = (
    "gate_decision, scan_code_use, purchase, purchase_line, refused_cart, charge, charge_event, review_case, alert"
)

# Money's history is only ever added to.
APPEND_ONLY = ("ledger_transaction", "ledger_posting", "charge_event", "audit_entry")


def upgrade() -> None:
    for role in ROLES:
        op.execute(
            f"do $$ begin if not exists (select from pg_roles where rolname = '{role}') "
            f"then create role {role} nologin; end if; end $$"
        )
        op.execute(f"grant usage on schema public to {role}")
    op.execute("revoke create on schema public from public")
    op.execute("grant select on all tables in schema public to backroom_reader, backroom_pipeline, backroom_console")
    op.execute("grant insert, update, delete on all tables in schema public to backroom_pipeline")
    op.execute("grant connect on database " + _database() + " to " + ", ".join(ROLES))
    op.execute("grant create, temporary on database " + _database() + " to backroom_pipeline")
    op.execute(f"grant select on {CONNECTOR_READS} to backroom_connector")
    op.execute(f"grant select, insert on {CONNECTOR_WRITES} to backroom_connector")
    op.execute("grant update on alert to backroom_connector")
    op.execute("grant select on alembic_version to " + ", ".join(ROLES))
    for table in APPEND_ONLY:
        op.execute(f"revoke update, delete, truncate on {table} from {', '.join(ROLES)}")
    _ledger_balance()


def _database() -> str:
    return op.get_bind().exec_driver_sql("select quote_ident(current_database())").scalar_one()


def _ledger_balance() -> None:
    """At commit, the postings of each touched transaction sum to zero in each currency."""
    op.execute(
        """
        create function ledger_transaction_balances() returns trigger language plpgsql as $$
        declare
            off record;
        begin
            select currency, sum(amount) as amount into off
            from ledger_posting where transaction_id = new.transaction_id
            group by currency having sum(amount) <> 0 limit 1;
            if found then
                raise exception 'ledger transaction % is out of balance by % %',
                    new.transaction_id, off.amount, off.currency using errcode = 'check_violation';
            end if;
            return null;
        end $$
        """
    )
    op.execute(
        "create constraint trigger ledger_posting_balances after insert on ledger_posting "
        "deferrable initially deferred for each row execute function ledger_transaction_balances()"
    )


def downgrade() -> None:
    op.execute("drop trigger ledger_posting_balances on ledger_posting")
    op.execute("drop function ledger_transaction_balances()")
    for role in ROLES:
        op.execute(f"revoke all on all tables in schema public from {role}")
        op.execute(f"revoke all on schema public from {role}")
