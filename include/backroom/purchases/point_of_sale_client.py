"""The connections to the stores' points of sale: one pool a process, safe to share between threads."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from backroom.settings import Settings

MAX_ANSWER_BYTES = 4_000_000  # a cart of 1,000 lines with several promotions each takes less than one


class NoAnswer(Exception):
    """No usable answer came: refused, cut off, too late, too long, another status than 200. Says which."""


@dataclass(frozen=True)
class Patience:
    """Time-outs in seconds: to connect, of a silence, and for the whole call with its repeat."""

    connect: float
    read: float
    total: float

    @classmethod
    def of(cls, config: Settings) -> Patience:
        """As configured."""
        return cls(
            config.point_of_sale_connect_seconds, config.point_of_sale_read_seconds, config.point_of_sale_total_seconds
        )


def make_client(config: Settings) -> httpx.Client:
    """A client with the configured bearer secret. It follows no redirect, uses no proxy and unpacks nothing."""
    headers = {"User-Agent": "backroom", "Accept-Encoding": "identity"}
    if config.point_of_sale_secret is not None:
        headers["Authorization"] = f"Bearer {config.point_of_sale_secret.get_secret_value()}"
    return httpx.Client(
        headers=headers,
        timeout=httpx.Timeout(config.point_of_sale_read_seconds, connect=config.point_of_sale_connect_seconds),
        limits=httpx.Limits(max_connections=128, max_keepalive_connections=64, keepalive_expiry=5),
        trust_env=False,
    )


def ask(client: httpx.Client, url: str, content: bytes, *, key: str, patience: Patience) -> bytes:
    """POSTs JSON and returns the body of a 200. Raises NoAnswer within about `patience.total`.

    `key` makes it safe to repeat, which is done once where the connection was cut: a kept one may just have been
    closed by the other side.
    """
    ends_at = time.monotonic() + patience.total
    for repeated in (False, True):
        try:
            return _once(client, url, content, key, patience, ends_at)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            if repeated or time.monotonic() >= ends_at:
                raise NoAnswer(f"the connection was cut ({type(error).__name__})") from error
        except httpx.ConnectError as error:
            raise NoAnswer("no connection") from error
        except httpx.TimeoutException as error:
            raise NoAnswer(f"too slow ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NoAnswer(type(error).__name__) from error
    raise NoAnswer("no answer")


def _once(client: httpx.Client, url: str, content: bytes, key: str, patience: Patience, ends_at: float) -> bytes:
    left = max(0.001, ends_at - time.monotonic())
    connect = min(patience.connect, left)
    with client.stream(
        "POST",
        url,
        content=content,
        headers={"Content-Type": "application/json", "Idempotency-Key": quote(key, safe="")},
        timeout=httpx.Timeout(connect, read=min(patience.read, left)),
    ) as response:
        if response.status_code != 200:
            raise NoAnswer(f"it answers {response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise NoAnswer("its answer is packed, which was not asked for")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise NoAnswer(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > ends_at:
                raise NoAnswer(f"its answer was not whole after {patience.total} s")
        return bytes(body)
