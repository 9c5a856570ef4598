"""Erasure and retention: the books stay, the person goes; a dry run changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from backroom.errors import BackroomError, ConfigurationError
from backroom.settings import settings
from backroom.shoppers import contacts, privacy, retention
from backroom.shoppers.loyalty_index import account_index
from backroom.shoppers.sealing import Seal, seal_of
from backroom.shoppers.turning import turn_all
from tests.connector_app.portal.conftest import PRIVACY_KEY
from tests.connector_app.portal.shopping import NOW, Shopping, shopping_over
from tests.shoppers.accounts import add_account

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(scope="module")
def world(database: Engine, module_patch: pytest.MonkeyPatch) -> Iterator[Shopping]:
    module_patch.setenv("BACKROOM_PRIVACY_KEYS", PRIVACY_KEY)
    settings.cache_clear()
    yield shopping_over(database, settings())
    settings.cache_clear()


def everything(engine: Engine) -> str:
    """Every row of every table as text, but for the audit, whose entries outlive whom they are about."""
    with engine.connect() as connection:
        tables = connection.execute(
            text("select tablename from pg_tables where schemaname = 'public' and tablename <> 'audit_entry'")
        ).scalars()
        return "\n".join(
            table + str(connection.execute(text(f"select json_agg(t) from {table} t")).scalar())
            for table in tables.all()
        )


def ask(world: Shopping, address: str) -> None:
    with world.engine.begin() as connection:
        privacy.ask_erasure(connection, world.seal.index(address), now=NOW)


def test_addresses_are_unreadable_at_rest_and_found_by_who_has_the_key(world: Shopping) -> None:
    assert "shopper.test" not in everything(world.engine)
    with world.engine.connect() as connection:
        assert contacts.holders_of(connection, world.seal.index("ana@shopper.test")).shopper_ids == ("ana",)
        assert not contacts.holders_of(
            connection, Seal(Fernet.generate_key().decode()).index("ana@shopper.test")
        ).anyone


def test_keys_turn_without_losing_what_was_sealed_or_how_it_is_found() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    before, after = Seal(old), Seal(f"{new},{old}")
    sealed = before.seal("ana@shopper.test")
    assert after.open(sealed) == "ana@shopper.test"
    assert after.index("x") == before.index("x")
    turned = after.turn(sealed)
    with pytest.raises(ConfigurationError, match="a key that was in use is missing"):
        before.open(turned)
    with pytest.raises(ConfigurationError, match="not Fernet keys"):
        Seal("short")


def test_everything_that_is_sealed_is_sealed_anew_so_that_an_old_key_can_go(world: Shopping) -> None:
    base, middle, newest = PRIVACY_KEY, *(Fernet.generate_key().decode() for _ in range(2))
    with world.engine.begin() as connection:
        add_account(connection, "turned", "a turned card")
    world.run(
        "insert into identity_answer (operation, idempotency_key, store_id, key_hash, status, reason, response_body,"
        " raw_body, received_at) values ('SCAN', 'sealed', 'STORE-001', 'h', 200, 'x', :sealed, '{}', :at),"
        " ('SCAN', 'plain', 'STORE-001', 'h', 200, 'x', :plain, '{}', :at)",
        sealed=seal_of(settings()).seal("an answer").encode(), plain=b"{}", at=NOW,
    )  # fmt: skip
    first = turn_all(world.engine, Seal(f"{middle},{base}"))
    assert (first["loyalty_account"], first["scans' answers"]) == (1, 1)
    assert turn_all(world.engine, Seal(f"{newest},{middle},{base}")) == first
    kept = Seal(f"{newest},{base}")  # the middle one is gone
    assert turn_all(world.engine, Seal(f"{base},{newest}")) == first, "as it was, for the tests beside this one"
    (account,) = world.rows("select loyalty_id_sealed as sealed from loyalty_account")
    assert (kept.open(account["sealed"]), seal_of(settings()).open(account["sealed"])) == ("turned", "turned")
    world.run("delete from loyalty_account")
    world.run("delete from identity_answer")


@pytest.mark.parametrize(
    "wrong", ["", "ana", "a@b", "a b@c.test", "a@b.test,c@d.test", "x" * 120 + "@long.test", "a@b\n.test"]
)
def test_what_is_no_address_is_refused(world: Shopping, wrong: str) -> None:
    with pytest.raises(BackroomError, match="malformed"), world.engine.begin() as connection:
        contacts.keep(connection, world.seal, "SHOPPER", "ana", wrong, source="RETAILER", now=NOW)


def test_an_erased_shopper_is_found_nowhere_and_the_books_are_as_they_were(
    world: Shopping, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.shopper("person-to-erase", "gone@shopper.test")
    first, second = world.trip("person-to-erase"), world.trip("person-to-erase", card="card-to-erase")
    with world.engine.begin() as connection:
        add_account(connection, "loyalty-to-erase", "a card", "p", "person-to-erase")
    world.run(
        "insert into payment_instrument (shopper_id, processor, customer_token, method_token, brand, last_four,"
        " created_at) values ('person-to-erase', 'SANDBOX', 'cus-to-erase', 'pm-to-erase', 'VISA', '4242', :at)",
        at=NOW,
    )  # fmt: skip
    heard_of(world, "person-to-erase", "card-to-erase", second)
    fed_of(world, "card-to-erase", second)
    ask(world, "gone@shopper.test")
    ask(world, "gone@shopper.test")
    dag = dag_bag.dags["retention"]
    for task in dag.tasks:
        monkeypatch.setattr(task, "retries", 0)  # a failure is not waited for; other tests share the DAG
    before = everything(world.engine)
    assert dag.test(logical_date=NOW, run_conf={"dry_run": True}).state == "success"
    assert everything(world.engine) == before
    assert dag.test(logical_date=NOW + timedelta(seconds=1), run_conf={"dry_run": False}).state == "success"
    after = everything(world.engine)
    account = account_index(seal_of(settings()), "loyalty-to-erase")
    for name in ("person-to-erase", "card-to-erase", account, "cus-to-erase", "pm-to-erase", "'9876'"):
        assert (name in before, name in after) == (True, False), name
    for name in ("loyalty-to-erase", "gone@shopper"):
        assert name not in before, "sealed"
    rows = world.rows(
        "select shopper_id, total, raw_body from purchase where shopping_trip_id in (:a, :b)", a=first, b=second
    )
    assert {str(row["total"]) for row in rows} == {"12.3000"}
    assert len({row["shopper_id"] for row in rows}) == 1
    assert [row["raw_body"] for row in rows] == [{}, {}]
    (event,) = world.rows("select envelope -> 'detail' as detail from feed_event where detail_type = 'PAYMENT'")
    assert event["detail"] == {"shoppingTripId": second, "amount": {"amount": "12.30", "code": "USD"}}, "the books'"
    assert world.rows("select to_land from feed_file_day") == [{"to_land": True}], "its Parquet file is written anew"
    (entry,) = world.rows("select subject from audit_entry where action = 'shopper.erase'")
    assert entry["subject"].startswith("erased-")
    (answer,) = world.rows("select convert_from(response_body, 'UTF8') as said from gate_decision")
    assert json.loads(answer["said"]) == {"visitorDetails": {"id": entry["subject"], "type": "SHOPPER"}}


def heard_of(world: Shopping, shopper: str, card: str, trip: str) -> None:
    """What the gate, a scan, an authorization and a question about a trip leave of a person."""
    said = json.dumps({"visitorDetails": {"id": shopper, "type": "SHOPPER"}}).encode()
    values = {"shopper": shopper, "card": card, "trip": trip, "at": NOW - timedelta(days=2), "said": said,
              "raw": json.dumps({"owed_by": shopper, "of": card})}  # fmt: skip
    for statement in (
        "insert into gate_decision (auth_event_id, request_id, store_id, key_hash, auth_event_at, status, reason,"
        " shopper_id, response_body, raw_body, received_at) values (:trip, 'r', 'STORE-001', 'h', :at, 200, 'ADMITTED',"
        " :shopper, :said, cast(:raw as jsonb) - 'of', :at)",
        "insert into identity_answer (operation, idempotency_key, store_id, key_hash, status, reason, shopper_id,"
        " response_body, raw_body, received_at) values ('SCAN', :trip, 'STORE-001', 'h', 200, 'x', :shopper, :said,"
        " '{}', :at)",
        "insert into shopper_authorization (gate_authentication_event_id, shopping_trip_id, store_id, shopper_identity,"
        " risk_strategy, authorized, reason, body_hash, response_body, raw_body, received_at) values (:trip, :trip,"
        " 'STORE-001', :card, 'RETAILER_MANAGED', true, 'x', 'h', '', cast(:raw as jsonb), :at)",
        "insert into review_case (kind, subject, asked_by, question, known, choices, opened_at, decision, decided_by,"
        " decided_at) values ('OLD_DEBT', :trip, 'debts', '?', cast(:raw as jsonb) - 'of', '[]', :at, 'wait', 'sam',"
        " :at)",
    ):
        world.run(statement, **{name: value for name, value in values.items() if f":{name}" in statement})


def fed_of(world: Shopping, card: str, trip: str, *, at: datetime = NOW - timedelta(days=2)) -> None:
    """What Amazon's feeds tell of a trip and its card: events, an order, a row in quarantine."""
    amount = {"amount": "12.30", "code": "USD"}
    payment = {"shoppingTripId": trip, "amount": amount, "brand": "VISA", "cardLastFourDigits": "9876"}
    for number, (kind, of, detail) in enumerate(
        (("PAYMENT", trip, payment), ("SHOPPER", None, {"shopperIdentity": {"id": card}}))
    ):
        world.run(
            "insert into feed_event (event_id, detail_type, shopping_trip_id, happened_at, received_at, envelope)"
            " values (:id, :kind, :trip, :at, :at, cast(:said as jsonb))",
            id=f"{trip}-{number}", kind=kind, trip=of, at=at, said=json.dumps({"id": "e", "detail": detail}),
        )  # fmt: skip
    day, raw = at.date(), json.dumps({"shoppingTripId": trip, "cardLastFourDigits": "9876"})
    for statement in (
        "insert into amazon_order (store_id, order_id, shopping_trip_id, business_date, status, entry_method,"
        " trip_started_at, trip_ended_at, currency, order_total, authorized, captured, refunded, card_brand,"
        " card_last_four, updated_at, window_end, sequencer) values ('STORE-001', cast(:trip as text), :trip, :day,"
        " 'SETTLED', 'APP', :at, :at, 'USD', 1, 1, 1, 0, 'VISA', '9876', :at, :at, '')",
        "insert into feed_file (bucket, key, version, announced_at, state, received_at)"
        " values ('b', :trip, 'v', :at, 'INGESTED', :at)",
        "insert into feed_file_day (file_id, store_id, business_date, to_release, to_land)"
        " select file_id, 'STORE-001', :day, false, false from feed_file where key = :trip",
        "insert into feed_quarantine (file_id, line, reason, raw)"
        " select file_id, 2, 'x', cast(:raw as jsonb) from feed_file where key = :trip",
    ):
        values = {"trip": trip, "day": day, "at": at, "raw": raw}
        world.run(statement, **{name: value for name, value in values.items() if f":{name}" in statement})


