"""Amazon's catalog API: upload, archive, status; results by polling, by notification, and in a report."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from jwo_sandbox import exact_json, faults, instants
from jwo_sandbox.aws_clients import client
from jwo_sandbox.aws_resources import CATALOG_TOPIC, REPORT_PREFIX, REPORTS_BUCKET
from jwo_sandbox.barcodes import problem
from jwo_sandbox.books import Books
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.outbox import Outbox
from jwo_sandbox.payments import Answer
from jwo_sandbox.retailer_files import Store
from jwo_sandbox.sandbox_clock import SandboxClock

ITEMS_A_REQUEST = 10_000
REQUESTS_A_SECOND = 10
LINK_LIFE = 60 * instants.MINUTE
INGESTED_AFTER = 2 * instants.MINUTE
"""An ingestion is done after this much sandbox time, or after the plan's number of polls."""
SKU = re.compile(r"[0-9A-Za-z_-]{1,255}")
OPTIONAL_TEXTS = [
    "external_product_id_type",
    "standard_price",
    "brand_name",
    "product_tax_code",
    "product_category",
    "product_subcategory",
    "color_name",
    "size_name",
    "main_image_url",
]
INVALID_BODY = "Invalid request body"
ONE_BAD_STORE = "One or more StoreID's present in the request is incorrect"
BAD_STORES = "List of store ID's present in the request are either incorrect/not associated with same retailer"


class BadCatalogRequest(ValueError):
    """A 400; the message is the one that Amazon publishes."""


@dataclass
class CatalogApi:
    """The API over the books. `url` is the sandbox's own address, where report links lead."""

    books: Books
    clock: SandboxClock
    outbox: Outbox
    stores: dict[str, Store]
    plan: FaultPlan
    url: str
    region: str
    _recent: deque[float] = field(default_factory=deque)

    def call(self, operation: str, body: bytes) -> Answer:
        """Answer one call; all catalog calls together may be ten in any real second."""
        if self._too_many():
            return Answer(429, {"errorMsg": "Too Many Requests"}, {"Retry-After": "1"})
        attempt = 1 + int(self.books.setting(f"attempts {operation}") or 0)
        fault = self.plan.fault(str(attempt), operation, attempt)
        self.books.keep(f"attempts {operation}", attempt)
        if fault in (faults.SERVER_ERROR, faults.UNAVAILABLE, faults.THROTTLED):
            status = {faults.SERVER_ERROR: 500, faults.UNAVAILABLE: 503}.get(fault, 429)
            headers = {"Retry-After": str(self.plan.retry_after_seconds)} if status == 429 else {}
            return Answer(status, {"errorMsg": "try again"}, headers)
        try:
            with self.books:
                answer: Answer = getattr(self, f"_{operation.removeprefix('catalog_')}")(_object(body))
        except BadCatalogRequest as error:
            return Answer(400, {"errorMsg": str(error)})
        if fault in (faults.DROPPED_AFTER, faults.HANGS_AFTER):
            return Answer(answer.status, lost=fault)
        return answer

    def tick(self) -> None:
        """Finish the ingestions whose time has come, and tell the retailer."""
        due = self.clock.now() - INGESTED_AFTER
        rows = self.books.all("select * from ingestion where status <> 'DONE' and received_at <= ?", (due,))
        for row in rows:
            self._finish(row["ingestion_id"])

    def report(self, url: str) -> Answer | bytes:
        """What a report's link leads to: the report, or S3's 403 when the link is not ours or has expired."""
        signature = parse_qs(urlsplit(url).query).get("X-Amz-Signature", [""])[0]
        link = self.books.one("select * from report_link where signature = ?", (signature,))
        if link is None or urlsplit(url).path != f"/{REPORTS_BUCKET}/{link['key']}":
            return Answer(403, {"errorMsg": "SignatureDoesNotMatch"})
        if self.clock.now() >= link["expires_at"]:
            return Answer(403, {"errorMsg": "Request has expired"})
        return self.outbox.get_object(link["key"])

    def _too_many(self) -> bool:
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= 1.0:
            self._recent.popleft()
        if len(self._recent) >= REQUESTS_A_SECOND:
            return True
        self._recent.append(now)
        return False

    def _upload(self, body: dict[str, Any]) -> Answer:
        items = body.get("catalogItems")
        if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_A_REQUEST:
            raise BadCatalogRequest(INVALID_BODY)
        for item in items:
            _check_item(item)
        strange = {item["store_id"] for item in items} - self.stores.keys()
        if strange:
            raise BadCatalogRequest(ONE_BAD_STORE if len(items) == 1 else BAD_STORES)
        results = [_result(item["item_sku"], item["store_id"], _barcode_problem(item)) for item in items]
        accepted = [
            {"store_id": item["store_id"], "item_sku": item["item_sku"], "body": exact_json.dumps(item), "archived": 0}
            for item, result in zip(items, results, strict=True)
            if result["status"] == "ACCEPTED"
        ]
        self.books.insert("catalog_item", accepted, replace=True)
        return self._ingest("UPLOAD", results)

    def _archive(self, body: dict[str, Any]) -> Answer:
        skus, listed = body.get("itemSkus"), body.get("allApplicableStores")
        if not _texts(skus) or not _texts(listed) or len(skus or []) > ITEMS_A_REQUEST:
            raise BadCatalogRequest(INVALID_BODY)
        if set(listed or []) != set(self.stores):
            raise BadCatalogRequest(f"allApplicableStores must list all stores: {', '.join(sorted(self.stores))}")
        results = []
        for sku in skus or []:
            rows = self.books.all("select archived from catalog_item where item_sku = ?", (sku,))
            wrong = None
            if not rows:
                wrong = ("SKU_NOT_FOUND", "the SKU was never uploaded")
            elif all(row["archived"] for row in rows):
                wrong = ("SKU_ALREADY_ARCHIVED", "the SKU is archived already")
            results += [_result(sku, store_id, wrong) for store_id in sorted(self.stores)]
            self.books.execute("update catalog_item set archived = 1 where item_sku = ?", (sku,))
        return self._ingest("ARCHIVE", results)

    def _status(self, body: dict[str, Any]) -> Answer:
        ingestion_id = body.get("ingestionId")
        row = self.books.one("select * from ingestion where ingestion_id = ?", (str(ingestion_id),))
        if not isinstance(ingestion_id, str) or row is None:
            raise BadCatalogRequest(INVALID_BODY)
        polls = row["polls"] + 1
        self.books.execute("update ingestion set polls = ? where ingestion_id = ?", (polls, ingestion_id))
        if row["status"] == "DONE":
            return Answer(200, {"processingStatus": "DONE", "reportDownloadLink": self._link(ingestion_id)})
        if polls >= self.plan.catalog_polls:
            link = self._finish(ingestion_id)
            return Answer(200, {"processingStatus": "DONE", "reportDownloadLink": link})
        status = "INQUEUE" if polls == 1 else "INPROGRESS"
        self.books.execute("update ingestion set status = ? where ingestion_id = ?", (status, ingestion_id))
        return Answer(200, {"processingStatus": status})

    def _ingest(self, kind: str, results: list[dict[str, Any]]) -> Answer:
        ingestion_id = str(uuid.uuid4())
        rejected = sum(result["status"] == "REJECTED" for result in results)
        summary = {"received": len(results), "accepted": len(results) - rejected, "rejected": rejected}
        row = {
            "ingestion_id": ingestion_id,
            "kind": kind,
            "status": "INQUEUE",
            "received_at": self.clock.now(),
            "report": json.dumps({"ingestionId": ingestion_id, "summary": summary, "items": results}),
        }
        self.books.insert("ingestion", [row])
        return Answer(201, {"ingestionId": ingestion_id})

    def _finish(self, ingestion_id: str) -> str | None:
        """Store the report, mark the ingestion done, publish the news. None while the bucket can't be reached."""
        row = self.books.one("select report from ingestion where ingestion_id = ?", (ingestion_id,))
        try:
            self.outbox.put_object(_report_key(ingestion_id), (row["report"] if row else "").encode())
        except (BotoCoreError, ClientError) as error:
            self.outbox.failures.append(str(error))
            return None
        self.books.execute("update ingestion set status = 'DONE' where ingestion_id = ?", (ingestion_id,))
        link = self._link(ingestion_id)
        news = {"ingestionId": ingestion_id, "processingStatus": "DONE", "reportDownloadLink": link}
        self.outbox.submit(self.outbox.publish, CATALOG_TOPIC, json.dumps(news))
        return link

    def _link(self, ingestion_id: str) -> str:
        """A presigned S3 link, path-style, through the sandbox: the stand-in would never let it expire."""
        key = _report_key(ingestion_id)
        named = f'attachment; filename="{uuid.uuid4()}.json"'
        where = {"Bucket": REPORTS_BUCKET, "Key": key, "ResponseContentDisposition": named}
        link: str = client("s3", self.url, self.region).generate_presigned_url(
            "get_object", Params=where, ExpiresIn=LINK_LIFE // instants.SECOND
        )
        signature = parse_qs(urlsplit(link).query)["X-Amz-Signature"][0]
        row = {"signature": signature, "key": key, "expires_at": self.clock.now() + LINK_LIFE}
        self.books.insert("report_link", [row], replace=True)
        return link


