"""At the gate: what Amazon asks the retailer about a card and a loyalty card, and what it makes of the answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.jwo_sandbox.conftest import Retailer
from tests.sandbox_fixtures import SandboxClient

YES = {"shopperAuthorized": True, "authorizationConditions": [], "shopperRisks": []}
NO = {**YES, "shopperAuthorized": False, "shopperRisks": ["BadDebt"]}
Change = Callable[[dict[str, Any]], None]


def adjusted(value: str, currency: str = "USD") -> dict[str, Any]:
    amount = {"value": Decimal(value), "currencyCode": currency}
    return {**YES, "authorizationConditions": [{"type": "ADJUST", "amount": amount}]}


def scripts(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / "trips.jsonl").read_text().splitlines()]


def card_trips(world: Path, store_id: str) -> list[dict[str, Any]]:
    return [
        trip
        for trip in scripts(world)
        if trip["store_id"] == store_id and trip["entries"][0]["method"] == "FINANCIAL" and not trip["repeat"]["gate"]
    ]


def altered(world: Path, folder: Path, changes: dict[str, Change], strategies: dict[str, str] | None = None) -> Path:
    """A copy of a world in which some trips, by id, or the stores' risk strategies are others."""
    shutil.copytree(world, folder)
    made = scripts(folder)
    for trip in made:
        changes.get(trip["shopping_trip_id"], lambda _: None)(trip)
    (folder / "trips.jsonl").write_text("".join(json.dumps(trip) + "\n" for trip in made))
    stores = json.loads((folder / "stores.json").read_text())
    for store in stores:
        store["risk_strategy"] = (strategies or {}).get(store["store_id"], store["risk_strategy"])
    (folder / "stores.json").write_text(json.dumps(stores))
    return folder


def play(
    sandbox: SandboxClient, world: Path, retailer: Retailer, answers: dict[str, list[tuple[int, Any]]]
) -> dict[str, dict[str, Any]]:
    """The books after the day, by trip."""
    retailer.forget()
    retailer.learn(world)
    retailer.card_answers.update(answers)
    for account in json.loads((world / "loyalty.json").read_text()):
        retailer.loyalty[account["key"]] = account
    sandbox.post("/sandbox/load", {"world": str(world), "seed": 7})
    sandbox.post("/sandbox/advance", {"until": "2026-11-24T12:00:00Z"})
    return {trip["shopping_trip_id"]: trip for trip in sandbox.get("/sandbox/books")["trips"]}


PLAN: dict[str, list[tuple[int, Any]]] = {
    "admitted": [(200, YES)],
    "refused": [(200, NO)],
    "reduced": [(200, adjusted("40.00"))],
    "raised": [(200, adjusted("400.00"))],
    "not configured": [(404, {"errorMsg": "storeId: no connector"})],
    "down": [(500, {}), (503, {}), (503, {})],
    "down for a moment": [(503, {}), (200, NO)],
    "malformed": [(400, {"errorMsg": "storeId: required"})],
    "not understood": [(200, {"shopperAuthorized": "yes", "authorizationConditions": []})],
    "of another currency": [(200, adjusted("40.00", "EUR"))],
}


@pytest.fixture(scope="module")
def day(sandbox: SandboxClient, fileless_world: Path, retailer: Retailer) -> dict[str, Any]:
    """The day with each answer of PLAN to one trip of STORE-001; its books by the name of the answer."""
    trips = [trip["shopping_trip_id"] for trip in card_trips(fileless_world, "STORE-001")][: len(PLAN)]
    assert len(trips) == len(PLAN)
    named = dict(zip(PLAN, trips, strict=True))
    books = play(sandbox, fileless_world, retailer, {named[name]: list(answers) for name, answers in PLAN.items()})
    return {"ids": named, "books": books, **{name: books.get(trip) for name, trip in named.items()}}


def test_a_card_that_the_retailer_refuses_keeps_the_gate_closed(day: dict[str, Any], retailer: Retailer) -> None:
    for name in ("refused", "down for a moment"):
        assert day[name] is None, "there is no trip"
        assert day["ids"][name] not in {call["idempotentShoppingTripId"] for call in retailer.purchases}


@pytest.mark.parametrize(
    ("name", "decided_by", "answers"),
    [
        ("admitted", "RETAILER", [200]),
        ("raised", "RETAILER", [200]),
        ("not configured", "AMAZON", [404]),
        ("down", "STORE_DEFAULT", [503]),
        ("malformed", "STORE_DEFAULT", [400]),
        ("not understood", "STORE_DEFAULT", [200]),
        ("of another currency", "STORE_DEFAULT", [200]),
    ],
)
def test_the_gate_opens_and_the_books_say_who_decided(
    day: dict[str, Any], name: str, decided_by: str, answers: list[int]
) -> None:
    [kept] = day[name]["shopper_authorizations"]
    assert (kept["admitted"], kept["decided_by"], kept["answers"]) == (True, decided_by, answers)
    assert day[name]["held"] == "75.00", "never more than the store's pre-authorization"