def test_a_card_that_only_its_authorization_tells_is_told_of_held_for_its_visit_and_erased(world: Shopping) -> None:
    world.card_holder("card-heard-of", "heard@shopper.test")
    trip = world.trip(None)
    heard_of(world, "nobody-in-particular", "card-heard-of", trip)
    world.run(
        "insert into receipt_mail (shopping_trip_id, store_id, kind, state, asked_by, asked_at, address_sealed)"
        " values (:t, 'STORE-001', 'FIRST', 'SENT', 'x', :at, 'sealed')", t=trip, at=NOW,
    )  # fmt: skip
    with world.engine.connect() as connection:
        told = privacy.export(connection, world.seal, world.seal.index("heard@shopper.test"), now=NOW)
    assert [one["shopping_trip_id"] for one in told["trips"]] == [trip]
    assert [(one["card"], one["authorized"]) for one in told["card_authorizations"]] == [("card-heard-of", True)]
    ask(world, "heard@shopper.test")
    assert privacy.erase_asked(world.engine, now=NOW - timedelta(hours=30)) == {"HELD": 1}
    assert world.rows("select problem from privacy_request where state = 'HELD'") == [
        {"problem": "a visit may not be over"}
    ]
    assert privacy.erase_asked(world.engine, now=NOW) == {"DONE": 1}
    assert "card-heard-of" not in everything(world.engine)
    assert world.rows("select address_sealed from receipt_mail where shopping_trip_id = :t", t=trip) == [
        {"address_sealed": None}
    ]
    (card,) = world.rows(
        "select state, brand, tail, expiration_year from trip_card where shopping_trip_id = :t", t=trip
    )
    assert card == {"state": "NOT_TOLD", "brand": None, "tail": None, "expiration_year": None}


