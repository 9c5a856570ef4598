"""A small world for the feeds: one store, Amazon's bucket, our bucket and queues on moto, and hand-written files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sqlalchemy import Engine, text

from backroom.db.embedded import free_port
from backroom.feeds.aws import Aws
from backroom.feeds.layout import columns

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
AMAZON = "amazon-reports"
STORE = "STORE-001"


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """AWS, played by moto over HTTP."""
    from moto.server import ThreadedMotoServer

    os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_endpoint: str) -> Iterator[Aws]:
    """Fresh buckets (Amazon's with versions) and queues with their dead-letter queues."""
    common: dict[str, Any] = {"endpoint_url": moto_endpoint, "region_name": "us-east-1"}
    s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}), **common)
    sqs = boto3.client("sqs", **common)
    for bucket in (AMAZON, "backroom-feeds"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=AMAZON, VersioningConfiguration={"Status": "Enabled"})
    for name in ("backroom-intraday", "backroom-events"):
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
        sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "30"})
    yield Aws(s3, sqs, "backroom-feeds", "backroom-intraday", "backroom-events")
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto_endpoint}/moto-api/reset", method="POST")).close()


@pytest.fixture
def clean(database: Engine) -> Engine:
    """The module's database with one store and nothing else of the feeds."""
    with database.begin() as connection:
        connection.execute(
            text(
                "truncate feed_file, feed_file_day, feed_quarantine, feed_event, amazon_order,"
                " amazon_order_line, day_release, alert, purchase, store cascade"
            )
        )
        for store, zone in ((STORE, "America/New_York"), ("STORE-002", "America/Los_Angeles")):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                    " preauthorization_amount, feeds) values (:store, 'A shop', 'acme', :zone, 'USD', 'NY',"
                    " 'RETAILER_MANAGED', 75, '{FILES}')"
                ),
                {"store": store, "zone": zone},
            )
    return database


def order(
    order_id: str = "o-1", *lines: tuple[str, str], total: str | None = None, **changes: str
) -> list[dict[str, str]]:
    """An order's rows. A line is (price, tax); the total is their sum unless told."""
    given = lines or (("5.00", "0.40"), ("2.50", "0.20"))
    added = sum((Decimal(price) + Decimal(tax) for price, tax in given), Decimal(0))
    return [
        {
            "orderId": order_id,
            "shoppingTripId": f"trip-{order_id}",
            "storeId": STORE,
            "orderStatus": "OPEN",
            "entryMethod": "APP",
            "tripStartTime": "2026-03-01T15:00:00Z",
            "tripEndTime": "2026-03-01T15:10:00Z",
            "lineNumber": str(number),
            "merchantSku": f"SKU-{number}",
            "quantityValue": "1",
            "quantityUnit": "unit",
            "priceValue": price,
            "taxValue": tax,
            "listPriceValue": price,
            "promotionValue": "0.00",
            "currency": "USD",
            "orderTotal": total or str(added),
            "authorizedAmount": "75.00",
            "capturedAmount": "0.00",
            "refundedAmount": "0.00",
            "cardBrand": "VISA",
            "cardLastFourDigits": "4242",
            "reconciliationId": "",
            "updatedAt": "2026-03-01T15:11:00Z",
        }
        | changes
        for number, (price, tax) in enumerate(given, start=1)
    ]


def as_csv(rows: list[dict[str, str]], header: list[str] | None = None) -> bytes:
    """The rows as Amazon writes them."""
    names = header or list(columns())
    lines = [",".join(names)] + [",".join(row.get(name, "") for name in names) for row in rows]
    return ("\n".join(lines) + "\n").encode()


@dataclass
class Amazon:
    """Writes files into Amazon's bucket and announces them."""

    aws: Aws
    written: int = field(default=0)

    def write(
        self, content: bytes, window: str = "20260301_1515", store: str = STORE, **announcing: Any
    ) -> dict[str, Any]:
        """Put a file under its key and announce it. Returns the announcement."""
        key = f"acme/{store}/orders_{window}.csv"
        version = self.aws.s3.put_object(Bucket=AMAZON, Key=key, Body=content).get("VersionId")
        self.written += 1
        record = {
            "eventName": "ObjectCreated:CompleteMultipartUpload",
            "eventTime": "2026-03-01T15:20:00.000Z",
            "s3": {
                "bucket": {"name": AMAZON},
                "object": {"key": key.replace("/", "%2F"), "sequencer": f"{self.written:016X}", "versionId": version},
            },
        }
        if announcing.get("announce", True):
            self.announce(record)
        return record

    def announce(self, record: dict[str, Any]) -> None:
        """An S3 event in an SNS notification, to our queue."""
        body = {
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:jwo-reports",
            "Subject": "Amazon S3 Notification",
            "Message": json.dumps({"Records": [record]}),
        }
        self.send(json.dumps(body))

    def send(self, body: str, queue: str | None = None) -> None:
        """Any message."""
        self.aws.sqs.send_message(QueueUrl=self.aws.queue_url(queue or self.aws.intraday_queue), MessageBody=body)

    def waiting(self, queue: str) -> int:
        """Messages in a queue, received ones included."""
        counted = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.aws.queue_url(queue),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(value) for value in counted.values())


@pytest.fixture
def amazon(aws: Aws) -> Amazon:
    """Amazon's side of the feeds."""
    return Amazon(aws)
