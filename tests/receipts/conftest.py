"""Shoppers and trips over a database, an Amazon that answers by script, SES by moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import boto3
import pytest
from sqlalchemy import Engine

from backroom.settings import settings
from tests.amazon.scripted_amazon import ScriptedAmazon, serving
from tests.connector_app.portal.conftest import PRIVACY_KEY
from tests.connector_app.portal.shopping import NOW, Shopping, shopping_over


@dataclass
class Desk:
    world: Shopping
    amazon: ScriptedAmazon
    queue: str

    def mails(self, trip: str) -> list[tuple[str, str]]:
        rows = self.world.rows(
            "select kind, state from receipt_mail where shopping_trip_id = :trip order by mail_id", trip=trip
        )
        return [(row["kind"], row["state"]) for row in rows]

    def just_captured(self, **asked: object) -> str:
        """A trip whose capture has become final a while ago, of whose card nothing is known yet."""
        return self.world.trip(told=False, at=NOW - timedelta(hours=2), **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def desk(database: Engine, aws_endpoint: str, module_patch: pytest.MonkeyPatch) -> Iterator[Desk]:
    amazon = ScriptedAmazon()
    with serving(amazon) as url:
        for name, value in {
            "BACKROOM_AMAZON_PAYMENTS_URL": url,
            "BACKROOM_AMAZON_ACCESS_KEY_ID": "AKIDTEST",
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY": "secret",
            "BACKROOM_PRIVACY_KEYS": PRIVACY_KEY,
            "BACKROOM_MAIL_SENDER": "receipts@backroom.test",
            "BACKROOM_MAIL_BOUNCE_QUEUE": "bounces",
        }.items():
            module_patch.setenv(name, value)
        settings.cache_clear()
        queue = boto3.client("sqs", endpoint_url=aws_endpoint).create_queue(QueueName="bounces")["QueueUrl"]
        yield Desk(shopping_over(database, settings()), amazon, queue)