def test_erasure_waits_while_something_is_not_paid(world: Shopping) -> None:
    world.shopper("owing", "owing@shopper.test")
    trip = world.trip("owing", paid=False)
    ask(world, "owing@shopper.test")
    assert privacy.erase_asked(world.engine, now=NOW)["HELD"] == 1
    held = world.rows("select state, problem from privacy_request where state = 'HELD'")
    assert held == [{"state": "HELD", "problem": "something is not paid"}]
    world.run("update debt set paid = amount, state = 'PAID' where shopping_trip_id = :t", t=trip)
    assert privacy.erase_asked(world.engine, now=NOW)["DONE"] == 1
    assert "owing@" not in everything(world.engine)


def test_an_export_tells_all_that_is_kept_and_is_json(world: Shopping) -> None:
    trip = world.trip("bo")
    with world.engine.connect() as connection:
        told = privacy.export(connection, world.seal, world.seal.index("bo@shopper.test"), now=NOW)
    assert json.loads(json.dumps(told)) == told
    assert [one["shopping_trip_id"] for one in told["trips"]] == [trip]
    assert len(told["items"]) == 3
    assert told["cards"][0]["tail"] == "4242"
    assert told["addresses"][0]["address"] == "bo@shopper.test"


def test_what_is_kept_long_enough_goes_and_a_dry_run_counts_the_same(world: Shopping) -> None:
    long_ago = NOW - timedelta(days=500)
    old, owed, new = world.trip(at=long_ago), world.trip(at=long_ago, paid=False), world.trip()
    world.run("update trip_card set fetched_at = :at where shopping_trip_id in (:a, :b)", at=long_ago, a=old, b=owed)
    world.run("update trip_card set fetched_at = :at where shopping_trip_id = :c", at=NOW, c=new)
    world.run("insert into sign_in_link (language, asked_at) values ('en', :at)", at=NOW - timedelta(days=31))
    world.run("insert into sign_in_link (language, asked_at) values ('en', :at)", at=NOW)
    world.run("insert into rate_count values ('b', :at, 1)", at=NOW - timedelta(days=2))
    world.run(
        "insert into receipt_mail (shopping_trip_id, store_id, kind, state, asked_by, asked_at, address_sealed)"
        " values (:t, 'STORE-001', 'FIRST', 'SENT', 'x', :at, 'sealed')", t=old, at=long_ago,
    )  # fmt: skip
    world.run("update shopper_contact set added_at = :at where holder_kind = 'CARD'", at=long_ago)
    fed_of(world, "an-old-card", old, at=long_ago)
    fed_of(world, "a-new-card", new)
    counted = retention.apply(world.engine, settings(), now=NOW, dry_run=True)
    done = retention.apply(world.engine, settings(), now=NOW, dry_run=False)
    assert counted == done
    assert (done["cards of paid trips"], done["sign-in links"], done["addresses of cards not seen since"]) == (1, 1, 1)
    assert done["addresses of sent receipts"] == done["counted tries"] == 1
    feeds = ("Parquet files to write anew", "cards in orders of the feeds", "cards in events", "rows in quarantine")
    assert [done[what] for what in feeds] == [1, 1, 1, 1]
    assert world.rows("select shopping_trip_id from amazon_order where card_last_four = '9876'") == [
        {"shopping_trip_id": new}
    ]
    assert {row["shopping_trip_id"] for row in world.rows("select shopping_trip_id from trip_card")} >= {owed, new}
    assert set(retention.apply(world.engine, settings(), now=NOW, dry_run=True).values()) == {0}
    assert world.rows("select total from purchase where shopping_trip_id = :t", t=old) != []
