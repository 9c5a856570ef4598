"""Amazon's catalog API: upload, status, archive (catalog.md), under one limit of requests that all processes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from sqlalchemy import Engine

from backroom.amazon import exact_json
from backroom.amazon.outcomes import Answer, CallFailed, Outcome, Problem
from backroom.amazon.request_rate import ORDINARY, URGENT, NoPermit, RequestRate
from backroom.amazon.transport import Transport
from backroom.settings import Settings

MAX_ITEMS: Final = 10_000
LONGEST_WAIT: Final = 60.0  # seconds for a turn; then the call is not made
LONGEST_CALL: Final = 240.0  # seconds: the wait for a turn and every time-out, with room
# Amazon's published words; both fail the whole request.
_BAD_STORES: Final = ("One or more StoreID's present in the request", "List of store ID's present in the request")


@dataclass(frozen=True)
class Written:
    """Records that are JSON already, with commas between them."""

    count: int
    records: str

    def __len__(self) -> int:
        return self.count


class CatalogClient:
    """Thread-safe; one per process. Each method is one attempt; a failure is a CallFailed whose `answer` says how.

    Uploads and archives go before questions for a status.
    """

    def __init__(self, config: Settings, engine: Engine) -> None:
        """`engine` keeps the shared limit: at most `catalog_requests_per_second` over all who use that database."""
        self._transport = Transport(config.amazon_catalog_url, config)
        self._rate = RequestRate(engine, api="catalog", per_second=config.catalog_requests_per_second)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def upload(self, items: Sequence[Mapping[str, Any]] | Written, *, cart: bool = False) -> str:
        """Sends at most 10,000 whole records; returns the ingestion id. One wrong store fails them all.

        `cart`: to the path of Dash Cart stores.
        """
        _at_most(len(items), "items")
        written = items.records if isinstance(items, Written) else ",".join(map(exact_json.dumps, items))
        path = "/v1/catalog/cart/upload" if cart else "/v1/catalog/upload"
        return self._ingestion(path, f'{{"catalogItems":[{written}]}}'.encode())

    def archive(self, skus: Sequence[str], stores: Sequence[str]) -> str:
        """Takes at most 10,000 SKUs out of all the retailer's stores, each of which must be named; the ingestion id."""
        _at_most(len(skus), "SKUs")
        return self._ingestion("/v1/catalog/archive", {"itemSkus": skus, "allApplicableStores": stores})

    def status(self, ingestion_id: str) -> tuple[str, str | None]:
        """(INQUEUE, INPROGRESS, DONE, CANCELLED or FATAL; the report's link or None). A link lives for 60 minutes."""
        answer = self._post("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion_id}, ORDINARY)
        status = answer.body.get("processingStatus") if isinstance(answer.body, dict) else None
        if not isinstance(status, str):
            raise _unintelligible("catalog status", answer)
        link = answer.body.get("reportDownloadLink")
        return status, link if isinstance(link, str) and link else None

    def _ingestion(self, path: str, body: Mapping[str, Any] | bytes) -> str:
        answer = self._post(path, body, URGENT)
        ingestion_id = answer.body.get("ingestionId") if isinstance(answer.body, dict) else None
        if not isinstance(ingestion_id, str) or not ingestion_id:
            raise _unintelligible(path, answer)
        return ingestion_id

    def _post(self, path: str, body: Mapping[str, Any] | bytes, priority: int) -> Answer:
        request = self._transport.signed(path, body)  # a permit is for the call alone: the shorter, the more of them
        try:
            with self._rate.permit(priority=priority, patience=LONGEST_WAIT):
                answer = self._transport.send(request)
        except NoPermit as error:
            raise CallFailed(path, Answer(Outcome.NOT_SENT, Problem.THROTTLED, message=str(error))) from error
        if answer.outcome is not Outcome.SUCCEEDED:
            raise CallFailed(path, answer)
        return answer


def names_a_bad_store(answer: Answer) -> bool:
    """Whether the request was refused for a store that Amazon does not know as the retailer's."""
    return answer.status == 400 and answer.message.startswith(_BAD_STORES)


def is_final(answer: Answer) -> bool:
    """Whether the same call must not be made again: refused but for the rate, or a 500 that says so."""
    if answer.outcome is Outcome.REFUSED:
        return answer.problem is not Problem.THROTTLED
    return isinstance(answer.body, dict) and answer.status == 500 and answer.body.get("retryable") is False


def _at_most(count: int, what: str) -> None:
    if not 0 < count <= MAX_ITEMS:
        raise ValueError(f"a request carries 1 to {MAX_ITEMS} {what}, not {count}")


def _unintelligible(what: str, answer: Answer) -> CallFailed:
    return CallFailed(what, replace(answer, outcome=Outcome.UNKNOWN, problem=Problem.UNINTELLIGIBLE))
