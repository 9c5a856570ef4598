"""AWS Signature Version 4, both ways, by botocore's own signer."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERVICE = "execute-api"
SKEW_SECONDS = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/(?P<scope>\d{8}/[^/]+/[^/]+/aws4_request), ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class BadSignature(Exception):
    """A call that is not signed by the key that we know; the message says what is wrong with it."""


def sign(method: str, url: str, body: bytes, *, key_id: str, secret: str, region: str) -> dict[str, str]:
    """Headers of a signed JSON call."""
    request = AWSRequest(method=method, url=url, data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(Credentials(key_id, secret), SERVICE, region).add_auth(request)
    return dict(request.headers.items())


def verify(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, key_id: str, secret: str, now: datetime
) -> None:
    """Raise BadSignature unless the call was signed with our key within five minutes of `now` (UTC).

    `headers` has lower-case names. Any region is accepted: it is the first label of the host that was called.
    """
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise BadSignature("no AWS4-HMAC-SHA256 signature in the Authorization header")
    stamp = headers.get("x-amz-date", "")
    names = found["headers"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        raise BadSignature("Host and X-Amz-Date must be signed")
    _check_time(stamp, found["scope"], now)
    claimed = headers.get("x-amz-content-sha256")
    if claimed is not None and claimed != hashlib.sha256(body).hexdigest():
        raise BadSignature("X-Amz-Content-SHA256 is not the body's")
    _, region, service, _ = found["scope"].split("/")
    if service != SERVICE:
        raise BadSignature(f"signed for {service}, not for {SERVICE}")
    expected = _signature(
        method, url, {name: headers.get(name, "") for name in names}, body, secret=secret, region=region, stamp=stamp
    )
    same_key = hmac.compare_digest(found["key"], key_id)
    if not (hmac.compare_digest(expected, found["signature"]) and same_key):
        raise BadSignature("the signature is not ours")


def _check_time(stamp: str, scope: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadSignature("X-Amz-Date is missing or malformed") from error
    if not scope.startswith(stamp[:8]):
        raise BadSignature("the credential's date is not that of X-Amz-Date")
    if abs((now - signed_at).total_seconds()) > SKEW_SECONDS:
        raise BadSignature(f"signed at {stamp}, more than {SKEW_SECONDS} s from now")


def _signature(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, secret: str, region: str, stamp: str
) -> str:
    signer = SigV4Auth(Credentials("", secret), SERVICE, region)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    request.context["timestamp"] = stamp
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))
