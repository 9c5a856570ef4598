"""The catalog API, over HTTP: uploads, archiving, results by polling, notification and report."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from jwo_sandbox.barcodes import check_digit, problem
from tests.jwo_sandbox.conftest import Amazon, messages
from tests.sandbox_fixtures import SandboxClient

CART_UPLOAD = "/v1/catalog/cart/upload"
UPLOAD, ARCHIVE, STATUS = "/v1/catalog/upload", "/v1/catalog/archive", "/v1/catalog/getCatalogUploadStatus"
STORES = ["STORE-001", "STORE-002"]


@pytest.fixture(autouse=True)
def _loaded(sandbox: SandboxClient, fileless_world: Path) -> None:
    """An empty catalog."""
    sandbox.post("/sandbox/load", {"world": str(fileless_world), "seed": 1})


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    digits = f"7{number:010d}"
    found = {
        "item_sku": f"SKU-{number}",
        "external_product_id": digits + check_digit(digits),
        "item_name": "Milk",
        "store_id": "STORE-001",
        "standard_price": "1.99",
    }
    return {**found, **changes}


def done(amazon: Amazon, ingestion_id: str) -> str:
    """Poll to the end; returns the report's link."""
    answers = [amazon.call(STATUS, {"ingestionId": ingestion_id}).json() for _ in range(3)]
    assert [answer["processingStatus"] for answer in answers] == ["INQUEUE", "INPROGRESS", "DONE"]
    return str(answers[-1]["reportDownloadLink"])


def uploaded(amazon: Amazon, items: list[dict[str, Any]]) -> str:
    answer = amazon.call(UPLOAD, {"catalogItems": items})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ingestionId"])


def test_an_upload_is_reported_item_by_item(amazon: Amazon) -> None:
    broken = item(2, external_product_id="700000000020")
    report = httpx.get(done(amazon, uploaded(amazon, [item(1), broken]))).json()
    assert report["summary"] == {"received": 2, "accepted": 1, "rejected": 1}
    good, bad = report["items"]
    assert (good["item_sku"], good["status"], good["errorCode"]) == ("SKU-1", "ACCEPTED", None)
    assert (bad["status"], bad["errorCode"]) == ("REJECTED", "INVALID_EXTERNAL_PRODUCT_ID")


def test_the_same_news_comes_by_notification(amazon: Amazon, aws_endpoint: str, sandbox: SandboxClient) -> None:
    messages(aws_endpoint, "backroom-catalog")
    ingestion_id = uploaded(amazon, [item()])
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T05:02:00Z"})
    told = [json.loads(body["Message"]) for body in messages(aws_endpoint, "backroom-catalog")]
    news = [one for one in told if one["ingestionId"] == ingestion_id]  # earlier uploads may be done only now
    assert [one["processingStatus"] for one in news] == ["DONE"]
    assert httpx.get(news[0]["reportDownloadLink"]).json()["ingestionId"] == ingestion_id


def test_a_report_link_expires_after_an_hour_and_is_renewed_by_asking(amazon: Amazon, sandbox: SandboxClient) -> None:
    ingestion_id = uploaded(amazon, [item()])
    link = done(amazon, ingestion_id)
    assert "/jwo-reports-amazon/catalog-reports/" in link
    sandbox.post("/sandbox/clock", {"now": "2026-11-23T06:00:00Z"})
    assert httpx.get(link).status_code == 403
    assert "expired" in httpx.get(link).text
    renewed = amazon.call(STATUS, {"ingestionId": ingestion_id}).json()["reportDownloadLink"]
    assert httpx.get(renewed).status_code == 200
    assert httpx.get(renewed.replace("Signature=", "Signature=0")).status_code == 403


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "Invalid request body"),
        ([{**item(), "item_name": ""}], "Invalid request body"),
        ([{**item(), "item_name": None}], "Invalid request body"),
        ([{**item(), "item_sku": "SKU®"}], "Invalid request body"),
        ([{**item(), "standard_price": 1}], "Invalid request body"),
        ([{**item(), "store_id": "x" * 256}], "Invalid request body"),
        ([item(store_id="STORE-9")], "One or more StoreID's present in the request is incorrect"),
        (
            [item(), item(2, store_id="STORE-9")],
            "List of store ID's present in the request are either incorrect/not associated with same retailer",
        ),
    ],
)
def test_a_wrong_upload_fails_as_a_whole(
    amazon: Amazon, sandbox: SandboxClient, items: list[dict[str, Any]], message: str
) -> None:
    answer = amazon.call(UPLOAD, {"catalogItems": items})
    assert (answer.status_code, answer.json()) == (400, {"errorMsg": message})
    assert sandbox.get("/sandbox/summary")["catalog"]["items"] == 0


def test_at_most_ten_thousand_items_go_in_one_request(amazon: Amazon, sandbox: SandboxClient) -> None:
    assert amazon.call(UPLOAD, {"catalogItems": [item(n) for n in range(10_001)]}, timeout=30).status_code == 400
    assert amazon.call(UPLOAD, {"catalogItems": [item(n) for n in range(10_000)]}, timeout=30).status_code == 201
    assert sandbox.get("/sandbox/summary")["catalog"]["items"] == 10_000


def test_an_upload_replaces_and_leaves_the_rest(amazon: Amazon, sandbox: SandboxClient) -> None:
    uploaded(amazon, [item(1), item(2)])
    uploaded(amazon, [item(2, standard_price="3.00")])
    assert sandbox.get("/sandbox/summary")["catalog"]["items"] == 2


