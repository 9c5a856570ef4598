"""Staff: added, changed and ended on the command line; the password is never an argument and never shown."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.errors import BackroomError
from backroom.staff import members, sign_in
from backroom.staff.permissions import GRANTED, Permission, Role, granted, to_decide
from backroom.staff.sign_in import Limits, SignInRefused

CHECKOUT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 22, 17, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
LIMITS = Limits(timedelta(minutes=30), timedelta(hours=10))


def run(*arguments: str, password: str = "") -> Any:
    return CliRunner().invoke(build_app(["staff"]), ["staff", *arguments], input=f"{password}\n" if password else "")


def enter(
    engine: Engine, name: str, password: str = PASSWORD, *, address: str = "10.0.0.1", now: datetime = NOW
) -> str:
    with engine.connect() as connection:
        try:
            return sign_in.sign_in(
                connection, name, password, address=address, new_token=lambda: f"token of {name} {now}", now=now
            )
        finally:
            connection.commit()


def test_a_person_is_added_gets_other_roles_and_is_disabled_each_with_its_entry(database: Engine) -> None:
    done = run("add", "Ana.Lopez", "finance", "support", "--by", "root", "--now", NOW.isoformat(), password=PASSWORD)
    assert (done.exit_code, "ana.lopez may sign in, as finance and support" in done.output) == (0, True)
    assert PASSWORD not in done.output
    token = enter(database, " ANA.lopez ")
    for arguments in (
        ("role", "ana.lopez", "operations", "--reason", "moved"), ("disable", "ana.lopez", "--reason", "left"),
    ):  # fmt: skip
        assert run(*arguments, "--by", "root", "--now", NOW.isoformat()).exit_code == 0
    with database.begin() as connection:
        assert sign_in.session(connection, token, limits=LIMITS, now=NOW) is None
    with pytest.raises(SignInRefused):
        enter(database, "ana.lopez")
    assert run("enable", "ana.lopez", "--reason", "back", "--by", "root").exit_code == 0
    assert run("password", "ana.lopez", "--reason", "lost", "--by", "root", password="another long one").exit_code == 0
    with pytest.raises(SignInRefused):
        enter(database, "ana.lopez", now=NOW + timedelta(minutes=1))
    assert enter(database, "ana.lopez", "another long one", now=NOW + timedelta(minutes=2))
    listed = run("list", "--json")
    [one] = json.loads(listed.output)
    assert (one["roles"], one["disabled_at"]) == (["operations"], None)
    assert "password_hash" not in one
    with database.connect() as connection:
        told = connection.execute(
            text("select action, actor, reason from audit_entry where actor = 'root' order by entry_id")
        ).all()
    assert [tuple(row) for row in told] == [
        ("staff.add", "root", "a new member of staff"), ("staff.role", "root", "moved"),
        ("staff.disable", "root", "left"), ("staff.enable", "root", "back"), ("staff.password", "root", "lost"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "password", "complaint"),
    [
        (("add", "bo", "boss"), PASSWORD, "boss is no role"),
        (("add", "bo b", "finance"), PASSWORD, "a name has up to 64"),
        (("add", "bo", "finance"), "short", "12 to 256 characters"),
        (("add", "bo", "finance"), "aaaaaaaaaaaaaaa", "can be guessed"),
        (("add", "bobby.brown", "finance"), "bobby.brown.1", "can be guessed"),
        (("role", "nobody", "finance", "--reason", "x"), "", "there is nobody called 'nobody'"),
        (("disable", "nobody", "--reason", "x"), "", "there is nobody"),
        (("password", "nobody", "--reason", " "), PASSWORD, "says nothing"),
    ],
)
def test_what_can_not_be_is_told_and_changes_nothing(
    database: Engine, arguments: tuple[str, ...], password: str, complaint: str
) -> None:
    done = run(*arguments, password=password)
    assert isinstance(done.exception, BackroomError)
    assert complaint in str(done.exception)
    assert not password or password not in str(done.exception)
    with database.connect() as connection:
        assert connection.execute(text("select 1 from staff_member where name in ('bo', 'bobby.brown')")).all() == []


def test_tries_at_once_do_not_slip_past_the_limit(database: Engine) -> None:
    with database.begin() as connection:
        members.add(connection, "kim", ["support"], PASSWORD, by="root", reason="new", now=NOW)

    def one(number: int) -> str:
        try:
            enter(database, "kim", "wrong", address=f"10.0.1.{number}", now=NOW + timedelta(days=1))
        except SignInRefused as refused:
            return "wait" if refused.wait else "wrong"
        return "in"

    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(one, range(12)))
    assert (ends.count("wrong"), ends.count("wait")) == (sign_in.TRIES_PER_NAME, 7)


def test_one_address_can_not_try_many_names(database: Engine) -> None:
    at = NOW + timedelta(days=2)
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into staff_sign_in_failure (at, name_hash, address_hash) select :at, 'n' || n, :address"
                " from generate_series(1, :most) n"
            ),
            {"at": at, "address": sign_in._hash(f"10.9.9.9 {at.date()}"), "most": sign_in.TRIES_PER_ADDRESS},
        )
    with pytest.raises(SignInRefused) as refused:
        enter(database, "kim", address="10.9.9.9", now=at)
    assert refused.value.wait == sign_in.WINDOW
    assert enter(database, "kim", address="10.9.9.8", now=at)


def test_no_role_may_do_all_and_every_permission_is_some_roles(database: Engine) -> None:
    assert set().union(*GRANTED.values()) == set(Permission)
    for role in Role:
        assert GRANTED[role] < set(Permission)
    assert granted(["support", "a role of yesterday"]) == GRANTED[Role.SUPPORT]
    assert not granted([])
    assert (to_decide("purchases"), to_decide("charges")) == (Permission.DECIDE_GOODS, Permission.DECIDE_MONEY)
    assert to_decide("a new room") is Permission.DECIDE_MONEY


@pytest.mark.parametrize("role", ["backroom_connector", "backroom_portal", "backroom_reader", "backroom_pipeline"])
def test_sessions_and_hashes_of_passwords_are_the_consoles_alone(database: Engine, role: str) -> None:
    from sqlalchemy.exc import ProgrammingError

    for query in ("select session_hash from staff_session", "select password_hash from staff_member"):
        if role == "backroom_pipeline" and "password_hash" in query:
            continue  # the commands that set one run by this role
        with database.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"set role {role}"))
            connection.execute(text(query))


def test_the_page_s_table_is_the_one_that_holds() -> None:
    page = (CHECKOUT / "docs" / "console.md").read_text()
    for permission in Permission:
        cells = ["yes" if permission in GRANTED[role] else "" for role in Role]
        assert f"| {permission.value} | {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |") in page