def test_a_5xx_is_tried_again_a_few_times(day: dict[str, Any], retailer: Retailer) -> None:
    asked = [call["shopperInteraction"]["shoppingTripId"] for call in retailer.card_calls]
    assert asked.count(day["ids"]["down"]) == 3
    assert asked.count(day["ids"]["down for a moment"]) == 2


def test_a_reduced_amount_is_what_is_held(day: dict[str, Any]) -> None:
    assert day["reduced"]["held"] == "40.00"
    assert day["reduced"]["shopper_authorizations"][0]["amount"] == "40.00"


def test_the_call_is_as_the_interface_page_has_it(day: dict[str, Any], retailer: Retailer, small_world: Path) -> None:
    trip_id = day["ids"]["admitted"]
    [call] = [one for one in retailer.card_calls if one["shopperInteraction"]["shoppingTripId"] == trip_id]
    [script] = [one for one in scripts(small_world) if one["shopping_trip_id"] == trip_id]
    [sent] = [one for one in retailer.purchases if one["idempotentShoppingTripId"] == trip_id]
    assert call["storeId"] == "STORE-001"
    assert call["authorizedAmount"] == {"value": Decimal("75.00"), "currencyCode": "USD"}
    assert call["shopperIdentity"] == sent["shopperIdentity"]
    event = call["shopperInteraction"]["gateAuthenticationEvent"]
    assert event.pop("data") == {}
    entry = script["entries"][0]
    assert event == {
        "id": entry["id"],
        "type": "CREDIT_CARD",
        "interactionType": "TAP",
        "timestamp": entry["at"],
        "location": "ENTRY",
    }
    recommended = {"shopperAuthorized": True, "authorizationConditions": [], "shopperRisks": []}
    assert call["shopperInteraction"]["recommendation"] == recommended


def test_only_stores_that_do_not_leave_it_to_amazon_are_asked(day: dict[str, Any], retailer: Retailer) -> None:
    assert {call["storeId"] for call in retailer.card_calls} == {"STORE-001"}
    for trip in day["books"].values():
        if trip["store_id"] == "STORE-002":
            assert trip["shopper_authorizations"] == []


def test_the_summary_counts_cards(day: dict[str, Any], sandbox: SandboxClient) -> None:
    counted = sandbox.get("/sandbox/summary")["shopper_authorizations"]
    assert counted["refused"] == 2
    assert counted["reduced"] == 1
    assert counted["decided_by"]["STORE_DEFAULT"] == 4
    assert sum(counted["decided_by"].values()) == counted["admitted"] + counted["refused"]


def test_a_loyalty_card_is_scanned_and_its_result_goes_into_the_trip(
    day: dict[str, Any], retailer: Retailer, small_world: Path
) -> None:
    cards = {one["shopping_trip_id"]: one["loyalty"] for one in scripts(small_world) if "loyalty" in one}
    assert len(cards) == len(retailer.scans) == 4
    sent = {call["idempotentShoppingTripId"]: call["shoppingTrip"]["authEvents"] for call in retailer.purchases}
    seen = set()
    for trip_id, card in cards.items():
        [kept] = day["books"][trip_id]["loyalty_scans"]
        results = [event["scanResult"] for event in sent[trip_id] if "scanResult" in event]
        loyalty = [result for result in results if result["type"] == "LOYALTY"]
        if card["key"] not in retailer.loyalty:
            assert (kept["action"], loyalty) == ("REJECT", [])
            continue
        account = retailer.loyalty[card["key"]]
        assert loyalty == [{"id": account["loyalty_id"], "type": "LOYALTY"}]
        assert (kept["provider"], kept["promotion_ids"]) == (account["provider"], account["promotion_ids"])
        by_card = day["books"][trip_id]["entry_method"] == "CREDIT_CARD"
        seen.add(by_card)
        assert [event["payloadType"] for event in sent[trip_id]] == (["FINANCIAL"] if by_card else ["SCAN_CODE"] * 2)
    assert seen == {True, False}


