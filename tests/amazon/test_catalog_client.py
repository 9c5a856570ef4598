"""The catalog client and the limit of requests that all processes share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.catalog import CatalogClient, Written, is_final, names_a_bad_store
from backroom.amazon.outcomes import CallFailed, Outcome, Problem
from backroom.amazon.request_rate import ORDINARY, URGENT, NoPermit, RequestRate
from backroom.db.engine import make_engine
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Call, Reply, ScriptedAmazon, refused


@pytest.fixture
def catalog(database: Engine, amazon_url: str) -> CatalogClient:
    return CatalogClient(configured(amazon_catalog_url=amazon_url), database)


def test_an_upload_returns_its_ingestion_id(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    amazon.script = lambda _: Reply(201, {"ingestionId": "ing-1"})
    assert catalog.upload([{"item_sku": "A", "standard_price": "9.99"}]) == "ing-1"
    assert amazon.calls[0].body == {"catalogItems": [{"item_sku": "A", "standard_price": "9.99"}]}


def test_a_status_without_a_report_has_no_link(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    amazon.script = lambda _: Reply(200, {"processingStatus": "INQUEUE", "reportDownloadLink": ""})
    assert catalog.status("ing-1") == ("INQUEUE", None)
    amazon.script = lambda _: Reply(200, {"processingStatus": "DONE", "reportDownloadLink": "https://s3/x"})
    assert catalog.status("ing-1") == ("DONE", "https://s3/x")


def test_an_archive_names_every_store(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    amazon.script = lambda _: Reply(201, {"ingestionId": "ing-2"})
    assert catalog.archive(["A"], ["STORE-001", "STORE-002"]) == "ing-2"
    assert amazon.calls[0].body == {"itemSkus": ["A"], "allApplicableStores": ["STORE-001", "STORE-002"]}


def test_a_failed_call_says_how(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    amazon.script = lambda _: refused(429, "Too Many Requests", Retry_After="3")
    with pytest.raises(CallFailed, match="Too Many Requests") as failed:
        catalog.upload([{"item_sku": "A"}])
    assert (failed.value.answer.problem, failed.value.answer.retry_after) == (Problem.THROTTLED, 3)
    amazon.script = lambda _: Reply(201, {})
    with pytest.raises(CallFailed) as failed:
        catalog.upload([{"item_sku": "A"}])
    assert failed.value.answer.outcome is Outcome.UNKNOWN


def test_more_than_ten_thousand_items_are_not_sent(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    with pytest.raises(ValueError, match="10000 items"):
        catalog.upload([{}] * 10_001)
    assert amazon.calls == []


def test_no_sliding_second_of_amazons_clock_sees_more_than_the_limit_whoever_calls(
    database: Engine, amazon_url: str, amazon: ScriptedAmazon
) -> None:
    def slow_now_and_then(call: Call) -> Reply:
        return Reply(200, {"processingStatus": "INQUEUE"}, wait=0.3 if len(amazon.calls) % 7 == 0 else 0.0)

    amazon.script = slow_now_and_then
    engines = [make_engine(database.url), make_engine(database.url)]  # as two processes would have
    clients = [CatalogClient(configured(amazon_catalog_url=amazon_url), engine) for engine in engines]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: clients[number % 2].status("ing-1"), range(36)))
    for engine in engines:
        engine.dispose()
    seen = sorted(call.at for call in amazon.calls)
    assert len(seen) == 36
    assert all(later - earlier >= 1.0 for earlier, later in zip(seen, seen[10:], strict=False))


def test_a_permit_is_given_back_when_the_call_fails(database: Engine) -> None:
    rate = RequestRate(database, api="one at a time", per_second=1)
    with pytest.raises(RuntimeError), rate.permit():
        raise RuntimeError
    started = time.monotonic()
    with rate.permit():
        pass
    assert 0.5 < time.monotonic() - started < 3


def test_records_that_are_json_already_go_as_they_are_and_carts_to_their_path(
    catalog: CatalogClient, amazon: ScriptedAmazon
) -> None:
    amazon.script = lambda _: Reply(201, {"ingestionId": "ing-1"})
    catalog.upload(Written(2, '{"item_sku": "Ä"},{"item_sku": "B"}'), cart=True)
    assert amazon.calls[0].body == {"catalogItems": [{"item_sku": "Ä"}, {"item_sku": "B"}]}
    assert amazon.calls[0].path == "/v1/catalog/cart/upload"


def test_what_is_final_and_what_names_a_bad_store(catalog: CatalogClient, amazon: ScriptedAmazon) -> None:
    store = "List of store ID's present in the request are either incorrect/not associated with same retailer"
    for status, body, final, bad_store in (
        (400, {"errorMsg": store}, True, True),
        (400, {"errorMsg": "Invalid request body"}, True, False),
        (403, {}, True, False),
        (429, {}, False, False),
        (500, {"errorMsg": "try again"}, False, False),
        (500, {"errorMsg": "no", "retryable": False}, True, False),
        (503, {}, False, False),
    ):
        replies = iter([Reply(status, body)])
        amazon.script = lambda _, replies=replies: next(replies)
        with pytest.raises(CallFailed) as failed:
            catalog.upload([{"item_sku": "A"}])
        assert (is_final(failed.value.answer), names_a_bad_store(failed.value.answer)) == (final, bad_store), status


def test_an_upload_that_waits_goes_before_polls_that_have_waited_longer(database: Engine) -> None:
    rate = RequestRate(database, api="in line", per_second=1)
    order: list[int] = []

    def call(priority: int) -> None:
        with rate.permit(priority=priority):
            order.append(priority)

    with ThreadPoolExecutor(3) as pool:
        with rate.permit():
            polls = [pool.submit(call, ORDINARY) for _ in range(2)]
            time.sleep(0.1)
            upload = pool.submit(call, URGENT)
            time.sleep(0.1)
        for waiting in (*polls, upload):
            waiting.result()
    assert order == [URGENT, ORDINARY, ORDINARY]


def test_permits_are_some_time_apart_once_half_of_the_limit_is_taken(database: Engine) -> None:
    rate = RequestRate(database, api="apart", per_second=10)
    for _ in range(10):
        with rate.permit():
            pass
    with database.connect() as connection:
        granted = connection.scalars(text("select granted_at from api_permit where api = 'apart' order by 1")).all()
    assert all(later - earlier >= timedelta(seconds=0.09) for earlier, later in pairwise(granted[5:]))


def test_who_has_no_patience_left_does_not_call(database: Engine) -> None:
    rate = RequestRate(database, api="no turn", per_second=1)
    with rate.permit(), pytest.raises(NoPermit, match="within 0 s"), rate.permit(patience=0):
        raise AssertionError
