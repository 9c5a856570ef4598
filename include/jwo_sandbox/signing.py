"""AWS Signature Version 4, both ways, by botocore's own signer; a plain call is checked by a short cut of the same."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERVICE = "execute-api"
SKEW_SECONDS = 300
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_/-]+")
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
        signed_at = datetime.fromisoformat(stamp) if _STAMP.fullmatch(stamp) else None
    except ValueError as error:
        raise BadSignature("X-Amz-Date is missing or malformed") from error
    if signed_at is None:
        raise BadSignature("X-Amz-Date is missing or malformed")
    if not scope.startswith(stamp[:8]):
        raise BadSignature("the credential's date is not that of X-Amz-Date")
    if abs((now - signed_at).total_seconds()) > SKEW_SECONDS:
        raise BadSignature(f"signed at {stamp}, more than {SKEW_SECONDS} s from now")


def _signature(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, secret: str, region: str, stamp: str
) -> str:
    path = url.split("/", 3)[-1]
    if _PLAIN_PATH.fullmatch(path):
        return _plain_signature(method, f"/{path}", headers, body, secret=secret, region=region, stamp=stamp)
    signer = SigV4Auth(Credentials("", secret), SERVICE, region)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    request.context["timestamp"] = stamp
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


def _plain_signature(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, secret: str, region: str, stamp: str
) -> str:
    """The same for a path that needs no encoding and has no query: most of a call's time would go into generality."""
    names = sorted(headers)
    canonical = "\n".join(
        [
            method,
            path,
            "",
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{SERVICE}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.new(
        _key(secret, stamp[:8], region), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
    ).hexdigest()


@lru_cache(maxsize=64)
def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
