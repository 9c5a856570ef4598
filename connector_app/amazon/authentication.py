"""Who may call. Three modes (`BACKROOM_CONNECTOR_AUTH`), one question: why is this call refused?

gateway  API Gateway has checked IAM. Its secret header proves that the call came through it; the caller's ARN, which
         it passes on, is held against the allow-list of that path.
sigv4    The signature is checked here: botocore's own signer over what was received, compared in constant time.
off      Nothing is checked (development only; the settings refuse it elsewhere).
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from flask import Request

from backroom.clock import Clock
from backroom.errors import ConfigurationError
from backroom.settings import Settings
from connector_app.amazon.body import Body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SERVICE = "execute-api"
SECRET_HEADER = "X-Backroom-Gateway-Secret"  # noqa: S105 - the header's name
CALLER_HEADER = "X-Caller-Arn"
_SECRET, _CALLER = (f"HTTP_{name.upper().replace('-', '_')}" for name in (SECRET_HEADER, CALLER_HEADER))

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,\s*"
    r"SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)
_ASSUMED_ROLE = re.compile(r"arn:([a-z-]+):sts::([0-9]{12}):assumed-role/([^/]+)/.+")
_ROLE = re.compile(r"arn:([a-z-]+):iam::([0-9]{12}):role/(?:.+/)?([^/]+)")


class Authenticator(Protocol):
    """Decides on a call before its body is looked at."""

    def refusal(self, environ: WSGIEnvironment, room: str, body: Body) -> str | None:
        """Why the call is refused; None where it is let through.

        `room` is the blueprint that serves the path, `body` as it was received.
        """


def authenticator_for(config: Settings, clock: Clock) -> Authenticator:
    """The one that the settings ask for. Raises ConfigurationError where it lacks what it needs."""
    if config.connector_auth == "off":
        return Everyone()
    if config.connector_auth == "gateway":
        allowed = {
            "identity": config.connector_identity_arns,
            "order": config.connector_ordering_arns,
            "fraud_and_abuse": config.connector_authorization_arns,
        }
        if config.connector_gateway_secret is None or not any(allowed.values()):
            raise ConfigurationError(
                "BACKROOM_CONNECTOR_AUTH=gateway needs BACKROOM_CONNECTOR_GATEWAY_SECRET and the roles of Amazon in "
                "BACKROOM_CONNECTOR_IDENTITY_ARNS and BACKROOM_CONNECTOR_ORDERING_ARNS"
            )
        return Gateway(config.connector_gateway_secret.get_secret_value(), allowed)
    if config.connector_secret_access_key is None:
        raise ConfigurationError("BACKROOM_CONNECTOR_AUTH=sigv4 needs BACKROOM_CONNECTOR_SECRET_ACCESS_KEY")
    return SignatureV4(
        config.connector_access_key_id,
        config.connector_secret_access_key.get_secret_value(),
        region=config.amazon_region,
        skew=timedelta(seconds=config.connector_clock_skew_seconds),
        clock=clock,
    )


class Everyone:
    """Lets everyone through."""

    def refusal(self, environ: WSGIEnvironment, room: str, body: Body) -> str | None:
        """Never refuses."""
        return None


class Gateway:
    """Trusts API Gateway, and of its callers those that are on the path's list."""

    def __init__(self, secret: str, allowed: dict[str, list[str]]) -> None:
        """`allowed`: ARNs by the blueprint that serves the path."""
        self._secret = secret.encode()
        self._allowed = {path: tuple(arns) for path, arns in allowed.items()}

    def refusal(self, environ: WSGIEnvironment, room: str, body: Body) -> str | None:
        """Refuses what did not come through the gateway, and callers that are not on the path's list."""
        given = environ.get(_SECRET, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._secret):
            return "the call did not come through the gateway"
        if not is_allowed(environ.get(_CALLER, ""), self._allowed.get(room, ())):
            return "the caller is not on this path's list"
        return None


class SignatureV4:
    """Checks Signature Version 4 over the request as received."""

    def __init__(self, access_key_id: str, secret: str, *, region: str, skew: timedelta, clock: Clock) -> None:
        """One caller, by its key pair; times within `skew` of `clock` are taken."""
        self._credentials = Credentials(access_key_id, secret)
        self._region = region
        self._skew = skew
        self._clock = clock

    def refusal(self, environ: WSGIEnvironment, room: str, body: Body) -> str | None:
        """Refuses a missing, malformed, foreign, stale or wrong signature."""
        request, body_sha256 = Request(environ), body.sha256
        found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None:
            return "no Signature Version 4 in the Authorization header"
        key_id, day, region, service, signed_names, signature = found.groups()
        names = signed_names.split(";")
        stamp = request.headers.get("X-Amz-Date", "")
        claimed = request.headers.get("X-Amz-Content-SHA256", body_sha256)
        if not _same(key_id, self._credentials.access_key) or (region, service) != (self._region, SERVICE):
            return "unknown access key, region or service"
        if not self._in_time(stamp, day):
            return "X-Amz-Date is missing, malformed or too far from our time"
        if not {"host", "x-amz-date"} <= set(names) <= {name.lower() for name, _ in request.headers}:
            return "a header that must be signed is not"
        if body_sha256 is None or claimed != body_sha256 or not self._signed(request, names, body_sha256, signature):
            return "the signature does not match"
        return None

    def _in_time(self, stamp: str, day: str) -> bool:
        try:
            at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return False
        return stamp.startswith(day) and abs(self._clock() - at) <= self._skew

    def _signed(self, request: Request, names: list[str], body_sha256: str, signature: str) -> bool:
        query = request.query_string.decode("latin-1")
        received = AWSRequest(
            method=request.method,
            url=f"https://connector{request.path}" + (f"?{query}" if query else ""),
            headers={name: request.headers[name] for name in names},
        )
        received.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = _SignerOfReceived(self._credentials, self._region, body_sha256)
        expected = signer.signature(signer.string_to_sign(received, signer.canonical_request(received)), received)
        return _same(expected, signature)


class _SignerOfReceived(SigV4Auth):
    """botocore's signer, with the hash of the body that was read off the wire."""

    def __init__(self, credentials: Credentials, region: str, body_sha256: str) -> None:
        super().__init__(credentials, SERVICE, region)
        self._body_sha256 = body_sha256

    def payload(self, request: Any) -> str:
        return self._body_sha256


@lru_cache(maxsize=256)
def is_allowed(caller: str, allowed: tuple[str, ...]) -> bool:
    """Whether the ARN is on the list: as it is, or as a session of a role on it (whose ARN has another shape)."""
    session = _ASSUMED_ROLE.fullmatch(caller)
    for entry in allowed:
        role = _ROLE.fullmatch(entry)
        if _same(caller, entry) or (session and role and session.groups() == role.groups()):
            return True
    return False


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape"))
