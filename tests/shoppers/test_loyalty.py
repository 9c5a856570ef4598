"""Loyalty accounts are loaded whole or not at all, replaced per account, and name neither themselves nor a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.errors import SourceFileError
from backroom.settings import settings
from backroom.shoppers.commands import app
from backroom.shoppers.loyalty import load_loyalty
from backroom.shoppers.loyalty_index import account_index, key_index
from backroom.shoppers.registry import key_hash, register
from backroom.shoppers.sealing import seal_of

GOLD = {"loyalty_id": "L-1", "key": "gold-card", "provider": "Green Points", "promotion_ids": ["P1", "P2", "P1"]}
SILVER = {"loyalty_id": "L-2", "key": "silver-card", "provider": "Green Points", "promotion_ids": []}


@pytest.fixture
def clean(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text("delete from loyalty_account"))
        register(connection, "ana", "SHOPPER")
    return database


def write(folder: Path, content: Any) -> Path:
    file = folder / "loyalty.json"
    file.write_text(json.dumps(content))
    return file


def load(engine: Engine, folder: Path, *entries: dict[str, Any]) -> int:
    with engine.begin() as connection:
        return load_loyalty(connection, seal_of(settings()), write(folder, list(entries)))


def kept(engine: Engine) -> dict[str, tuple[str, list[str]]]:
    """Key index and promotions by account."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select loyalty_id_sealed, key_index, array_remove(array_agg(promotion_id order by promotion_id), null)"
                " from loyalty_account left join loyalty_promotion using (account_index) group by account_index"
            )
        )
        return {seal_of(settings()).open(sealed): (index, promotions) for sealed, index, promotions in rows}


def scanned(key: bytes) -> str:
    """How what is scanned is kept."""
    return key_index(seal_of(settings()), key_hash(key))


def test_accounts_are_kept_with_a_hash_of_what_is_scanned_and_their_promotions(clean: Engine, tmp_path: Path) -> None:
    assert load(clean, tmp_path, GOLD, {**SILVER, "shopper_id": "ana"}) == 2
    assert kept(clean) == {
        "L-1": (scanned(b"gold-card"), ["P1", "P2"]),
        "L-2": (scanned(b"silver-card"), []),
    }
    assert "loyalty account L-2" in CliRunner().invoke(app, ["show", "ana"]).output


def test_an_account_is_replaced_and_the_others_stay(clean: Engine, tmp_path: Path) -> None:
    load(clean, tmp_path, GOLD, SILVER)
    with clean.begin() as connection:
        connection.execute(text("update loyalty_account set created_at = '2020-01-01Z'"))
    load(clean, tmp_path, {**GOLD, "promotion_ids": ["P3"], "active": False})
    assert kept(clean)["L-1"][1] == ["P3"]
    assert kept(clean).keys() == {"L-1", "L-2"}
    one = {"one": account_index(seal_of(settings()), "L-1")}
    with clean.connect() as connection:
        changed = connection.execute(text("select active, extract(year from created_at) from loyalty_account"
                                          " where account_index = :one"), one).one()  # fmt: skip
    assert tuple(changed) == (False, 2020), "the account is as old as before"


def test_accounts_may_swap_their_cards(clean: Engine, tmp_path: Path) -> None:
    load(clean, tmp_path, GOLD, SILVER)
    load(clean, tmp_path, {**GOLD, "key": "silver-card"}, {**SILVER, "key": "gold-card"})
    assert kept(clean)["L-2"][0] == scanned(b"gold-card")


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([GOLD, GOLD], "entry 2: the account 'L-1' is in it twice"),
        ([GOLD, {**SILVER, "key": "gold-card"}], "entry 2: the key of 'L-2' is also that of 'L-1'"),
        ([{**GOLD, "key": "taken"}], "entry 1: the key of 'L-1' already belongs to 'L-0'"),
        ([{**GOLD, "shopper_id": "nobody"}], "entry 1: there is no shopper 'nobody'; load the shoppers first"),
        ([{**GOLD, "key": ""}], "entry 1, field 'key'"),
        ([{**GOLD, "key": "x" * 751}], "entry 1, field 'key'"),
        ([{**GOLD, "promotion_ids": [7]}], "entry 1, field 'promotion_ids.0'"),
        ([{**GOLD, "promotion_ids": "P1"}], "entry 1, field 'promotion_ids'"),
        ([GOLD, {"loyalty_id": "L-2"}], "entry 2, field 'key'"),
        ({"L-1": GOLD}, "holds no list"),
    ],
)
def test_a_wrong_file_is_refused_and_named_and_nothing_is_loaded(
    clean: Engine, tmp_path: Path, entries: Any, complaint: str
) -> None:
    load(clean, tmp_path, {**SILVER, "loyalty_id": "L-0", "key": "taken"})
    with pytest.raises(SourceFileError) as refused, clean.begin() as connection:
        load_loyalty(connection, seal_of(settings()), write(tmp_path, entries))
    assert complaint in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert kept(clean).keys() == {"L-0"}


def test_the_command_says_how_many(clean: Engine, tmp_path: Path) -> None:
    file = write(tmp_path, [GOLD, SILVER])
    assert CliRunner().invoke(app, ["load-loyalty", str(file)]).output == f"2 loyalty accounts loaded from {file}\n"
    with clean.connect() as connection:
        rows = connection.execute(text("select * from loyalty_account join loyalty_promotion using (account_index)"))
        said = str(rows.all())
    assert "Green Points" in said
    assert [plain for plain in ("gold-card", "L-1", key_hash(b"gold-card")) if plain in said] == []
