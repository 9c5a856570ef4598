"""Signed JSON calls to Amazon over one connection pool. Thread-safe; never retries by itself."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection, Generator, Mapping
from typing import Any, Final

import botocore.session
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from backroom.amazon import exact_json
from backroom.amazon.authorities import authorities
from backroom.amazon.outcomes import Answer, Outcome, Problem, judge
from backroom.errors import ConfigurationError
from backroom.settings import Settings

SERVICE: Final = "execute-api"
AMAZONS_DOMAIN: Final = ".amazonphysicalstores.com"
MAX_ANSWER_BYTES: Final = 1_000_000
CONNECT_SECONDS: Final = 3.0


_STARTED: Final = "backroom.started"


class _StoodStill(Exception):
    """Nothing was sent."""


class Signature(httpx.Auth):
    """Signs each request by SigV4, with botocore's own signer; temporary credentials are renewed by botocore."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds Authorization, X-Amz-Date and, with temporary credentials, X-Amz-Security-Token."""
        signed = AWSRequest(
            request.method,
            str(request.url),
            data=request.content,
            headers={"Host": request.url.netloc.decode(), "Content-Type": "application/json"},
        )
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(signed)
        for name, value in signed.headers.items():
            request.headers[name] = value
        yield request


class Transport:
    """POSTs JSON to one base URL and tells the outcome of each call apart."""

    def __init__(self, base_url: str, config: Settings, *, successes: Collection[int] = (200, 201)) -> None:
        """`successes`: the statuses that the service publishes for yes; no other is one.

        Raises ConfigurationError where there are no credentials or the URL is not one.
        """
        url = parsed(base_url)
        self._successes = successes
        self._timeout = config.amazon_timeout_seconds
        self._signature = Signature(credentials(config), region_of(url.host, config))
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout)),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=5),
            headers={"User-Agent": "backroom", "Accept": "application/json"},
            trust_env=False,
            verify=authorities(),
            event_hooks={"request": [self._not_too_late]},
        )

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any] | bytes) -> Answer:
        """One attempt. It ends within about the connect time-out and twice the read time-out, whatever comes.

        `body`: a value to be written as exact JSON, or JSON that is written already.
        """
        started = time.perf_counter()
        return self.send(self.signed(path, body), started=started)

    def signed(self, path: str, body: Mapping[str, Any] | bytes) -> httpx.Request:
        """A request that is ready to leave; good for about five minutes."""
        content = body if isinstance(body, bytes) else exact_json.dumps(body).encode()
        request = self._client.build_request(
            "POST", path, content=content, headers={"Content-Type": "application/json"}
        )
        return next(self._signature.auth_flow(request))

    def send(self, request: httpx.Request, *, started: float | None = None) -> Answer:
        """As `post`, of a request of `signed`. `started`: when it was asked for, by time.perf_counter; unset: now."""
        started = time.perf_counter() if started is None else started
        request.extensions[_STARTED] = started
        response: httpx.Response | None = None
        try:
            response = self._client.send(request, auth=None, stream=True)
            raw = self._read(response, started)
        except (_StoodStill, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return broken(Outcome.NOT_SENT, Problem.UNREACHABLE, error, started)
        except (httpx.TimeoutException, TimeoutError) as error:
            return broken(Outcome.UNKNOWN, Problem.TIMED_OUT, error, started)
        except httpx.HTTPError as error:
            return broken(Outcome.UNKNOWN, Problem.CONNECTION_LOST, error, started)
        finally:
            if response is not None:
                response.close()
        return understood(
            response.status_code, raw, response.headers.get("Retry-After"), started, successes=self._successes
        )

    def _not_too_late(self, request: httpx.Request) -> None:
        """Right before a request leaves: whoever was frozen since it was asked for must not send it any more."""
        if time.perf_counter() - request.extensions[_STARTED] > self._timeout:
            raise _StoodStill("this process stood still before it could send")

    def _read(self, response: httpx.Response, started: float) -> bytes:
        raw = bytearray()
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > MAX_ANSWER_BYTES:
                raise httpx.ReadError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.perf_counter() - started > 2 * self._timeout:
                raise TimeoutError(f"the answer took longer than {2 * self._timeout} s")
        return bytes(raw)


def parsed(base_url: str) -> httpx.URL:
    """The URL. Raises ConfigurationError where it is not an http or https URL with a host."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{base_url!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{base_url!r} is not the URL of a service; write https://host")
    return url


def require_deliberate(base_url: str, config: Settings) -> None:
    """Raises ConfigurationError for a payment host that moves real money without the setting that says so.

    Loopback and hosts with a label `test` are for trying (payments.md).
    """
    url = parsed(base_url)
    if is_loopback(url.host) or "test" in url.host.split("."):
        return
    if not config.amazon_real_money:
        raise ConfigurationError(
            f"payment calls to {url.host} move real money; set BACKROOM_AMAZON_REAL_MONEY=true if that is meant, "
            "else use the test host"
        )
    if url.scheme != "https":
        raise ConfigurationError(f"payment calls to {url.host} need https")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def region_of(host: str, config: Settings) -> str:
    """The region to sign for: the first label of Amazon's own hosts, the setting elsewhere."""
    return host.split(".", maxsplit=1)[0] if host.endswith(AMAZONS_DOMAIN) else config.amazon_region


def credentials(config: Settings) -> Credentials:
    """The configured key, else whatever boto's chain finds (environment, profile, role). ConfigurationError if none."""
    if config.amazon_access_key_id is not None:
        if config.amazon_secret_access_key is None:
            raise ConfigurationError("BACKROOM_AMAZON_ACCESS_KEY_ID is set; set BACKROOM_AMAZON_SECRET_ACCESS_KEY too")
        token = config.amazon_session_token
        return Credentials(
            config.amazon_access_key_id,
            config.amazon_secret_access_key.get_secret_value(),
            token.get_secret_value() if token is not None else None,
        )
    found = botocore.session.get_session().get_credentials()
    if found is None:
        raise ConfigurationError(
            "no credentials for Amazon's APIs; set BACKROOM_AMAZON_ACCESS_KEY_ID and "
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY, or give this process an AWS role"
        )
    return found


def understood(
    status: int, raw: bytes, retry_after: str | None, started: float, *, successes: Collection[int]
) -> Answer:
    """What a whole HTTP answer means; a yes that is no JSON is unknown. `started` by time.perf_counter."""
    try:
        body = exact_json.loads(raw) if raw.strip() else None
    except ValueError as error:
        if status in successes:
            return broken(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, error, started, status)
        body = None
    return judge(status, body, retry_after, time.perf_counter() - started, successes=successes)


def broken(outcome: Outcome, problem: Problem, error: Exception, started: float, status: int | None = None) -> Answer:
    """A call without an answer that can be read. `started` by time.perf_counter."""
    message = str(error) or type(error).__name__
    return Answer(outcome, problem, status, message=message, latency_seconds=time.perf_counter() - started)