def test_archiving_is_for_all_stores_and_reported_per_sku(amazon: Amazon, sandbox: SandboxClient) -> None:
    uploaded(amazon, [item(1)])
    short = amazon.call(ARCHIVE, {"itemSkus": ["SKU-1"], "allApplicableStores": STORES[:1]})
    assert short.status_code == 400
    assert all(store in short.json()["errorMsg"] for store in STORES)
    body = {"itemSkus": ["SKU-1", "SKU-7"], "allApplicableStores": STORES}
    answer = amazon.call(ARCHIVE, body)
    assert answer.status_code == 201
    report = httpx.get(done(amazon, answer.json()["ingestionId"])).json()
    assert {(one["item_sku"], one["errorCode"]) for one in report["items"]} == {
        ("SKU-1", None),
        ("SKU-7", "SKU_NOT_FOUND"),
    }
    assert sandbox.get("/sandbox/summary")["catalog"]["items"] == 0
    uploaded(amazon, [item(1)])
    assert sandbox.get("/sandbox/summary")["catalog"]["items"] == 1


def test_more_than_ten_requests_in_a_second_are_throttled(amazon: Amazon) -> None:
    time.sleep(1.0)
    answers = [amazon.call_once(STATUS, {"ingestionId": "nobody"}) for _ in range(14)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [400] * 10 + [429] * 4
    throttled = next(answer for answer in answers if answer.status_code == 429)
    assert (throttled.json(), throttled.headers["Retry-After"]) == ({"errorMsg": "Too Many Requests"}, "1")


def test_calls_must_be_signed(amazon: Amazon) -> None:
    assert amazon.call(UPLOAD, {"catalogItems": [item()]}, secret="another").status_code == 403


@pytest.mark.parametrize(
    ("barcode", "kind", "good"),
    [
        ("036000291452", "UPC", True),
        ("036000291453", "UPC", False),
        ("04252614", "UPC", True),
        ("4006381333931", "EAN", True),
        ("96385074", "EAN8", True),
        ("96385075", "EAN8", False),
        ("96385074", None, True),
        ("10614141000415", "GTIN", True),
        ("080442957X", "ISBN", True),
        ("0804429571", "ISBN", False),
        ("4011", "PLU", True),
        ("40a1", "PLU", False),
        ("12", None, False),
        ("4011", "QR", False),
    ],
)
def test_barcodes_are_judged_by_length_and_check_digit(barcode: str, kind: str | None, good: bool) -> None:
    assert (problem(barcode, kind) is None) is good


@pytest.mark.parametrize("ended", ["FATAL", "CANCELLED"])
def test_an_ingestion_may_end_without_a_report(
    amazon: Amazon, sandbox: SandboxClient, fileless_world: Path, ended: str
) -> None:
    faults = {"trips": {"1": {"catalog_ingestion": [ended]}}, "catalog_polls": 1}
    sandbox.post("/sandbox/load", {"world": str(fileless_world), "seed": 1, "faults": faults})
    body = {"ingestionId": uploaded(amazon, [item()])}
    assert [amazon.call(STATUS, body).json() for _ in range(2)] == [{"processingStatus": ended}] * 2


def test_a_500_says_whether_it_may_be_retried(amazon: Amazon, sandbox: SandboxClient, fileless_world: Path) -> None:
    faults = {"trips": {"1": {"catalog_upload": ["FINAL_ERROR"]}, "2": {"catalog_upload": ["", "SERVER_ERROR"]}}}
    sandbox.post("/sandbox/load", {"world": str(fileless_world), "seed": 1, "faults": faults})
    answers = [amazon.call(UPLOAD, {"catalogItems": [item()]}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 500, 201]
    assert [answer.json().get("retryable") for answer in answers] == [False, None, None]


def test_dash_cart_stores_have_a_path_of_their_own(
    amazon: Amazon, sandbox: SandboxClient, fileless_world: Path, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    shutil.copytree(fileless_world, world)
    stores = json.loads((world / "stores.json").read_text())
    stores[1]["store_type"] = "DASH_CART"
    (world / "stores.json").write_text(json.dumps(stores))
    sandbox.post("/sandbox/load", {"world": str(world), "seed": 1})
    cart = item(store_id="STORE-002")
    assert amazon.call(CART_UPLOAD, {"catalogItems": [cart]}).status_code == 201
    assert amazon.call(UPLOAD, {"catalogItems": [cart]}).status_code == 400
    assert amazon.call(CART_UPLOAD, {"catalogItems": [item()]}).status_code == 400
    uploaded(amazon, [item()])
    body = {"itemSkus": ["SKU-1"], "allApplicableStores": STORES}
    assert amazon.call(ARCHIVE, body).status_code == 400
    assert amazon.call(ARCHIVE, {**body, "allApplicableStores": STORES[:1]}).status_code == 201


def test_the_summary_tells_what_amazon_saw_of_the_rate(amazon: Amazon, sandbox: SandboxClient) -> None:
    time.sleep(1.0)
    for number in range(3):
        uploaded(amazon, [item(number)])
    seen = sandbox.get("/sandbox/summary")["catalog"]
    assert (seen["uploads"], seen["most_calls_in_a_second"], seen["throttled"]) == (3, 3, 0)
    assert 0 < float(seen["upload_seconds"]) < 1
