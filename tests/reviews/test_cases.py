"""Cases for a person: asked once, decided once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.reviews import cases
from backroom.reviews.cases import CaseError, decide, get_case, open_case, open_cases, settle
from backroom.reviews.commands import app

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def ask(engine: Engine, subject: str, kind: str = "BAD_CART") -> int | None:
    with engine.begin() as connection:
        return open_case(
            connection, kind=kind, subject=subject, store_id="STORE-001", asked_by="purchases", question="What was it?",
            known={"item": "?"}, choices=[("drop", "the line is left out"), ("keep", "the line is priced")], now=NOW,
        )  # fmt: skip


def answer(engine: Engine, case_id: int, decision: str, by: str = "ana") -> None:
    with engine.begin() as connection:
        decide(connection, case_id, decision, by=by, reason="seen", now=NOW)


def test_a_question_is_asked_once_while_it_is_open(database: Engine) -> None:
    first = ask(database, "trip-1")
    assert first is not None
    assert ask(database, "trip-1") is None
    assert ask(database, "trip-1", kind="UNKNOWN_CAPTURE") is not None
    answer(database, first, "drop")
    assert ask(database, "trip-1") is not None


def test_the_first_decision_wins_whoever_is_first(database: Engine) -> None:
    case_id = ask(database, "trip-2")
    assert case_id is not None

    def try_it(by: str) -> bool:
        try:
            answer(database, case_id, "drop", by)
        except CaseError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(try_it, ["a", "b", "c", "d", "e", "f"])) == 1
    with database.connect() as connection:
        entries = connection.execute(text("select count(*) from audit_entry where subject = 'trip-2'")).scalar_one()
    assert entries == 1


def test_a_choice_that_is_not_offered_is_refused_and_named(database: Engine) -> None:
    case_id = ask(database, "trip-3")
    assert case_id is not None
    with pytest.raises(CaseError, match="offers drop, keep"):
        answer(database, case_id, "burn")


def test_a_case_that_is_not_there_is_one_clear_line(database: Engine) -> None:
    with database.connect() as connection, pytest.raises(CaseError, match="no case 999999"):
        get_case(connection, 999999)


def test_a_question_that_answers_itself_is_settled(database: Engine) -> None:
    case_id = ask(database, "trip-4")
    with database.begin() as connection:
        assert settle(connection, kind="BAD_CART", subject="trip-4", by="purchases", reason="came again", now=NOW) == (
            case_id
        )
        assert settle(connection, kind="BAD_CART", subject="trip-4", by="purchases", reason="again", now=NOW) is None
        assert "trip-4" not in {case["subject"] for case in open_cases(connection)}


def test_the_connector_may_ask_but_not_decide(database: Engine) -> None:
    case_id = ask(database, "trip-5")
    with database.begin() as connection:
        connection.execute(text("set local role backroom_connector"))
        assert (
            cases.open_case(
                connection, kind="BAD_CART", subject="trip-6", store_id=None, asked_by="purchases", question="?",
                known={}, choices=[("drop", "")], now=NOW,
            )
            is not None
        )  # fmt: skip
    with pytest.raises(Exception, match="permission denied"), database.begin() as connection:
        connection.execute(text("set local role backroom_connector"))
        decide(connection, case_id or 0, "drop", by="x", reason="seen", now=NOW)


def test_the_command_line_lists_shows_and_decides(database: Engine) -> None:
    case_id = ask(database, "trip-7")
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).output)
    assert "trip-7" in {case["subject"] for case in listed}
    assert "the line is left out" in CliRunner().invoke(app, ["show", str(case_id)]).output
    decided = CliRunner().invoke(app, ["decide", str(case_id), "drop", "--by", "ana", "--reason", "a sticker"])
    assert decided.exit_code == 0
    with database.connect() as connection:
        assert get_case(connection, case_id or 0)["decision_reason"] == "a sticker"


def test_what_settles_itself_while_a_person_decides_leaves_the_decision_and_is_no_error(database: Engine) -> None:
    case_id = ask(database, "trip-both")
    assert case_id is not None

    def settled() -> int | None:
        with database.begin() as connection:
            return settle(connection, kind="BAD_CART", subject="trip-both", by="purchases", reason="came", now=NOW)

    with ThreadPoolExecutor(1) as pool, database.begin() as connection:
        decide(connection, case_id, "drop", by="ana", reason="seen", now=NOW)
        later = pool.submit(settled)
        while not _waits_for_a_lock(database):
            assert not later.done()
        connection.commit()
        assert later.result(20) is None
    with database.connect() as connection:
        assert get_case(connection, case_id)["decision"] == "drop"


def _waits_for_a_lock(database: Engine) -> bool:
    with database.connect() as connection:
        waiting = text("select exists (select from pg_stat_activity where wait_event_type = 'Lock')")
        return bool(connection.execute(waiting).scalar())
