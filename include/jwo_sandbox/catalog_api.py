"""Amazon's catalog API: upload, archive, status; results by polling, by notification, and in a report.

A request is only checked when it comes; its items are worked through later, one request after the other.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from jwo_sandbox import exact_json, faults, instants, upload_request
from jwo_sandbox.aws_clients import client
from jwo_sandbox.aws_resources import CATALOG_TOPIC, REPORT_PREFIX, REPORTS_BUCKET
from jwo_sandbox.barcodes import problem
from jwo_sandbox.books import Books
from jwo_sandbox.catalog_rate import CatalogRate
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.outbox import Outbox
from jwo_sandbox.payments import Answer
from jwo_sandbox.retailer_files import Store
from jwo_sandbox.sandbox_clock import SandboxClock
from jwo_sandbox.upload_request import ITEMS_A_REQUEST

WORKED_AT_ONCE = 20_000
"""Items that one question for a status lets Amazon work through."""
LINK_LIFE = 60 * instants.MINUTE
INGESTED_AFTER = 2 * instants.MINUTE
"""An ingestion is done after this much sandbox time, or after the plan's number of polls."""
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
    rate: CatalogRate = field(default_factory=CatalogRate)

    def call(self, operation: str, body: bytes) -> Answer:
        """Answer one call; all catalog calls together may be ten in any real second."""
        if self.rate.too_many(operation):
            return Answer(429, {"errorMsg": "Too Many Requests"}, {"Retry-After": "1"})
        fault = self._fault(operation)
        if fault == faults.FINAL_ERROR:
            return Answer(500, {"errorMsg": "InternalServerError", "retryable": False})
        if fault in (faults.SERVER_ERROR, faults.UNAVAILABLE, faults.THROTTLED):
            status = {faults.SERVER_ERROR: 500, faults.UNAVAILABLE: 503}.get(fault, 429)
            headers = {"Retry-After": str(self.plan.retry_after_seconds)} if status == 429 else {}
            return Answer(status, {"errorMsg": "try again"}, headers)
        try:
            with self.books:
                answer: Answer = getattr(self, f"_{operation.removeprefix('catalog_')}")(body)
        except BadCatalogRequest as error:
            return Answer(400, {"errorMsg": str(error)})
        if fault in (faults.DROPPED_AFTER, faults.HANGS_AFTER):
            return Answer(answer.status, lost=fault)
        return answer

    def tick(self) -> None:
        """Finish the ingestions whose time has come, and tell the retailer."""
        due = self.clock.now() - INGESTED_AFTER
        rows = self.books.all(
            "select ingestion_id from ingestion where status in ('INQUEUE', 'INPROGRESS') and received_at <= ?"
            " order by rowid",
            (due,),
        )
        for row in rows:
            self._work(upto=row["ingestion_id"])
            self._finish(row["ingestion_id"])

    def work_all(self) -> None:
        """Work through all that has come."""
        self._work()

    def report(self, url: str) -> Answer | bytes:
        """What a report's link leads to: the report, or S3's 403 when the link is not ours or has expired."""
        signature = parse_qs(urlsplit(url).query).get("X-Amz-Signature", [""])[0]
        link = self.books.one("select * from report_link where signature = ?", (signature,))
        if link is None or urlsplit(url).path != f"/{REPORTS_BUCKET}/{link['key']}":
            return Answer(403, {"errorMsg": "SignatureDoesNotMatch"})
        if self.clock.now() >= link["expires_at"]:
            return Answer(403, {"errorMsg": "Request has expired"})
        return self.outbox.get_object(link["key"])

    def _fault(self, operation: str) -> str | None:
        """What befalls this call, ingestion or piece of news: the next of its kind."""
        number = 1 + int(self.books.setting(f"attempts {operation}") or 0)
        self.books.keep(f"attempts {operation}", number)
        return self.plan.fault(str(number), operation, number)

    def _upload(self, raw: bytes, kind: str = "JWO") -> Answer:
        try:
            items = upload_request.stores_of(raw)
        except ValueError as error:
            raise BadCatalogRequest(INVALID_BODY) from error
        if set(items) - self._stores_of(kind):
            raise BadCatalogRequest(ONE_BAD_STORE if len(items) == 1 else BAD_STORES)
        return self._ingest("UPLOAD", raw)

    def _cart_upload(self, raw: bytes) -> Answer:
        return self._upload(raw, "DASH_CART")

    def _archive(self, raw: bytes) -> Answer:
        body = _object(raw)
        skus, listed = body.get("itemSkus"), body.get("allApplicableStores")
        if not _texts(skus) or not _texts(listed) or len(skus or []) > ITEMS_A_REQUEST:
            raise BadCatalogRequest(INVALID_BODY)
        stores = self._stores_of("JWO")
        if set(listed or []) != stores:
            raise BadCatalogRequest(f"allApplicableStores must list all stores: {', '.join(sorted(stores))}")
        return self._ingest("ARCHIVE", raw)

    def _stores_of(self, kind: str) -> set[str]:
        return {store_id for store_id, store in self.stores.items() if store.store_type == kind}

    def _work(self, upto: str | None = None, most: int | None = None) -> None:
        """Work through requests in the order in which they came: all, or to that one, or about so many items."""
        done = 0
        while most is None or done < most:
            row = self.books.one("select * from ingestion where not worked order by rowid limit 1")
            if row is None:
                return
            with self.books:
                body = exact_json.loads(row["request"])
                results = self._add(body) if row["kind"] == "UPLOAD" else self._take_out(body)
                rejected = sum(result["status"] == "REJECTED" for result in results)
                summary = {"received": len(results), "accepted": len(results) - rejected, "rejected": rejected}
                report = {"ingestionId": row["ingestion_id"], "summary": summary, "items": results}
                self.books.execute(
                    "update ingestion set worked = 1, request = null, report = ? where ingestion_id = ?",
                    (json.dumps(report), row["ingestion_id"]),
                )
            done += len(results)
            if row["ingestion_id"] == upto:
                return

    def _add(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        items = body["catalogItems"]
        results = [_result(item["item_sku"], item["store_id"], _barcode_problem(item)) for item in items]
        accepted = [
            {"store_id": item["store_id"], "item_sku": item["item_sku"], "body": exact_json.dumps(item), "archived": 0}
            for item, result in zip(items, results, strict=True)
            if result["status"] == "ACCEPTED"
        ]
        self.books.insert("catalog_item", accepted, replace=True)
        return results

    def _take_out(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        results = []
        for sku in body["itemSkus"]:
            rows = self.books.all("select archived from catalog_item where item_sku = ?", (sku,))
            wrong = None
            if not rows:
                wrong = ("SKU_NOT_FOUND", "the SKU was never uploaded")
            elif all(row["archived"] for row in rows):
                wrong = ("SKU_ALREADY_ARCHIVED", "the SKU is archived already")
            results += [_result(sku, store_id, wrong) for store_id in sorted(body["allApplicableStores"])]
            self.books.execute("update catalog_item set archived = 1 where item_sku = ?", (sku,))
        return results

    def _status(self, raw: bytes) -> Answer:
        body = _object(raw)
        ingestion_id = body.get("ingestionId")
        row = self.books.one("select * from ingestion where ingestion_id = ?", (str(ingestion_id),))
        if not isinstance(ingestion_id, str) or row is None:
            raise BadCatalogRequest(INVALID_BODY)
        polls = row["polls"] + 1
        self.books.execute("update ingestion set polls = ? where ingestion_id = ?", (polls, ingestion_id))
        if row["status"] == "DONE":
            return Answer(200, {"processingStatus": "DONE", "reportDownloadLink": self._link(ingestion_id)})
        if row["status"] in (faults.FATAL, faults.CANCELLED):
            return Answer(200, {"processingStatus": row["status"]})
        if not row["worked"]:
            self._work(upto=ingestion_id, most=WORKED_AT_ONCE)
        worked = self.books.count("select worked from ingestion where ingestion_id = ?", (ingestion_id,))
        if worked and polls >= self.plan.catalog_polls:
            status, link = self._finish(ingestion_id)
            return Answer(200, {"processingStatus": status} | ({"reportDownloadLink": link} if link else {}))
        status = "INQUEUE" if polls == 1 else "INPROGRESS"
        self.books.execute("update ingestion set status = ? where ingestion_id = ?", (status, ingestion_id))
        return Answer(200, {"processingStatus": status})

    def _ingest(self, kind: str, raw: bytes) -> Answer:
        ingestion_id = str(uuid.uuid4())
        row = {
            "ingestion_id": ingestion_id, "kind": kind, "status": "INQUEUE", "received_at": self.clock.now(),
            "request": raw,
        }  # fmt: skip
        self.books.insert("ingestion", [row])
        return Answer(201, {"ingestionId": ingestion_id})

    def _finish(self, ingestion_id: str) -> tuple[str, str | None]:
        """Store the report, mark the ingestion done, publish the news. INPROGRESS while the bucket can't be reached."""
        ended = self._fault("catalog_ingestion")
        link = None
        if ended is None:
            row = self.books.one("select report from ingestion where ingestion_id = ?", (ingestion_id,))
            try:
                self.outbox.put_object(_report_key(ingestion_id), (row["report"] if row else "").encode())
            except (BotoCoreError, ClientError) as error:
                self.outbox.failures.append(str(error))
                return "INPROGRESS", None
            link = self._link(ingestion_id)
        status = ended or "DONE"
        self.books.execute("update ingestion set status = ? where ingestion_id = ?", (status, ingestion_id))
        news = {"ingestionId": ingestion_id, "processingStatus": status} | (
            {"reportDownloadLink": link} if link else {}
        )
        told = {faults.NOT_TOLD: 0, faults.DELIVERED_TWICE: 2}.get(self._fault("catalog_news") or "", 1)
        for _ in range(told):
            self.outbox.submit(self.outbox.publish, CATALOG_TOPIC, json.dumps(news))
        return status, link

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
