"""A refused cart waits with its body until it is taken after all, comes again, or is dismissed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.errors import BackroomError
from backroom.purchases import refused_carts
from backroom.purchases.kept_bodies import as_it_came, to_keep, to_show
from backroom.purchases.refusals import keep_refused_cart, settle_sent_again, trip_id_in, without_card_numbers
from backroom.settings import settings
from backroom.shoppers.sealing import seal_of
from backroom.shoppers.turning import turn_all
from tests.connector_app.conftest import MISSING, cart_body, changed, line
from tests.purchases.bad_cart_world import ENDED, LATER, Shop

CARD = "4111111111111111"


@pytest.fixture
def shop(database: Engine) -> Shop:
    return Shop.opened(database)


def body_of(shop: Shop, **changes: Any) -> dict[str, Any]:
    return cart_body(line("MILK"), line("SOAP", "2"), storeId=shop.store_id, **changes)


def keep(shop: Shop, body: dict[str, Any] | bytes, *, status: int = 400, reason: str = "requestId: required") -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with shop.engine.begin() as connection:
        keep_refused_cart(connection, status=status, reason=reason, body=raw, now=ENDED)
    return int(shop.rows("select max(refused_id) from refused_cart")[0][0])


def retry(shop: Shop, refused_id: int, by: str = "kim") -> refused_carts.Retried:
    with shop.engine.begin() as connection:
        return refused_carts.retry(connection, refused_id, by=by, now=LATER, new_id=lambda: f"P-{refused_id}")


def settled(shop: Shop, refused_id: int) -> tuple[Any, ...]:
    return shop.rows(
        "select outcome, settled_by, settled_at, reason from refused_cart where refused_id = :id", id=refused_id
    )[0]


def test_a_cart_that_today_s_rules_take_is_recorded_as_the_connector_would(shop: Shop) -> None:
    body = body_of(shop)
    refused_id = keep(shop, body)
    trip = body["idempotentShoppingTripId"]
    assert retry(shop, refused_id) == refused_carts.Retried("TAKEN", trip, "PRICED")
    assert shop.stands(trip) == ("PRICED", Decimal("8.60"), Decimal("8.60"))
    assert settled(shop, refused_id)[:3] == ("TAKEN", "kim", LATER)
    [(actor, reason)] = shop.rows("select actor, reason from audit_entry where subject = :trip", trip=trip)
    assert (actor, reason) == ("kim", "TAKEN: PRICED")
    with pytest.raises(BackroomError, match=f"refused cart {refused_id} is settled: TAKEN by kim"):
        retry(shop, refused_id)


def test_a_cart_with_an_unknown_product_is_taken_as_a_bad_cart(shop: Shop) -> None:
    body = cart_body(line("STRANGE"), storeId=shop.store_id)
    assert retry(shop, keep(shop, body)).reason == "BAD_CART"
    assert shop.cases(body["idempotentShoppingTripId"]) == [(None, None)]


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("requestId", MISSING, "requestId: required"),
        ("cartItems.0.quantity.value", "-1", "cartItems[0].quantity.value: not a plain decimal number such as 1.5"),
        ("cartItems.0.quantity.value", 1, "cartItems[0].quantity.value: Input should be a valid string"),
        ("storeId", "NOBODYS", "storeId: not a store of ours"),
        ("anything", "a\0b", "body: a string holds NUL or an unpaired surrogate"),
        ("anything", "\ud800", "body: a string holds NUL or an unpaired surrogate"),
    ],
)
def test_a_cart_that_is_still_wrong_waits_on_with_the_new_reason(
    shop: Shop, path: str, value: Any, reason: str
) -> None:
    refused_id = keep(shop, changed(body_of(shop), path, value), reason="an older rule")
    assert retry(shop, refused_id) == refused_carts.Retried("REFUSED", _trip(shop, refused_id), reason)
    assert settled(shop, refused_id) == (None, None, None, reason)
    [(audited,)] = shop.rows("select reason from audit_entry where subject = :trip", trip=_trip(shop, refused_id))
    assert audited == f"still refused: {reason}"


def _trip(shop: Shop, refused_id: int) -> str:
    return str(shop.rows("select shopping_trip_id from refused_cart where refused_id = :id", id=refused_id)[0][0])


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "body: not JSON"),
        (b"\xff\xfe", 400, "body: not JSON"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", 400, "body: nested too deeply"),
        (b"[" * 100_000, 400, "body: not JSON"),
        (b"[]", 400, "body: Input should be a valid dictionary or instance of PurchasesRequest"),
        (b'{"requestId": ', 413, "body: not JSON; it was larger than the limit, and only its beginning was kept"),
    ],
)
def test_a_body_that_is_no_cart_is_kept_as_it_came(shop: Shop, body: bytes, status: int, reason: str) -> None:
    refused_id = keep(shop, body, status=status)
    assert retry(shop, refused_id).reason.startswith(reason)
    [(kept,)] = shop.rows("select body from refused_cart where refused_id = :id", id=refused_id)
    assert bytes(kept) == body


def test_a_number_that_is_out_of_range_is_a_refusal_and_no_crash(shop: Shop) -> None:
    body = json.dumps(body_of(shop)).encode()[:-1] + b', "extra": 1e999999}'
    done = retry(shop, keep(shop, body))
    assert (done.outcome, done.reason) == ("REFUSED", "body: a number is out of range")


def test_card_numbers_are_taken_out_but_not_out_of_amazons_identifiers(shop: Shop) -> None:
    body = body_of(shop, idempotentShoppingTripId=CARD, note=f"card {CARD}", paymentSource={"id": CARD})
    refused_id = keep(shop, body)
    [(kept, trip)] = shop.rows("select body, shopping_trip_id from refused_cart where refused_id = :id", id=refused_id)
    assert bytes(kept).count(CARD.encode()) == 1
    assert json.loads(kept)["paymentSource"]["id"] == "[card number removed]"
    assert trip == CARD
    assert retry(shop, refused_id).outcome == "TAKEN"


def test_a_body_without_card_numbers_stays_as_it_is_and_a_broken_one_loses_them(shop: Shop) -> None:
    plain = b'{ "a" : 1.50, "b": "4111111111111112" }'
    assert without_card_numbers(plain) == plain
    assert without_card_numbers(b'{"a": 1.50, "b": "' + CARD.encode() + b'"}').startswith(b'{"a":1.50,')
    broken = b'{"idempotentShoppingTripId": "' + CARD.encode() + b'", "x": '
    assert CARD.encode() not in without_card_numbers(broken)
    refused_id = keep(shop, broken + b'"y"}')
    assert retry(shop, refused_id).outcome == "REFUSED"


def test_a_trip_whose_id_was_taken_for_a_card_number_is_not_recorded_under_another(shop: Shop) -> None:
    body = body_of(shop, idempotentShoppingTripId="[card number removed]")
    assert "taken for a card number" in retry(shop, keep(shop, body)).reason


@pytest.mark.parametrize(
    ("body", "trip"),
    [
        (b'{"idempotentShoppingTripId" : "T-1", "x', "T-1"),
        (b'{"idempotentShoppingTripId": ""}', None),
        (b'{"idempotentShoppingTripId": 5}', None),
        (b'{"idempotentShoppingTripId": "' + b"x" * 256 + b'"}', None),
        (b'{"idempotentShoppingTripId": "\xff"}', None),
        (b"", None),
    ],
)
def test_the_trips_id_is_read_from_whatever_came(body: bytes, trip: str | None) -> None:
    assert trip_id_in(body) == trip


def test_a_cart_whose_trip_was_recorded_later_is_settled_by_that(shop: Shop) -> None:
    shop.do("delete from refused_cart")
    body = body_of(shop)
    trip = body["idempotentShoppingTripId"]
    first, second = keep(shop, body), keep(shop, body, status=503, reason="service: unavailable")
    other = keep(shop, body_of(shop))
    assert retry(shop, first).outcome == "TAKEN"
    late = keep(shop, body)
    shop.do("update refused_cart set received_at = :at where refused_id = :id", at=LATER + timedelta(1), id=late)
    with shop.engine.begin() as connection:
        assert settle_sent_again(connection, now=LATER) == 1
        assert settle_sent_again(connection, now=LATER) == 0
    assert settled(shop, second)[:2] == ("SENT_AGAIN", "charge_lifecycle")
    assert [settled(shop, waiting)[0] for waiting in (other, late)] == [None, None]
    assert retry(shop, late) == refused_carts.Retried("SENT_AGAIN", trip, "REPEATED")


def test_a_copy_that_was_turned_away_unread_is_settled_also_after_its_trip_and_other_refusals_are_not(
    shop: Shop,
) -> None:
    shop.do("delete from refused_cart")
    body = body_of(shop)
    retry(shop, keep(shop, body))
    after = {status: keep(shop, body, status=status, reason="service: at capacity") for status in (400, 413, 503)}
    shop.do("update refused_cart set received_at = :at where settled_at is null", at=LATER + timedelta(hours=1))
    with shop.engine.begin() as connection:
        assert settle_sent_again(connection, now=LATER + timedelta(hours=2)) == 1
    assert {status: settled(shop, waiting)[0] for status, waiting in after.items()} == {
        400: None, 413: None, 503: "SENT_AGAIN",
    }  # fmt: skip


def test_another_cart_of_a_recorded_trip_changes_nothing_and_asks_a_person(shop: Shop) -> None:
    body = body_of(shop)
    retry(shop, keep(shop, body))
    other = keep(shop, {**body, "cartItems": [line("HAM", "1", "kg")]})
    assert retry(shop, other).reason == "DIFFERENT_CART"
    assert settled(shop, other)[0] == "SENT_AGAIN"
    assert shop.stands(body["idempotentShoppingTripId"])[1] == Decimal("8.60")
    assert shop.rows("select kind from review_case where subject = :trip", trip=body["idempotentShoppingTripId"]) == [
        ("DIFFERENT_CART",)
    ]


def test_of_two_who_retry_at_once_one_takes_the_cart(shop: Shop) -> None:
    start = threading.Barrier(2)

    def attempt(refused_id: int, who: str) -> str:
        start.wait()
        try:
            return retry(shop, refused_id, by=who).outcome
        except BackroomError as error:
            return str(error)

    body = body_of(shop)
    refused_id = keep(shop, body)
    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(attempt, [refused_id] * 2, ["kim", "lee"]))
    assert said[0] == "TAKEN"
    assert "is settled: TAKEN by" in said[1]
    trip = body["idempotentShoppingTripId"]
    assert len(shop.rows("select * from charge where shopping_trip_id = :trip", trip=trip)) == 1


def test_one_alert_counts_all_carts_that_were_refused_for_the_same_field(shop: Shop) -> None:
    shop.do("delete from alert")
    for number in (0, 7, 12):
        keep(shop, body_of(shop), reason=f"cartItems[{number}].id: required")
    [(times, title)] = shop.rows("select times, title from alert")
    assert (times, title) == (3, "A cart was refused with 400: cartItems[12].id: required")


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(["carts"]), ["carts", "refused", *arguments])
    return (2, str(done.exception)) if isinstance(done.exception, BackroomError) else (done.exit_code, done.output)


def test_the_commands_list_show_retry_and_dismiss(shop: Shop) -> None:
    shop.do("delete from refused_cart")
    body = body_of(shop)
    trip = body["idempotentShoppingTripId"]
    good, bad = keep(shop, body), keep(shop, {"idempotentShoppingTripId": "T-9"})
    listed = json.loads(run("list", "--json")[1])
    assert [(row["refused_id"], row["shopping_trip_id"], row["status"]) for row in listed] == [
        (good, trip, 400), (bad, "T-9", 400),
    ]  # fmt: skip
    code, output = run("show", str(good))
    assert code == 0
    assert json.loads(output.splitlines()[-1]) == body
    assert run("retry", str(bad)) == (1, f"refused cart {bad} is still refused: requestId: required\n")
    assert run("retry", str(good), "--by", "kim") == (0, f"refused cart {good}: TAKEN, trip {trip} (PRICED)\n")
    assert run("dismiss", str(bad), "--reason", f"a test of {CARD}") == (0, f"refused cart {bad}: DISMISSED\n")
    assert CARD not in str(shop.rows("select * from audit_entry where subject = 'T-9'"))
    assert json.loads(run("list", "--json")[1]) == []
    assert [row["outcome"] for row in json.loads(run("list", "--all", "--json")[1])] == ["TAKEN", "DISMISSED"]
    assert "DISMISSED" in run("show", str(bad))[1]
    assert run("dismiss", str(bad), "--reason", "again")[0] == 2
    assert run("retry", "999999") == (2, "there is no refused cart 999999; `backroom carts refused list` shows them")


def test_a_refused_cart_that_names_a_loyalty_account_is_sealed_and_taken_as_it_came(shop: Shop) -> None:
    body = body_of(shop)
    card = {"id": body["requestId"], "payloadType": "SCAN_CODE", "scanResult": {"id": "gold-of-ana", "type": "LOYALTY"}}
    body["shoppingTrip"]["authEvents"].append(card)
    refused_id = keep(shop, body)
    [(kept,)] = shop.rows("select body from refused_cart where refused_id = :id", id=refused_id)
    assert b"gold-of-ana" not in bytes(kept)
    assert "gold-of-ana" in run("show", str(refused_id))[1]
    turn_all(shop.engine, seal_of(settings()))
    [(turned,)] = shop.rows("select body from refused_cart where refused_id = :id", id=refused_id)
    assert bytes(turned) != bytes(kept)
    assert retry(shop, refused_id).outcome == "TAKEN"


@pytest.mark.parametrize("body", [b"", b"\x00\xff LOYALTY \xc3\x28", b'{"a": "\\u004cOYALTY"}', b'{"plain": 1}'])
def test_a_kept_body_comes_back_byte_for_byte(body: bytes) -> None:
    assert as_it_came(to_keep(body)) == body
    assert to_keep(body).startswith(b"sealed ") is (b"OYALTY" in body)


def test_a_sealed_body_without_its_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = to_keep(b"LOYALTY")
    monkeypatch.setenv("BACKROOM_PRIVACY_KEYS", "")
    settings.cache_clear()
    try:
        assert "BACKROOM_PRIVACY_KEYS is not set" in to_show(kept)
        assert to_keep(b"LOYALTY") == b"LOYALTY"
    finally:
        monkeypatch.undo()
        settings.cache_clear()
