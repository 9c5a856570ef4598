"""boto3 clients for the AWS stand-in, one set per process (clients are thread-safe; sessions are not)."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

SANDBOX_KEY = "sandbox"
"""Stands in where no AWS credentials are set: the stand-in does not look at them."""


@lru_cache(maxsize=32)
def client(service: str, endpoint_url: str, region: str) -> Any:
    """A client of one service; S3 with path-style addresses, which presigned links to the stand-in need."""
    keys: dict[str, Any] = {}
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        keys = {"aws_access_key_id": SANDBOX_KEY, "aws_secret_access_key": SANDBOX_KEY}
    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        config=Config(
            s3={"addressing_style": "path"},
            signature_version="s3v4" if service == "s3" else None,
            max_pool_connections=32,
            retries={"max_attempts": 3, "mode": "standard"},
            connect_timeout=5,
            read_timeout=30,
        ),
        **keys,
    )
