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
        assert get_shopper(connection, "ana", now=NOW).keys == {"OPAQUE": 1, "TOKEN": 1}


def test_a_reload_does_not_lift_a_flag(database: Engine, tmp_path: Path) -> None:
    file = write(tmp_path, [{**ANA, "shopper_id": "bo", "keys": ["bo-key"], "tokens": []}])
    with database.begin() as connection:
        load_shoppers(connection, file)
        set_flag(connection, "bo", flagged=True, reason="fraud", actor="kim", now=NOW)
        load_shoppers(connection, file)
        found = get_shopper(connection, "bo", now=NOW)
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
        ({"keys": ["é" * 376]}, "'keys.0'"),
        ({"keys": ["JWOIMAG18bc0554d045a48b29afa9e2aaac14ae"]}, "'keys.0'"),
        ({"shopper_id": "a\u0000b"}, "'shopper_id'"),
    ],
)
def test_a_wrong_entry_is_named(database: Engine, tmp_path: Path, change: dict[str, Any], field: str) -> None:
    file = write(tmp_path, [{**ANA, **change}])
    with pytest.raises(SourceFileError, match=f"entry 1, field {field}"), database.begin() as connection:
        load_shoppers(connection, file)


@pytest.fixture(scope="module")
def stores(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values ('STORE-001', 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50,"
                " '{FILES}')"
            )
        )


def run(*arguments: str) -> str:
    """What `backroom shoppers …` prints; raises what it raises."""
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, BackroomError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_register_flag_and_show(database: Engine) -> None:
    said = run("register", "--id", "hal", "--type", "ASSOCIATE", "--key", "hal-key", "--key", "k2", "--token", "c" * 21)
    assert said == "hal: ASSOCIATE, active, not flagged, keys: 2 opaque, 1 token\n"
    assert "flagged: fraud" in run("flag", "--id", "hal", "--reason", "fraud")
    assert "not flagged" in run("unflag", "hal", "--reason", "cleared")
    shown = json.loads(run("show", "--id", "hal", "--json"))
    assert (shown["type"], shown["keys"]) == ("ASSOCIATE", {"OPAQUE": 2, "TOKEN": 1})


@pytest.mark.parametrize("arguments", [("show", "nobody"), ("show",), ("show", "hal", "--id", "hal")])
def test_a_shopper_who_is_unknown_or_not_named_once_is_a_mistake(database: Engine, arguments: tuple[str]) -> None:
    with pytest.raises(BackroomError, match=r"there is no shopper 'nobody'|name one shopper"):
        run(*arguments)


def test_an_id_is_an_option_when_somebody_is_registered(database: Engine) -> None:
    assert CliRunner().invoke(app, ["register", "joe", "--type", "SHOPPER"]).exit_code == 2
    assert CliRunner().invoke(app, ["register", "--id", "joe"]).exit_code == 2, "the type is not guessed"


def test_a_key_may_be_good_at_one_store_only(database: Engine, stores: None) -> None:
    said = run("register", "--id", "ivy", "--type", "SHOPPER", "--key", "ivy-key", "--store", "STORE-001")
    assert "1 at STORE-001 only" in said
    run("register", "--id", "ivy", "--type", "SHOPPER", "--key", "other-key")
    with database.connect() as connection:
        rows = connection.execute(text("select key_hash, store_id from recognition_key where shopper_id = 'ivy'"))
        assert {tuple(row) for row in rows} == {(key_hash(b"ivy-key"), "STORE-001"), (key_hash(b"other-key"), None)}
    assert "only" not in run("register", "--id", "ivy", "--type", "SHOPPER", "--key", "ivy-key")
    with pytest.raises(BackroomError, match="there is no store 'STORE-009'"):
        run("register", "--id", "ivy", "--type", "SHOPPER", "--key", "x", "--store", "STORE-009")


def test_a_file_does_not_widen_where_a_key_is_good(database: Engine, stores: None, tmp_path: Path) -> None:
    with database.begin() as connection:
        register(connection, "jan", "SHOPPER", keys=["jan-key"], store_id="STORE-001")
        load_shoppers(connection, write(tmp_path, [{**ANA, "shopper_id": "jan", "keys": ["jan-key"], "tokens": []}]))
        assert get_shopper(connection, "jan", now=NOW).at_one_store_only == {"STORE-001": 1}


