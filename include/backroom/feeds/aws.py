"""The AWS clients of the feeds, made in this one place and handed on as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from backroom.settings import settings


@dataclass(frozen=True)
class Aws:
    """boto3's clients (safe to share between threads) and the names of what is ours."""

    s3: Any
    sqs: Any
    feeds_bucket: str
    intraday_queue: str
    events_queue: str

    def queue_url(self, name: str) -> str:
        """The URL of one of our queues. Raises botocore's ClientError where there is none."""
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])


def aws() -> Aws:
    """By the settings: AWS itself, or the stand-in at BACKROOM_AWS_ENDPOINT_URL. Credentials by boto3's own chain."""
    config = settings()
    session = boto3.session.Session(region_name=config.aws_region)
    common: dict[str, Any] = {"endpoint_url": config.aws_endpoint_url}
    if config.aws_endpoint_url and session.get_credentials() is None:
        common |= {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}  # it looks at neither
    retries = {"mode": "standard", "total_max_attempts": 4}
    return Aws(
        s3=session.client(
            "s3",
            config=Config(s3={"addressing_style": "path"}, retries=retries, max_pool_connections=16, connect_timeout=5),
            **common,
        ),
        sqs=session.client("sqs", config=Config(retries=retries, connect_timeout=5), **common),
        feeds_bucket=config.feeds_bucket,
        intraday_queue=config.intraday_queue,
        events_queue=config.events_queue,
    )