def _report_key(ingestion_id: str) -> str:
    return f"{REPORT_PREFIX}{ingestion_id}.json"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = exact_json.loads(body)
    except ValueError as error:
        raise BadCatalogRequest(INVALID_BODY) from error
    if not isinstance(value, dict):
        raise BadCatalogRequest(INVALID_BODY)
    return value


def _check_item(item: Any) -> None:
    """Required fields and lengths; barcodes are judged in the report."""
    good = (
        isinstance(item, dict)
        and all(_text(item.get(name)) for name in ("item_sku", "external_product_id", "item_name", "store_id"))
        and SKU.fullmatch(item["item_sku"]) is not None
        and all(item.get(name) is None or isinstance(item[name], str) for name in OPTIONAL_TEXTS)
        and _good_more(item.get("additional_external_product_information", []))
    )
    if not good:
        raise BadCatalogRequest(INVALID_BODY)


def _good_more(more: Any) -> bool:
    return (
        isinstance(more, list)
        and len(more) <= 50
        and all(isinstance(one, dict) and _text(one.get("external_product_id")) for one in more)
    )


def _text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 255


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(one) for one in value)


def _barcode_problem(item: dict[str, Any]) -> tuple[str, str] | None:
    for one in (item, *item.get("additional_external_product_information", [])):
        wrong = problem(one["external_product_id"], one.get("external_product_id_type"))
        if wrong:
            return ("INVALID_EXTERNAL_PRODUCT_ID", wrong)
    return None


def _result(sku: str, store_id: str, wrong: tuple[str, str] | None) -> dict[str, Any]:
    code, message = wrong or (None, None)
    status = "REJECTED" if wrong else "ACCEPTED"
    return {"item_sku": sku, "store_id": store_id, "status": status, "errorCode": code, "errorMessage": message}
