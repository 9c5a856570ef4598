"""Shoppers: keys are kept as hashes, flags outlive a reload, a key has one owner."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.errors import BackroomError, SourceFileError
from backroom.shoppers.commands import app
from backroom.shoppers.registry import get_shopper, key_hash, load_shoppers, register, set_flag

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA = {"shopper_id": "ana", "type": "SHOPPER", "flagged": False, "keys": ["ana-key"], "tokens": ["a" * 21]}


def write(folder: Path, content: Any) -> Path:
    file = folder / "shoppers.json"
    file.write_text(json.dumps(content))
    return file


def test_keys_are_kept_as_hashes_only(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        assert load_shoppers(connection, write(tmp_path, [ANA])) == 1
        rows = connection.execute(text("select key_hash, kind from recognition_key where shopper_id = 'ana'")).all()
        assert {tuple(row) for row in rows} == {(key_hash(b"ana-key"), "OPAQUE"), (key_hash(b"a" * 21), "TOKEN")}
        assert get_shopper(connection, "ana").keys == {"OPAQUE": 1, "TOKEN": 1}


def test_a_reload_does_not_lift_a_flag(database: Engine, tmp_path: Path) -> None:
    file = write(tmp_path, [{**ANA, "shopper_id": "bo", "keys": ["bo-key"], "tokens": []}])
    with database.begin() as connection:
        load_shoppers(connection, file)
        set_flag(connection, "bo", flagged=True, reason="fraud", actor="kim", now=NOW)
        load_shoppers(connection, file)
        found = get_shopper(connection, "bo")
        assert (found.flagged, found.flag_reason) == (True, "fraud")


def test_flags_are_audited(database: Engine) -> None:
    with database.begin() as connection:
        register(connection, "cy", "SHOPPER")
        set_flag(connection, "cy", flagged=True, reason="fraud", actor="kim", now=NOW)
        set_flag(connection, "cy", flagged=False, reason="cleared", actor="lee", now=NOW)
        entries = connection.execute(
            text("select actor, action, reason from audit_entry where subject = 'cy' order by entry_id")
        ).all()
    assert [tuple(entry) for entry in entries] == [
        ("kim", "shopper.flag", "fraud"),
        ("lee", "shopper.unflag", "cleared"),
    ]


def test_a_key_of_another_shopper_is_refused(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        register(connection, "di", "SHOPPER", keys=["di-key"])
    with pytest.raises(BackroomError, match="already belongs to 'di'"), database.begin() as connection:
        register(connection, "ed", "SHOPPER", keys=["di-key"])
    file = write(tmp_path, [{**ANA, "shopper_id": "fy", "keys": ["x"]}, {**ANA, "shopper_id": "gu", "keys": ["x"]}])
    with pytest.raises(SourceFileError, match="entry 2: a key of 'gu' is also one of 'fy'"), database.begin() as conn:
        load_shoppers(conn, file)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "VIP"}, "'type'"),
        ({"flagged": "no"}, "'flagged'"),
        ({"tokens": ["A" * 21]}, "'tokens.0'"),
        ({"keys": [""]}, "'keys.0'"),
        ({"shopper_id": "a\u0000b"}, "'shopper_id'"),
    ],
)
def test_a_wrong_entry_is_named(database: Engine, tmp_path: Path, change: dict[str, Any], field: str) -> None:
    file = write(tmp_path, [{**ANA, **change}])
    with pytest.raises(SourceFileError, match=f"entry 1, field {field}"), database.begin() as connection:
        load_shoppers(connection, file)


def test_the_commands_register_flag_and_show(database: Engine) -> None:
    runner = CliRunner()
    assert "keys: 1 opaque" in runner.invoke(app, ["register", "hal", "--key", "hal-key"]).output
    assert "flagged: fraud" in runner.invoke(app, ["flag", "hal", "--reason", "fraud"]).output
    assert "not flagged" in runner.invoke(app, ["unflag", "hal", "--reason", "cleared"]).output
    assert json.loads(runner.invoke(app, ["show", "hal", "--json"]).output)["type"] == "SHOPPER"
    unknown = runner.invoke(app, ["show", "nobody"])
    assert isinstance(unknown.exception, BackroomError)