def test_a_members_price_is_for_trips_that_showed_a_card_and_for_the_members_own(
    day: dict[str, Any], small_world: Path
) -> None:
    accounts = json.loads((small_world / "loyalty.json").read_text())
    members, [promotion_id] = {one.get("shopper_id") for one in accounts} - {None}, accounts[0]["promotion_ids"]
    reduced = {
        trip_id
        for trip_id, trip in day["books"].items()
        for line in trip["lines"]
        if promotion_id in [taken["promotion_id"] for taken in line["promotions"]]
    }
    shown = {
        trip_id
        for trip_id, trip in day["books"].items()
        if any(scan["loyalty_id"] for scan in trip["loyalty_scans"]) or trip["shopper_id"] in members
    }
    assert reduced
    assert reduced <= shown


def test_another_entry_still_opens_the_gate_for_a_refused_card(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer, tmp_path: Path
) -> None:
    first, second, third = card_trips(fileless_world, "STORE-001")[:3]
    key = next(one["keys"][0] for one in json.loads((fileless_world / "shoppers.json").read_text()) if one["keys"])

    def then_by_app(trip: dict[str, Any]) -> None:
        trip["entries"].append(
            {**trip["entries"][0], "id": trip["shopping_trip_id"], "method": "SCAN_CODE", "key": key}
        )

    def app_first(trip: dict[str, Any]) -> None:
        """A key that nobody knows, then the card."""
        trip["then_card"] = trip["entries"][0]
        unknown = {**trip["entries"][0], "id": trip["shopping_trip_id"], "method": "SCAN_CODE", "key": "nobody's"}
        trip["entries"] = [unknown]

    changes = {first["shopping_trip_id"]: then_by_app}
    changes |= dict.fromkeys((second["shopping_trip_id"], third["shopping_trip_id"]), app_first)
    world = altered(fileless_world, tmp_path / "world", changes)
    answers = {
        first["shopping_trip_id"]: [(200, NO)],
        second["shopping_trip_id"]: [(200, NO)],
        third["shopping_trip_id"]: [(200, adjusted("10.00"))],
    }
    books = play(sandbox, world, retailer, answers)
    sent = {call["idempotentShoppingTripId"]: call["shoppingTrip"]["authEvents"] for call in retailer.purchases}
    assert books[first["shopping_trip_id"]]["entry_method"] == "APP"
    assert [event["payloadType"] for event in sent[first["shopping_trip_id"]]] == ["SCAN_CODE"]
    assert second["shopping_trip_id"] not in books
    opened = books[third["shopping_trip_id"]]
    assert (opened["entry_method"], opened["held"], opened["gate_answers"]) == ("CREDIT_CARD", "10.00", [401])
    assert [event["payloadType"] for event in sent[third["shopping_trip_id"]]] == ["SCAN_CODE", "FINANCIAL"]


def test_amazons_own_recommendation_is_sent_and_holds_where_nobody_overrides_it(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer, tmp_path: Path
) -> None:
    here = card_trips(fileless_world, "STORE-001")[:2]
    there = card_trips(fileless_world, "STORE-002")[:2]

    def risky(trip: dict[str, Any]) -> None:
        trip["entries"][0]["recommendation"] = {"authorized": False, "amount": "20.00", "risks": ["InvalidCard"]}

    ids = [trip["shopping_trip_id"] for trip in (*here, *there)]
    strategies = {"STORE-001": "AMAZON_RECOMMENDATION", "STORE-002": "NONE"}
    world = altered(fileless_world, tmp_path / "world", dict.fromkeys(ids[:3], risky), strategies)
    books = play(sandbox, world, retailer, {ids[0]: [(200, YES)]})
    assert ids[0] in books, "the retailer overrides it"
    assert ids[1] not in books, "404: Amazon's own decision"
    assert ids[2] not in books, "never asked: Amazon's own decision"
    assert ids[3] in books
    [call] = [one for one in retailer.card_calls if one["shopperInteraction"]["shoppingTripId"] == ids[0]]
    assert call["shopperInteraction"]["recommendation"] == {
        "shopperAuthorized": False,
        "authorizationConditions": [{"type": "ADJUST", "amount": {"value": Decimal("20.00"), "currencyCode": "USD"}}],
        "shopperRisks": ["InvalidCard"],
    }


def test_a_repeated_call_about_a_card_must_get_the_same_answer(
    sandbox: SandboxClient, fileless_world: Path, retailer: Retailer, tmp_path: Path
) -> None:
    trip_id = card_trips(fileless_world, "STORE-001")[0]["shopping_trip_id"]

    def twice(trip: dict[str, Any]) -> None:
        trip["repeat"]["gate"] = "TWICE"

    world = altered(fileless_world, tmp_path / "world", {trip_id: twice})
    books = play(sandbox, world, retailer, {trip_id: [(200, YES), (200, NO)]})
    assert books[trip_id]["shopper_authorizations"][0]["answers"] == [200, 200]
    assert trip_id in sandbox.get("/sandbox/summary")["answers_that_differ"]