def test_another_shoppers_key_is_not_moved_to_a_store(database: Engine, stores: None) -> None:
    with database.begin() as connection:
        register(connection, "kai", "SHOPPER", keys=["kai-key"])
    with pytest.raises(BackroomError, match="already belongs to 'kai'"):
        run("register", "--id", "lou", "--type", "SHOPPER", "--key", "kai-key", "--store", "STORE-001")
    with database.connect() as connection:
        assert get_shopper(connection, "kai", now=NOW).at_one_store_only == {}


def test_expired_keys_and_paid_debts_are_not_shown(database: Engine, stores: None) -> None:
    with database.begin() as connection:
        register(connection, "mia", "SHOPPER", keys=["mia-key"])
        connection.execute(
            text(
                "insert into recognition_key (key_hash, shopper_id, kind, expires_at)"
                " values ('old', 'mia', 'TOKEN', '2026-03-01T11:59Z'), ('new', 'mia', 'TOKEN', '2026-03-01T12:01Z')"
            )
        )
        for trip, amount, paid, state in (("t1", 12, 2, "OPEN"), ("t2", "0.5", 0, "OPEN"), ("t3", 9, 9, "PAID")):
            connection.execute(
                text(
                    "insert into debt (shopping_trip_id, store_id, shopper_id, cause, currency, amount, paid, state,"
                    " opened_at) values (:trip, 'STORE-001', 'mia', 'CAPTURE_DECLINED', 'USD', :amount, :paid, :state,"
                    " '2026-03-01Z')"
                ),
                {"trip": trip, "amount": amount, "paid": paid, "state": state},
            )
    said = run("show", "mia", "--now", NOW.isoformat())
    assert said == "mia: SHOPPER, active, not flagged, keys: 1 opaque, 1 token, owes 10.50 USD\n"


def test_registering_a_key_does_not_change_who_pays_by_card(database: Engine) -> None:
    with database.begin() as connection:
        register(connection, "of-one-type", "SHOPPER", keys=["one-key"])
        with pytest.raises(BackroomError, match="is registered as SHOPPER"):
            register(connection, "of-one-type", "ASSOCIATE", keys=["another-key"])
        register(connection, "of-one-type", "SHOPPER", keys=["another-key"])
        assert get_shopper(connection, "of-one-type", now=NOW).keys == {"OPAQUE": 2}


def test_a_revoked_key_is_audited_and_comes_back_neither_by_a_file_nor_by_registering(
    database: Engine, tmp_path: Path
) -> None:
    with database.begin() as connection:
        register(connection, "ned", "SHOPPER", keys=["ned-key", "ned-spare"], tokens=["d" * 21])
    assert run("revoke", "--key", "ned-key", "--reason", "the badge was lost") == "ned: 1 keys revoked\n"
    assert "nothing changed" in run("revoke", "--key", "ned-key", "--reason", "again")
    with database.begin() as connection:
        load_shoppers(connection, write(tmp_path, [{**ANA, "shopper_id": "ned", "keys": ["ned-key"], "tokens": []}]))
        assert get_shopper(connection, "ned", now=NOW).keys == {"OPAQUE": 1, "TOKEN": 1}
    with pytest.raises(BackroomError, match="a key of 'ned' was revoked and does not come back"):
        run("register", "--id", "ned", "--type", "SHOPPER", "--key", "ned-key")
    assert run("revoke", "--id", "ned", "--reason", "the telephone, too") == "ned: 2 keys revoked\n"
    with database.connect() as connection:
        assert get_shopper(connection, "ned", now=NOW).keys == {}
        entries = connection.execute(
            text("select action, reason, details from audit_entry where subject = 'ned' order by entry_id")
        ).all()
    assert [tuple(entry) for entry in entries] == [
        ("shopper.revoke", "the badge was lost", {"keys": 1, "all": False}),
        ("shopper.revoke", "again", {"keys": 0, "all": False}),
        ("shopper.revoke", "the telephone, too", {"keys": 2, "all": True}),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key", "nobodys-key"), "nobody has this key"),
        (("--id", "nobody"), "there is no shopper 'nobody'"),
        ((), "name one key with --key, or one shopper with --id"),
        (("--key", "x", "--id", "ana"), "name one key with --key, or one shopper with --id"),
    ],
)
def test_revoking_what_nobody_has_or_what_is_not_named_is_a_mistake(
    database: Engine, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BackroomError, match=said):
        run("revoke", *arguments, "--reason", "a test")
    with pytest.raises(BackroomError, match="--reason says nothing"):
        run("revoke", "--key", "x", "--reason", " ")
