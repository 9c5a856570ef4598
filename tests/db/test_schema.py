"""The schema: migrations have one head and make exactly the tables that the rooms declare."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backroom.db import migrate
from backroom.db.metadata import load_all_tables


def test_migrations_have_one_head() -> None:
    assert len(ScriptDirectory.from_config(migrate.alembic_config()).get_heads()) == 1


def test_migrated_schema_is_the_declared_one(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, load_all_tables()) == []


def test_upgrading_twice_changes_nothing(database: Engine) -> None:
    current, head = migrate.status(database)
    assert current == head == migrate.upgrade(database)


def _store(connection) -> None:  # type: ignore[no-untyped-def]
    connection.execute(
        text(
            "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
            " preauthorization_amount, feeds) values ('S', 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50, '{FILES}')"
            " on conflict do nothing"
        )
    )


def _transaction(connection, source: str, amounts: list[int]) -> None:  # type: ignore[no-untyped-def]
    number = connection.execute(
        text(
            "insert into ledger_transaction (source, kind, store_id, business_date, happened_at)"
            " values (:source, 'TEST', 'S', '2026-01-01', now()) returning transaction_id"
        ),
        {"source": source},
    ).scalar_one()
    for position, amount in enumerate(amounts):
        connection.execute(
            text("insert into ledger_posting values (:number, :position, 'sales', '', :amount, 'USD')"),
            {"number": number, "position": position, "amount": amount},
        )


def test_ledger_refuses_a_transaction_that_does_not_balance(database: Engine) -> None:
    with pytest.raises(IntegrityError, match="out of balance by 3"), database.begin() as connection:
        _store(connection)
        _transaction(connection, "unbalanced", [5, -2])


def test_ledger_takes_a_transaction_that_balances(database: Engine) -> None:
    with database.begin() as connection:
        _store(connection)
        _transaction(connection, "balanced", [5, -2, -3])


@pytest.mark.parametrize("table", ["ledger_posting", "ledger_transaction", "charge_event", "audit_entry"])
@pytest.mark.parametrize("role", ["backroom_pipeline", "backroom_connector", "backroom_console"])
def test_no_app_can_rewrite_history(database: Engine, table: str, role: str) -> None:
    with database.connect() as connection:
        connection.execute(text(f"set role {role}"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"delete from {table}"))


def test_connector_reads_no_ledger(database: Engine) -> None:
    with database.connect() as connection:
        connection.execute(text("set role backroom_connector"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("select * from ledger_posting"))


@pytest.mark.parametrize(
    "change", ["delete from store where store_id = 'S'", "update store set store_id = 'T' where store_id = 'S'"]
)
def test_a_store_that_has_a_charge_is_neither_removed_nor_renamed(database: Engine, change: str) -> None:
    with pytest.raises(IntegrityError, match="store S has purchases"), database.begin() as connection:
        _store(connection)
        connection.execute(
            text(
                "insert into charge (shopping_trip_id, store_id, currency, total, state, expires_at, created_at,"
                " updated_at) values ('kept', 'S', 'USD', 1, 'DUE', now(), now(), now())"
            )
        )
        connection.execute(text(change))


def test_a_store_without_purchases_may_be_removed(database: Engine) -> None:
    with database.connect() as connection:
        _store(connection)
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) select 'NEW', name, merchant, time_zone, currency, tax_jurisdiction,"
                " risk_strategy, preauthorization_amount, feeds from store where store_id = 'S'"
            )
        )
        assert connection.execute(text("delete from store where store_id = 'NEW'")).rowcount == 1
        connection.rollback()
