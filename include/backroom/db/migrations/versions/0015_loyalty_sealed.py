"""Ids of loyalty accounts are sealed and found by keyed hashes; neither the accounts, scans nor carts name them.

A payment page's words are kept, so that a repeat says the same. And the portal may tell shoppers what the gate, scans
and holds said of them: no body, key or reference of a call.

Needs BACKROOM_PRIVACY_KEYS where there are accounts. The undo brings the ids back, but not the hashes of what is
scanned: load the accounts again after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from backroom.amazon import exact_json
from backroom.settings import settings
from backroom.shoppers.loyalty_index import account_index, key_index, without_loyalty_ids
from backroom.shoppers.sealing import Seal, seal_of

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

AT_ONCE = 2000
CONSTRAINT = "fk_loyalty_promotion_{column}_loyalty_account"
SCANS = (
    "select idempotency_key as id, convert_from(response_body, 'UTF8') as text from identity_answer"
    " where operation = 'SCAN' and status = 200 and convert_from(response_body, 'UTF8') {like}"
)
SET_SCANS = (
    "update identity_answer set response_body = convert_to(new.text, 'UTF8') from json_to_recordset(:rows)"
    " as new (id text, text text) where operation = 'SCAN' and idempotency_key = new.id"
)
CARTS = "select shopping_trip_id as id, raw_body::text as text from purchase where raw_body::text like '%\"LOYALTY\"%'"
SET_CARTS = (
    "update purchase set raw_body = new.text::json from json_to_recordset(:rows) as new (id text, text text)"
    " where shopping_trip_id = new.id"
)
CASES = (
    "select case_id::text as id, (known -> 'second_body')::text as text from review_case"
    " where (known -> 'second_body')::text like '%\"LOYALTY\"%'"
)
SET_CASES = (
    "update review_case set known = jsonb_set(known, '{second_body}', new.text::jsonb)"
    " from json_to_recordset(:rows) as new (id text, text text) where case_id = new.id::bigint"
)

# what an export tells (shoppers/privacy.py)
PORTAL_READS = (
    "(store_id, auth_event_at, status, reason, shopper_id, received_at) on gate_decision",
    "(operation, store_id, status, shopper_id, received_at) on identity_answer",
    "(store_id, shopping_trip_id, shopper_id, amount, currency, state, intended_at) on preauthorization",
)


def upgrade() -> None:
    for columns in PORTAL_READS:
        op.execute(f"grant select {columns} to backroom_portal")
    said = "what the page says is paid: a repeat says the same"
    op.add_column("payoff_checkout", sa.Column("subject", sa.Text(), comment=said))
    op.add_column("payoff_checkout", sa.Column("language", sa.Text()))
    op.drop_constraint(CONSTRAINT.format(column="loyalty_id"), "loyalty_promotion", type_="foreignkey")
    op.alter_column("loyalty_account", "loyalty_id", new_column_name="account_index")
    op.alter_column("loyalty_promotion", "loyalty_id", new_column_name="account_index")
    op.alter_column("loyalty_account", "key_hash", new_column_name="key_index")
    op.execute(
        "alter table loyalty_account rename constraint uq_loyalty_account_key_hash to uq_loyalty_account_key_index"
    )
    op.add_column("loyalty_account", sa.Column("loyalty_id_sealed", sa.Text(), comment="that id, encrypted"))
    _each(
        "select account_index as id, key_index as text from loyalty_account",
        "update loyalty_account set account_index = new.index, key_index = new.key, loyalty_id_sealed = new.sealed"
        " from json_to_recordset(:rows) as new (id text, index text, key text, sealed text)"
        " where account_index = new.id",
        lambda seal, row: {
            "id": row.id,
            "index": account_index(seal, row.id),
            "key": key_index(seal, row.text),
            "sealed": seal.seal(row.id),
        },
    )
    _each(
        "select distinct account_index as id from loyalty_promotion",
        "update loyalty_promotion set account_index = new.index"
        " from json_to_recordset(:rows) as new (id text, index text) where account_index = new.id",
        lambda seal, row: {"id": row.id, "index": account_index(seal, row.id)},
    )
    op.alter_column("loyalty_account", "loyalty_id_sealed", nullable=False)
    _comment("account_index", "keyed hash of what scanResult.id is for LOYALTY")
    _comment("key_index", "keyed hash of the SHA-256 of the scanned value")
    _refer("account_index")
    _each(
        SCANS.format(like="like '{%\"LOYALTY\"%'"),
        SET_SCANS,
        lambda seal, row: {"id": row.id, "text": seal.seal(row.text)},
    )
    for carts, change in ((CARTS, SET_CARTS), (CASES, SET_CASES)):
        _each(carts, change, lambda seal, row: {"id": row.id, "text": without_loyalty_ids(seal, row.text)})


def downgrade() -> None:
    for columns in PORTAL_READS:
        op.execute(f"revoke select {columns} from backroom_portal")
    for column in ("language", "subject"):
        op.drop_column("payoff_checkout", column)
    _each(SCANS.format(like="not like '{%'"), SET_SCANS, lambda seal, row: {"id": row.id, "text": seal.open(row.text)})
    names = _ids_by_index()
    for carts, change in ((CARTS, SET_CARTS), (CASES, SET_CASES)):
        _each(carts, change, lambda seal, row: {"id": row.id, "text": _named(row.text, names)})
    op.drop_constraint(CONSTRAINT.format(column="account_index"), "loyalty_promotion", type_="foreignkey")
    for table in ("loyalty_account", "loyalty_promotion"):
        _each(
            f"select distinct account_index as id from {table}",
            f"update {table} set account_index = new.name"
            " from json_to_recordset(:rows) as new (id text, name text) where account_index = new.id",
            lambda seal, row: {"id": row.id, "name": names[row.id]},
        )
    op.drop_column("loyalty_account", "loyalty_id_sealed")
    op.execute(
        "alter table loyalty_account rename constraint uq_loyalty_account_key_index to uq_loyalty_account_key_hash"
    )
    op.alter_column("loyalty_account", "key_index", new_column_name="key_hash")
    op.alter_column("loyalty_promotion", "account_index", new_column_name="loyalty_id")
    op.alter_column("loyalty_account", "account_index", new_column_name="loyalty_id")
    _comment("loyalty_id", "what scanResult.id is for LOYALTY")
    _comment("key_hash", "SHA-256 of the scanned value")
    _refer("loyalty_id")


def _each(query: str, change: str, new: Callable[[Seal, Any], dict[str, str]]) -> None:
    """Changes the rows of `query`, some at a time. No key is needed where there are none."""
    connection = op.get_bind()
    for rows in connection.execute(sa.text(query), execution_options={"yield_per": AT_ONCE}).partitions():
        seal = _seal()
        connection.execute(sa.text(change), {"rows": json.dumps([new(seal, row) for row in rows])})


def _seal() -> Seal:
    """By whoever upgrades (`migrate.upgrade`), else by the settings. Raises ConfigurationError."""
    migration = op.get_context().environment_context
    keys = migration.config.attributes.get("privacy_keys") if migration is not None and migration.config else None
    return seal_of(settings()) if keys is None else Seal(keys)


def _ids_by_index() -> dict[str, str]:
    rows = op.get_bind().execute(sa.text("select account_index, loyalty_id_sealed from loyalty_account")).all()
    return {row.account_index: _seal().open(row.loyalty_id_sealed) for row in rows}


def _named(raw_body: str, names: dict[str, str]) -> str:
    """The cart with the ids of the accounts that are known; others stay hashed."""
    body = exact_json.loads(raw_body)
    for event in body["shoppingTrip"]["authEvents"]:
        if (result := event.get("scanResult")) and result.get("type") == "LOYALTY":
            result["id"] = names.get(result["id"], result["id"])
    return exact_json.dumps(body)


def _refer(column: str) -> None:
    op.create_foreign_key(
        CONSTRAINT.format(column=column), "loyalty_promotion", "loyalty_account", [column], [column], ondelete="CASCADE"
    )


def _comment(column: str, said: str) -> None:
    op.execute(f"comment on column loyalty_account.{column} is '{said}'")
