"""backroom debts: what it shows, what it decides, and what it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from backroom.debts.aging import age_debts
from backroom.debts.commands import app
from backroom.errors import BackroomError
from tests.debts.conftest import NOON, Debts

run = CliRunner(env={"COLUMNS": "250"}).invoke


def shown(*arguments: str) -> Any:
    done = run(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_the_list_shows_open_debts_and_with_all_the_others(debts: Debts) -> None:
    trip, paid = debts.owe(), debts.owe()
    debts.pay(paid)
    rows = shown("list", "--store", debts.store_id)
    assert [(row["shopping_trip_id"], row["outstanding"]) for row in rows] == [(trip, "12.3000")]
    assert {row["shopping_trip_id"] for row in shown("list", "--all", "--store", debts.store_id)} == {trip, paid}
    assert trip in run(app, ["list"]).output


def test_show_tells_every_event_payoff_and_report(debts: Debts) -> None:
    trip = debts.owe()
    debts.pay(trip)
    whole = shown("show", trip)
    assert whole["debt"]["state"] == "PAID"
    assert [event["kind"] for event in whole["events"]] == ["PAID"]
    assert [one["method"] for one in whole["payoffs"]] == ["CASH"]
    assert "the card was declined" in run(app, ["show", trip]).output
    assert isinstance(run(app, ["show", "no-such-trip"]).exception, BackroomError)


def test_a_statement_has_lines_and_sums(debts: Debts) -> None:
    debts.owe("1.10", shopper="fay")
    given_up = debts.owe("2.20", shopper="fay")
    run(app, ["write-off", given_up, "--reason", "old"])
    made = shown("statement", "fay")
    assert made["totals"]["USD"]["owed"] == "3.3000"
    assert len(made["trips"]) == 2
    printed = run(app, ["statement", "fay"]).output
    assert "owed in all: 3.30 USD, of which 2.20 was given up" in printed
    assert isinstance(run(app, ["statement", "nobody"]).exception, BackroomError)


def test_a_debtor_is_as_late_as_their_oldest_open_debt(debts: Debts) -> None:
    old, paid = (debts.owe("5", shopper="hal", at=NOON - timedelta(days=40 + day)) for day in range(2))
    debts.owe("2.50", shopper="hal")
    debts.owe("1", shopper=None, card="card-late", at=NOON - timedelta(days=5))
    debts.pay(paid)
    asked = ["debtors", "--store", debts.store_id]
    assert {row["bucket"] for row in shown(*asked)} == {None}, "not aged yet"
    with debts.engine.begin() as connection:
        age_debts(connection, now=NOON)
    by_name = {row["owed_by"]: row for row in shown(*asked)}
    hal = by_name["shopper hal"]
    assert (hal["debts"], hal["outstanding"], hal["age_days"], hal["bucket"]) == (2, "7.5000", 40, "31-60")
    assert by_name["card card-late"]["bucket"] == "0-30"
    assert [row["owed_by"] for row in shown(*asked, "--bucket", "31-60")] == ["shopper hal"]
    assert "31-60" in run(app, asked).output
    debts.pay(old)
    with debts.engine.begin() as connection:
        age_debts(connection, now=NOON)
    assert {row["bucket"] for row in shown(*asked)} == {"0-30"}
    assert isinstance(run(app, [*asked, "--bucket", "old"]).exception, BackroomError)


def test_offenders_by_the_gates_rule_or_another(debts: Debts) -> None:
    for _ in range(2):
        debts.owe("5", shopper="gil")
    assert "shopper gil" in {row["owed_by"] for row in shown("offenders")}
    assert "shopper gil" not in {row["owed_by"] for row in shown("offenders", "--at-least", "3")}
    assert "gil" in run(app, ["offenders"]).output


@pytest.mark.parametrize("method", ["cash", "terminal"])
def test_paying_at_the_till_is_audited_with_its_reason(debts: Debts, method: str) -> None:
    trip = debts.owe()
    done = run(app, ["pay", trip, "--method", method, "--reason", "came to the desk", "--by", "ann"])
    assert (done.exit_code, "12.30 USD PAID" in done.output) == (0, True), done.output
    audit = debts.one("select * from audit_entry where subject = :t order by entry_id limit 1", t=trip)
    assert (audit["actor"], audit["reason"]) == ("ann", "came to the desk")
    again = run(app, ["pay", trip, "--method", method, "--reason", "twice"])
    assert isinstance(again.exception, BackroomError)
    assert "nothing is owed" in str(again.exception)


@pytest.mark.parametrize("method", ["sandbox", "stripe", "barter"])
def test_a_processor_that_can_not_take_it_is_told_in_one_line_and_nothing_is_begun(debts: Debts, method: str) -> None:
    trip = debts.owe()
    done = run(app, ["pay", trip, "--method", method, "--reason", "asked for"])
    assert isinstance(done.exception, BackroomError), done.exception
    assert debts.rows("select * from payoff where shopping_trip_id = :t", t=trip) == []


def test_write_off_and_forgive_need_a_reason_and_are_two_steps(debts: Debts) -> None:
    trip = debts.owe()
    assert run(app, ["write-off", trip]).exit_code == 2
    assert isinstance(run(app, ["forgive", trip, "--reason", "x"]).exception, BackroomError)
    assert "stays denied" in run(app, ["write-off", trip, "--reason", "old"]).output
    assert "forgiven" in run(app, ["forgive", trip, "--reason", "an old customer"]).output
    assert debts.debt(trip)["forgiven_at"] is not None


def test_reports_show_what_amazon_is_to_be_told(debts: Debts) -> None:
    trip = debts.owe()
    debts.run(
        "insert into payment_status_report (shopping_trip_id, store_id, currency, total, settled, status_time,"
        " next_attempt_at, created_at) values (:t, :s, 'USD', 12.30, 0, now(), now(), now())", t=trip, s=debts.store_id,
    )  # fmt: skip
    (row,) = shown("reports", "--store", debts.store_id)
    assert (row["shopping_trip_id"], row["total"], row["state"]) == (trip, "12.3000", "DUE")
    assert trip in run(app, ["reports", "--trip", trip]).output


def test_age_prints_the_buckets(debts: Debts) -> None:
    debts.owe()
    assert "31-60" in run(app, ["age", "--now", "2026-12-30T12:00:00Z"]).output
    assert isinstance(run(app, ["age", "--now", "soon"]).exception, BackroomError)
