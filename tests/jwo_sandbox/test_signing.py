"""Signatures are checked by botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jwo_sandbox.signing import BadSignature, sign, verify

URL = "https://us-east-1.test.payments.example/v1/adjust/charge"
BODY = b'{"storeId":"S"}'


def checked(changes: dict[str, Any] | None = None, *, body: bytes = BODY, age: timedelta = timedelta(0)) -> None:
    headers = sign("POST", URL, BODY, key_id="AKID", secret="secret", region="eu-west-1")
    given = {"host": "us-east-1.test.payments.example", **{name.lower(): value for name, value in headers.items()}}
    given = {**given, **(changes or {})}
    verify("POST", URL, given, body, key_id="AKID", secret="secret", now=datetime.now(UTC) + age)


def test_a_good_signature_passes() -> None:
    checked()
    checked(age=timedelta(seconds=290))


@pytest.mark.parametrize(
    ("changes", "body", "age"),
    [
        ({"authorization": ""}, BODY, 0),
        ({"authorization": "Bearer x"}, BODY, 0),
        ({"host": "elsewhere"}, BODY, 0),
        ({"x-amz-date": "yesterday"}, BODY, 0),
        ({"x-amz-date": "20260101T000000Z"}, BODY, 0),
        ({"content-type": "text/plain"}, BODY, 0),
        ({"x-amz-content-sha256": "0" * 64}, BODY, 0),
        ({}, b'{"storeId":"T"}', 0),
        ({}, BODY, 301),
        ({}, BODY, -301),
    ],
)
def test_what_was_changed_or_is_old_does_not(changes: dict[str, str], body: bytes, age: int) -> None:
    with pytest.raises(BadSignature):
        checked(changes, body=body, age=timedelta(seconds=age))


def test_another_key_does_not() -> None:
    headers = sign("POST", URL, BODY, key_id="AKID", secret="secret", region="us-east-1")
    given = {"host": "us-east-1.test.payments.example", **{name.lower(): value for name, value in headers.items()}}
    for key_id, secret in (("AKID", "other"), ("OTHER", "secret")):
        with pytest.raises(BadSignature):
            verify("POST", URL, given, BODY, key_id=key_id, secret=secret, now=datetime.now(UTC))


@pytest.mark.parametrize("path", ["/v1/adjust/charge", "/v1/a%20b", "/v1/adjust/charge?b=2&a=1"])
def test_every_path_is_checked_as_botocore_signs_it(path: str) -> None:
    url = f"https://us-east-1.test.payments.example{path}"
    headers = sign("POST", url, BODY, key_id="AKID", secret="secret", region="us-east-1")
    given = {"host": "us-east-1.test.payments.example", **{name.lower(): value for name, value in headers.items()}}
    verify("POST", url, given, BODY, key_id="AKID", secret="secret", now=datetime.now(UTC))
    with pytest.raises(BadSignature):
        verify("POST", url + "x", given, BODY, key_id="AKID", secret="secret", now=datetime.now(UTC))
