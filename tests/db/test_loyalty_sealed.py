"""The migration that seals loyalty ids takes what is there with it, asks for the key first, and can be undone."""

from __future__ import annotations

import json

import pytest
from alembic import command
from sqlalchemy import Engine, text

from backroom.db import migrate
from backroom.errors import ConfigurationError
from backroom.settings import settings
from backroom.shoppers.loyalty_index import account_index, key_index
from backroom.shoppers.registry import key_hash
from backroom.shoppers.sealing import seal_of

BEFORE, AFTER = "0014", "0015"
SAID = {"action": "ACCEPT", "scanResult": {"id": "gold-7", "type": "LOYALTY"}}
CART = {"shoppingTrip": {"authEvents": [{"id": "e", "scanResult": {"id": "gold-7", "type": "LOYALTY"}}], "n": 1.50}}


def move(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        (command.upgrade if revision == AFTER else command.downgrade)(config, revision)


def everything(engine: Engine) -> str:
    with engine.connect() as connection:
        tables = ("loyalty_account", "loyalty_promotion", "identity_answer", "purchase", "review_case")
        rows = {name: connection.execute(text(f"select t::text from {name} t")).scalars().all() for name in tables}
        answers = connection.execute(text("select convert_from(response_body, 'UTF8') from identity_answer"))
        return f"{rows}{answers.scalars().all()}"


def test_accounts_scans_and_carts_are_sealed_by_the_upgrade_and_come_back_by_its_undo(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(database, BEFORE)
    with database.begin() as connection:
        for statement, values in (
            ("insert into loyalty_account (loyalty_id, key_hash, provider) values ('gold-7', :k, 'p')", {}),
            ("insert into loyalty_promotion values ('gold-7', 'P1'), ('gold-7', 'P2')", {}),
            (
                "insert into identity_answer (operation, idempotency_key, store_id, key_hash, status, reason,"
                " response_body, raw_body, received_at) values ('SCAN', 's', 'S', 'h', 200, 'x', :said, '{}', now())",
                {"said": json.dumps(SAID, separators=(",", ":")).encode()},
            ),
            (
                "insert into review_case (kind, subject, asked_by, question, known, choices, opened_at)"
                " values ('DIFFERENT_CART', 't', 'x', '?', cast(:known as jsonb), '[]', now())",
                {"known": json.dumps({"second_body": CART}).replace("1.5", "1.50")},
            ),
        ):
            known = {"k": key_hash(b"card")} if ":k," in statement else {}
            connection.execute(text(statement), {**values, **known})
    before = everything(database)
    with monkeypatch.context() as patch:
        patch.delenv("BACKROOM_PRIVACY_KEYS")
        settings.cache_clear()
        with pytest.raises(ConfigurationError, match="BACKROOM_PRIVACY_KEYS is not set"):
            move(database, AFTER)
    settings.cache_clear()
    assert everything(database) == before, "nothing has changed"
    move(database, AFTER)
    after = everything(database)
    assert [plain for plain in ("gold-7", key_hash(b"card")) if plain in after] == []
    assert "1.50" in after, "numbers keep their digits"
    seal = seal_of(settings())
    with database.connect() as connection:
        account = connection.execute(text("select * from loyalty_account")).one()
        promotions = connection.execute(text("select account_index, promotion_id from loyalty_promotion order by 2"))
        assert [tuple(row) for row in promotions] == [(account.account_index, "P1"), (account.account_index, "P2")]
    assert account.account_index == account_index(seal, "gold-7")
    assert account.key_index == key_index(seal, key_hash(b"card"))
    assert seal.open(account.loyalty_id_sealed) == "gold-7"
    move(database, BEFORE)
    assert everything(database).replace(account.key_index, key_hash(b"card")) == before
    move(database, AFTER)
