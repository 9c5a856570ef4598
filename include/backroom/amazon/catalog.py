"""Amazon's catalog API: upload, status, archive (catalog.md), under one limit of requests that all processes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Self

from sqlalchemy import Engine

from backroom.amazon.outcomes import Answer, CallFailed, Outcome, Problem
from backroom.amazon.request_rate import RequestRate
from backroom.amazon.transport import Transport
from backroom.settings import Settings

MAX_ITEMS: Final = 10_000


class CatalogClient:
    """Thread-safe; one per process. Each method is one attempt; a failure is a CallFailed whose `answer` says how."""

    def __init__(self, config: Settings, engine: Engine) -> None:
        """`engine` keeps the shared limit: at most `catalog_requests_per_second` over all who use that database."""
        self._transport = Transport(config.amazon_catalog_url, config)
        self._rate = RequestRate(engine, api="catalog", per_second=config.catalog_requests_per_second)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def upload(self, items: Sequence[Mapping[str, Any]]) -> str:
        """Sends at most 10,000 whole records; returns the ingestion id. One wrong store fails them all."""
        _at_most(len(items), "items")
        return self._ingestion("/v1/catalog/upload", {"catalogItems": items})

    def archive(self, skus: Sequence[str], stores: Sequence[str]) -> str:
        """Takes at most 10,000 SKUs out of all the retailer's stores, each of which must be named; the ingestion id."""
        _at_most(len(skus), "SKUs")
        return self._ingestion("/v1/catalog/archive", {"itemSkus": skus, "allApplicableStores": stores})

    def status(self, ingestion_id: str) -> tuple[str, str | None]:
        """(INQUEUE, INPROGRESS, DONE, CANCELLED or FATAL; the report's link or None). A link lives for 60 minutes."""
        answer = self._post("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion_id})
        status = answer.body.get("processingStatus") if isinstance(answer.body, dict) else None
        if not isinstance(status, str):
            raise _unintelligible("catalog status", answer)
        link = answer.body.get("reportDownloadLink")
        return status, link if isinstance(link, str) and link else None

    def _ingestion(self, path: str, body: Mapping[str, Any]) -> str:
        answer = self._post(path, body)
        ingestion_id = answer.body.get("ingestionId") if isinstance(answer.body, dict) else None
        if not isinstance(ingestion_id, str) or not ingestion_id:
            raise _unintelligible(path, answer)
        return ingestion_id

    def _post(self, path: str, body: Mapping[str, Any]) -> Answer:
        with self._rate.permit():
            answer = self._transport.post(path, body)
        if answer.outcome is not Outcome.SUCCEEDED:
            raise CallFailed(path, answer)
        return answer


def _at_most(count: int, what: str) -> None:
    if not 0 < count <= MAX_ITEMS:
        raise ValueError(f"a request carries 1 to {MAX_ITEMS} {what}, not {count}")


def _unintelligible(what: str, answer: Answer) -> CallFailed:
    return CallFailed(what, replace(answer, outcome=Outcome.UNKNOWN, problem=Problem.UNINTELLIGIBLE))
