"""Run by Alembic. The connection is handed over by `backroom.db.migrate`."""

from alembic import context

from backroom.db.metadata import load_all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=load_all_tables(),
    compare_type=True,
    compare_server_default=False,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
