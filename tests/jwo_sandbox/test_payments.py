"""The payment service, over HTTP: every operation, every rule of its bodies, every fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from jwo_sandbox import exact_json
from tests.jwo_sandbox.conftest import Amazon
from tests.sandbox_fixtures import SandboxClient

ADJUST, CAPTURE, CANCEL = "/v1/adjust/charge", "/v1/capture/charge", "/v1/cancel/charge"
START = "2026-11-23T18:00:00Z"


@pytest.fixture
def trip(sandbox: SandboxClient, fileless_world: Path) -> Callable[..., str]:
    """A live trip at STORE-001 in a world with these faults, or in the world as it is."""

    def _trip(faults: Any = "none", *, load: bool = True, store: str = "STORE-001") -> str:
        if load:
            sandbox.post("/sandbox/load", {"world": str(fileless_world), "seed": 1, "faults": faults})
            sandbox.post("/sandbox/clock", {"now": START})
        return str(sandbox.post("/sandbox/trips", {"store_id": store})["shoppingTripId"])

    return _trip


def charge(trip_id: str, total: str = "15.90", **changes: Any) -> dict[str, Any]:
    body = {"storeId": "STORE-001", "shoppingTripId": trip_id, "amount": {"amount": Decimal(total), "code": "USD"}}
    return {**body, **changes}


def book(sandbox: SandboxClient, trip_id: str) -> dict[str, Any]:
    trips = sandbox.get("/sandbox/books")["trips"]
    return next(one for one in trips if one["shopping_trip_id"] == trip_id)


def test_a_live_trip_holds_the_preauthorization(sandbox: SandboxClient, trip: Callable[..., str]) -> None:
    assert book(sandbox, trip())["authorized"] == "75.00"


def test_an_adjustment_sets_the_total_and_answers_the_exact_number(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    answer = amazon.call(ADJUST, charge(trip_id))
    assert answer.text == '{"status":"APPROVED","authorizedAmount":{"amount":15.90,"code":"USD"}}'
    assert amazon.call(ADJUST, charge(trip_id, "20.00")).status_code == 200
    kept = book(sandbox, trip_id)
    assert (kept["authorized"], kept["order_status"]) == ("20.00", "OPEN")
    assert kept["updated_at"] > START


def test_a_capture_is_initiated_and_becomes_final_twenty_minutes_later(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    amazon.call(ADJUST, charge(trip_id))
    answer = amazon.call(CAPTURE, charge(trip_id))
    assert (answer.status_code, answer.content) == (200, b"")
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T18:19:59Z"})
    assert (book(sandbox, trip_id)["order_status"], book(sandbox, trip_id)["captured"]) == ("OPEN", "0.00")
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T18:20:00Z"})
    kept = book(sandbox, trip_id)
    assert (kept["order_status"], kept["captured"], kept["capture_count"]) == ("SETTLED", "15.90", 1)
    assert kept["updated_at"] == "2026-11-23T18:20:00Z"


def test_a_cancel_ends_the_hold_and_may_be_repeated(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    body = {"storeId": "STORE-001", "shoppingTripId": trip_id}
    assert [amazon.call(CANCEL, body).status_code for _ in range(2)] == [200, 200]
    kept = book(sandbox, trip_id)
    assert (kept["order_status"], kept["cancelled"], kept["authorized"]) == ("CANCELLED", True, "0.00")


@pytest.mark.parametrize(
    "changes",
    [
        {"storeId": ""},
        {"storeId": None},
        {"storeId": "STORE-404"},
        {"storeId": "x" * 256},
        {"shoppingTripId": "a b"},
        {"shoppingTripId": 7},
        {"amount": {"amount": "15.90", "code": "USD"}},
        {"amount": {"amount": Decimal("15.901"), "code": "USD"}},
        {"amount": {"amount": Decimal("-1"), "code": "USD"}},
        {"amount": {"amount": True, "code": "USD"}},
        {"amount": {"amount": Decimal("15.90"), "code": "usd"}},
        {"amount": {"amount": Decimal("15.90"), "code": "EUR"}},
        {"amount": None},
    ],
)
def test_a_body_that_breaks_the_rules_is_a_bad_request(
    trip: Callable[..., str], amazon: Amazon, changes: dict[str, Any]
) -> None:
    answer = amazon.call(ADJUST, charge(trip(load=False), **changes))
    assert (answer.status_code, answer.json()) == (400, {"errorMsg": "BadRequestException"})


def test_a_body_that_is_not_json_is_a_bad_request(amazon: Amazon) -> None:
    assert amazon.call(ADJUST, b"{").json() == {"errorMsg": "BadRequestException"}
    assert amazon.call(ADJUST, b"[]").status_code == 400
    assert amazon.call(ADJUST, b'{"storeId": NaN}').status_code == 400


@pytest.mark.parametrize("amount", ["0", "75.01"])
def test_a_capture_of_nothing_or_of_more_than_is_held_is_refused(
    trip: Callable[..., str], amazon: Amazon, amount: str
) -> None:
    assert amazon.call(CAPTURE, charge(trip(), amount)).status_code == 400


def test_unknown_attributes_are_ignored(trip: Callable[..., str], amazon: Amazon) -> None:
    assert amazon.call(ADJUST, charge(trip(), somethingNew={"a": 1})).status_code == 200


def test_a_trip_is_known_only_at_its_own_store(trip: Callable[..., str], amazon: Amazon) -> None:
    unknown = {"errorMsg": "UnknownShoppingTrip"}
    assert amazon.call(ADJUST, charge(trip(), storeId="STORE-002")).json() == unknown
    assert amazon.call(ADJUST, charge("nobody")).json() == unknown


def test_the_token_expires_after_46_hours(sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon) -> None:
    trip_id = trip()
    sandbox.post("/sandbox/clock", {"now": "2026-11-25T15:59:59Z"})
    assert amazon.call(ADJUST, charge(trip_id)).status_code == 200
    sandbox.post("/sandbox/clock", {"now": "2026-11-25T16:00:00Z"})
    answer = amazon.call(CAPTURE, charge(trip_id))
    assert (answer.status_code, answer.json()) == (400, {"errorMsg": "ShoppingTripExpiredException"})


def test_a_signature_that_is_wrong_missing_or_old_is_forbidden(trip: Callable[..., str], amazon: Amazon) -> None:
    trip_id = trip()
    assert amazon.call(ADJUST, charge(trip_id), secret="another").status_code == 403
    assert httpx.post(f"{amazon.url}{ADJUST}", content=exact_json.dumps(charge(trip_id))).status_code == 403


@pytest.mark.parametrize(("kind", "status"), [("THROTTLED", 429), ("SERVER_ERROR", 500), ("UNAVAILABLE", 503)])
def test_a_fault_before_the_effect_changes_nothing_and_befalls_one_attempt(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon, kind: str, status: int
) -> None:
    trip_id = trip({"rates": {"adjust": {kind: 1.0}}, "retry_after_seconds": 3})
    answer = amazon.call(ADJUST, charge(trip_id))
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)
    assert book(sandbox, trip_id)["authorized"] == "75.00"
    assert amazon.call(ADJUST, charge(trip_id)).json()["status"] == "APPROVED"


def test_a_line_cut_after_the_effect_leaves_the_effect(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"capture": {"DROPPED_AFTER": 1.0}}})
    with pytest.raises(httpx.TransportError):
        amazon.call(CAPTURE, charge(trip_id))
    assert book(sandbox, trip_id)["capture_count"] == 1


def test_a_line_cut_before_the_effect_leaves_nothing(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"capture": {"DROPPED_BEFORE": 1.0}}})
    with pytest.raises(httpx.TransportError):
        amazon.call(CAPTURE, charge(trip_id))
    assert book(sandbox, trip_id)["capture_count"] == 0


def test_a_call_that_hangs_has_had_its_effect(sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon) -> None:
    trip_id = trip({"rates": {"adjust": {"HANGS_AFTER": 1.0}}})
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        amazon.call(ADJUST, charge(trip_id), timeout=0.5)
    assert time.monotonic() - began < 3
    assert book(sandbox, trip_id)["authorized"] == "15.90"


def test_a_declined_adjustment_authorizes_nothing_and_stays_declined(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"adjust": {"DECLINED": 1.0}}})
    for _ in range(2):
        answer = amazon.call(ADJUST, charge(trip_id))
        assert answer.text == '{"status":"DECLINED","authorizedAmount":{"amount":0.00,"code":"USD"}}'
    kept = book(sandbox, trip_id)
    assert (kept["authorized"], kept["held"], kept["declined"]) == ("0.00", "75.00", True)


def test_a_card_declined_once_is_approved_at_the_next_try(trip: Callable[..., str], amazon: Amazon) -> None:
    trip_id = trip({"rates": {"adjust": {"DECLINED_ONCE": 1.0}}})
    assert [amazon.call(ADJUST, charge(trip_id)).json()["status"] for _ in range(2)] == ["DECLINED", "APPROVED"]


def test_a_partial_approval_holds_less_than_was_asked(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"adjust": {"PARTIAL": 1.0}}})
    assert exact_json.loads(amazon.call(ADJUST, charge(trip_id)).text)["authorizedAmount"]["amount"] == Decimal("7.95")
    assert amazon.call(CAPTURE, charge(trip_id)).status_code == 400
    assert amazon.call(CAPTURE, charge(trip_id, "7.95")).status_code == 200


def test_a_pending_adjustment_echoes_the_amount_and_is_approved_in_time(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"adjust": {"PENDING": 1.0}}, "pending_minutes": 30})
    for _ in range(2):
        answer = amazon.call(ADJUST, charge(trip_id))
        assert answer.text == '{"status":"PENDING","authorizedAmount":{"amount":15.90,"code":"USD"}}'
    assert book(sandbox, trip_id)["authorized"] == "75.00"
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T18:30:00Z"})
    assert book(sandbox, trip_id)["authorized"] == "15.90"
    assert amazon.call(ADJUST, charge(trip_id)).json()["status"] == "APPROVED"


def test_an_adjustment_may_be_pending_for_ever(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"adjust": {"PENDING_FOREVER": 1.0}}})
    amazon.call(ADJUST, charge(trip_id))
    sandbox.post("/sandbox/clock", {"now": "2026-11-25T15:00:00Z"})
    assert amazon.call(ADJUST, charge(trip_id)).json()["status"] == "PENDING"


def test_a_capture_may_be_declined_after_it_was_initiated(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"settlement": {"DECLINED": 1.0}}})
    assert amazon.call(CAPTURE, charge(trip_id)).status_code == 200
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T18:20:00Z"})
    kept = book(sandbox, trip_id)
    assert (kept["order_status"], kept["captured"], kept["cancelled"]) == ("CANCELLED", "0.00", False)
    assert amazon.call(CAPTURE, charge(trip_id)).status_code == 400


@pytest.mark.parametrize(("reading", "captured", "count"), [("twice", "31.80", 2), ("harmless", "15.90", 1)])
def test_a_repeated_capture_is_read_as_the_plan_says_and_is_noted(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon, reading: str, captured: str, count: int
) -> None:
    trip_id = trip({"repeated_capture": reading})
    amazon.call(ADJUST, charge(trip_id))
    assert [amazon.call(CAPTURE, charge(trip_id)).status_code for _ in range(2)] == [200, 200]
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T18:20:00Z"})
    kept = book(sandbox, trip_id)
    assert (kept["captured"], kept["capture_count"]) == (captured, count)
    reasons = [one["reason"] for one in sandbox.get("/sandbox/summary")["forbidden"]]
    assert reasons == ["capture after a capture was initiated"]


def test_a_capture_tried_again_after_an_unknown_outcome_is_noted(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"trips": {}, "rates": {"capture": {"SERVER_ERROR": 1.0}}})
    amazon.call(ADJUST, charge(trip_id))
    assert [amazon.call(CAPTURE, charge(trip_id)).status_code for _ in range(2)] == [500, 200]
    assert "unknown" in sandbox.get("/sandbox/summary")["forbidden"][0]["reason"]


def test_a_refusal_that_is_definite_may_be_tried_again(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"capture": {"THROTTLED": 1.0}}})
    amazon.call(ADJUST, charge(trip_id))
    assert [amazon.call(CAPTURE, charge(trip_id)).status_code for _ in range(2)] == [429, 200]
    assert sandbox.get("/sandbox/summary")["forbidden"] == []


def test_what_a_careful_caller_never_does_is_noted(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    def noted() -> str:
        return str(sandbox.get("/sandbox/summary")["forbidden"][-1]["reason"])

    trip_id = trip({"rates": {"adjust": {"SERVER_ERROR": 1.0}}})
    amazon.call(CAPTURE, charge(trip_id, "9.00"))
    assert noted() == "capture although no adjustment was approved"
    trip_id = trip({"rates": {"adjust": {"SERVER_ERROR": 1.0}}})
    amazon.call(ADJUST, charge(trip_id))
    amazon.call(CAPTURE, charge(trip_id))
    assert noted() == "capture although the outcome of adjust is unknown"
    trip_id = trip({})
    amazon.call("/v1/refund", refund(trip_id, "1.00"))
    assert noted() == "refund of 1.00 where 0.00 is left"
    trip_id = trip({})
    amazon.call("/v1/feedback/payment-status", report(trip_id, "15.90", "15.90"))
    assert noted() == "15.90 reported as settled where 0.00 was paid"


def test_a_capture_may_be_repeated_by_whoever_asked_what_became_of_the_first(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip({"rates": {"capture": {"SERVER_ERROR": 1.0}}})
    amazon.call(ADJUST, charge(trip_id))
    amazon.call(CAPTURE, charge(trip_id))
    assert sandbox.post("/sandbox/inquiries", {"shopping_trip_id": trip_id})["capture"] == "NOT_CAPTURED"
    assert amazon.call(CAPTURE, charge(trip_id)).status_code == 200
    assert sandbox.get("/sandbox/summary")["forbidden"] == []


def test_a_fault_plan_that_is_not_understood_is_refused(sandbox: SandboxClient, fileless_world: Path) -> None:
    with pytest.raises(AssertionError, match="unknown"):
        sandbox.post("/sandbox/load", {"world": str(fileless_world), "faults": {"rate": {}}})
    with pytest.raises(AssertionError, match="adjust"):
        sandbox.post("/sandbox/load", {"world": str(fileless_world), "faults": {"rates": {"adjust": {"SLOW": 1}}}})


def report(trip_id: str, total: str, settled: str) -> dict[str, Any]:
    figures = {"totalAmount": total, "settledAmount": settled}
    return {
        "storeId": "STORE-001",
        "shoppingTripId": trip_id,
        **{name: {"amount": Decimal(value), "code": "USD"} for name, value in figures.items()},
        "paymentStatusTime": 1_700_000_000,
    }


def refund(trip_id: str, amount: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    request_id = f"0f8fad5b-d9cb-469f-a165-{number:012x}"
    return charge(trip_id, amount, refundRequestId=request_id, refundReasonCode="OTHER", **changes)


def test_refunds_are_idempotent_and_never_above_what_was_captured(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    assert amazon.call("/v1/refund", refund(trip_id, "1.00")).status_code == 400, "nothing is captured yet"
    amazon.call(CAPTURE, charge(trip_id))
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T19:00:00Z"})
    first, again = (amazon.call("/v1/refund", refund(trip_id, "10.00")) for _ in range(2))
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.status_code == 200
    assert amazon.call("/v1/refund", refund(trip_id, "5.91", 2)).status_code == 400
    assert amazon.call("/v1/refund", refund(trip_id, "5.90", 2)).status_code == 200
    kept = book(sandbox, trip_id)
    assert (kept["refunded"], kept["order_status"]) == ("15.90", "REFUNDED")


@pytest.mark.parametrize(
    "changes",
    [
        {"refundRequestId": "0F8FAD5B-D9CB-469F-A165-70867728950E"},
        {"refundRequestId": "0f8fad5b-d9cb-769f-a165-70867728950e"},
        {"refundReasonCode": "BORED"},
    ],
)
def test_a_refund_needs_a_good_key_and_reason(
    trip: Callable[..., str], amazon: Amazon, changes: dict[str, Any]
) -> None:
    body = {**refund(trip(load=False), "1.00"), **changes}
    assert amazon.call("/v1/refund", body).status_code == 400


def test_a_payment_status_is_accepted_unless_more_is_settled_than_owed(
    trip: Callable[..., str], amazon: Amazon
) -> None:
    def amount(text: str) -> dict[str, Any]:
        return {"amount": Decimal(text), "code": "USD"}

    common = {"storeId": "STORE-001", "shoppingTripId": trip(), "paymentStatusTime": 1795478400}
    path = "/v1/feedback/payment-status"
    accepted = amazon.call(path, {**common, "totalAmount": amount("10.00"), "settledAmount": amount("4.00")})
    rejected = amazon.call(path, {**common, "totalAmount": amount("10.00"), "settledAmount": amount("10.01")})
    assert (accepted.json(), rejected.json()) == ({"status": "Accepted"}, {"status": "Rejected"})
    assert amazon.call(path, {**common, "totalAmount": amount("1.00")}).status_code == 400


def test_transactional_data_has_the_card_and_no_amount(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    answer = amazon.call("/v1/payment/transactional-data", {"storeId": "STORE-001", "shoppingTripId": trip_id}).json()
    kept = book(sandbox, trip_id)
    assert answer.get("tail", kept["card_last_four"]) == kept["card_last_four"]
    assert len(answer) >= 12
    assert "amount" not in answer


def test_an_unknown_shopper_is_an_answer_without_an_address(trip: Callable[..., str], amazon: Amazon) -> None:
    trip()
    body = {"storeId": "STORE-001", "shopperId": {"id": "amzn.nobody"}}
    answer = amazon.call("/v1/identity/shopper", body)
    assert (answer.status_code, answer.json()) == (200, {})
    assert amazon.call("/v1/identity/shopper", {"storeId": "STORE-001", "shopperId": "x"}).status_code == 400


def test_a_live_trip_has_an_order_once_it_is_charged(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon
) -> None:
    trip_id = trip()
    amazon.call(ADJUST, charge(trip_id))
    kept = book(sandbox, trip_id)
    assert (kept["stage"], kept["priceable"], kept["authorized"]) == ("LEFT", False, "15.90")
    assert [(line["item_sku"], line["total"]) for line in kept["lines"]] == [("UNKNOWN-CART", "15.90")]


def test_a_live_trip_with_a_cart_is_priced_when_it_is_charged(
    sandbox: SandboxClient, trip: Callable[..., str], amazon: Amazon, fileless_world: Path
) -> None:
    trip()
    first = next(line for line in (fileless_world / "prices.csv").read_text().splitlines()[1:] if line.endswith("Z,"))
    store, sku, price = first.split(",")[:3]
    trip_id = sandbox.post("/sandbox/trips", {"store_id": store, "skus": [sku]})["shoppingTripId"]
    amazon.call(ADJUST, charge(trip_id))
    kept = book(sandbox, trip_id)
    assert [(line["item_sku"], line["list_price"]) for line in kept["lines"]] == [(sku, price)]
