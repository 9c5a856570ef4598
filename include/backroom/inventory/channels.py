"""How the point of sale is told: by a call, or by a file in a folder or in S3. One attempt each, no retry.

Each may be repeated without harm: a call bears the export's id as its key, a file its name.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx

from backroom.amazon.outcomes import Outcome
from backroom.errors import ConfigurationError

_DONE: Final = frozenset({200, 201, 202, 204})
# A no to what we said. 409 is none: it means that the first copy of the call is still being worked on.
_REFUSED: Final = frozenset({400, 406, 410, 411, 412, 413, 414, 415, 422, 431})
_CONNECT_SECONDS: Final = 3.0
_MOST_ANSWER_BYTES: Final = 100_000
_KEPT_OF_AN_ANSWER: Final = 300


@dataclass(frozen=True)
class Attempt:
    """One attempt's end. `answer` is for the record and for who reads the alert.

    `turned_away`: the point of sale answered without looking at what was sent (no right, no such path, too often, a
    redirect). Nothing has been recorded there; the same export is tried again, and someone has to look.
    """

    outcome: Outcome
    answer: str
    turned_away: bool = False


class Channel(Protocol):
    """A way to tell one store's point of sale."""

    @property
    def name(self) -> str:
        """HTTP or FILE: also the form of what it tells."""

    def tell(self, export_id: int, store_id: str, body: str) -> Attempt:
        """One attempt. Raises nothing that has to do with the other side."""


@dataclass(frozen=True)
class HttpChannel:
    """`POST {base_url}/stock-movements` with `Idempotency-Key`. `seconds`: the longest silence; then it is unknown."""

    client: httpx.Client
    base_url: str
    seconds: float
    name: str = "HTTP"

    def tell(self, export_id: int, store_id: str, body: str) -> Attempt:
        """Done by 200, 201, 202 or 204; what any other answer means is in docs/inventory.md."""
        started = time.monotonic()
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(export_id)}
        timeout = httpx.Timeout(self.seconds, connect=min(_CONNECT_SECONDS, self.seconds))
        try:
            with self.client.stream(
                "POST", f"{self.base_url.rstrip('/')}/stock-movements", content=body.encode(), headers=headers,
                timeout=timeout,
            ) as response:  # fmt: skip
                return _judge(response.status_code, self._read(response, started))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            return Attempt(Outcome.NOT_SENT, f"not reached: {error or type(error).__name__}")
        except httpx.InvalidURL as error:
            return Attempt(Outcome.NOT_SENT, f"the store's point_of_sale_url is not a URL: {error}", turned_away=True)
        except (httpx.HTTPError, TimeoutError) as error:  # its text may quote a header: only its kind is kept
            return Attempt(Outcome.UNKNOWN, f"no answer: {type(error).__name__}")

    def _read(self, response: httpx.Response, started: float) -> str:
        """The beginning of the answer, as far as it comes: the status alone decides."""
        raw = bytearray()
        try:
            for chunk in response.iter_bytes():
                raw += chunk
                if len(raw) > _MOST_ANSWER_BYTES or time.monotonic() - started > 2 * self.seconds:
                    break
        except httpx.HTTPError as error:
            raw += f" ({type(error).__name__})".encode()
        return raw.decode("utf-8", "replace").replace("\0", "")


@dataclass(frozen=True)
class FolderChannel:
    """A CSV file in a folder: whole or not there at all, and on the disk before it counts."""

    folder: Path
    name: str = "FILE"

    def tell(self, export_id: int, store_id: str, body: str) -> Attempt:
        """Done when the file is in place; a repeat puts the same bytes under the same name."""
        target = self.folder / file_name(export_id, store_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(body.encode())
                    file.flush()
                    os.fsync(file.fileno())
                Path(part).chmod(0o644)
                Path(part).replace(target)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
            _sync_folder(self.folder)
        except OSError as error:
            return Attempt(Outcome.NOT_SENT, f"{target} can't be written: {error.strerror or error}")
        return Attempt(Outcome.SUCCEEDED, str(target))


@dataclass(frozen=True)
class S3Channel:
    """A CSV file in a bucket, under a prefix."""

    s3: Any
    bucket: str
    prefix: str
    name: str = "FILE"

    def tell(self, export_id: int, store_id: str, body: str) -> Attempt:
        """Done when S3 says so; S3 shows an object whole or not at all."""
        from botocore.exceptions import BotoCoreError, ClientError

        key = f"{self.prefix}{file_name(export_id, store_id)}"
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode(), ContentType="text/csv; charset=utf-8")
        except ClientError as error:
            problem = error.response.get("Error", {}).get("Code", "?")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            outcome = Outcome.UNKNOWN if status >= 500 else Outcome.NOT_SENT
            return Attempt(outcome, f"s3://{self.bucket}/{key}: {problem}", turned_away=status < 500)
        except BotoCoreError as error:
            return Attempt(Outcome.UNKNOWN, f"s3://{self.bucket}/{key}: {type(error).__name__}")
        return Attempt(Outcome.SUCCEEDED, f"s3://{self.bucket}/{key}")


def file_channel(target: str, *, s3: Callable[[], Any]) -> FolderChannel | S3Channel:
    """By the form of `target`: `s3://bucket/prefix`, or a folder. `s3` makes the client where one is needed.

    Raises ConfigurationError for an S3 URL without a bucket and for another kind of URL.
    """
    if target.startswith("s3://"):
        bucket, _, prefix = target.removeprefix("s3://").partition("/")
        if not bucket:
            raise ConfigurationError(f"{target!r} names no bucket; write s3://bucket/prefix")
        return S3Channel(s3(), bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")
    if "://" in target:
        raise ConfigurationError(f"{target!r} is neither a folder nor s3://bucket/prefix")
    return FolderChannel(Path(target))


def file_name(export_id: int, store_id: str) -> str:
    """Unique by the export's id, in order of name; the store's id, which may hold anything, is made safe and cut."""
    return f"stock-{export_id:012d}-{quote(store_id, safe='')[:100]}.csv"


def _judge(status: int, text: str) -> Attempt:
    answer = f"HTTP {status}: {' '.join(text.split())[:_KEPT_OF_AN_ANSWER]}".rstrip(": ")
    if status in _DONE:
        return Attempt(Outcome.SUCCEEDED, answer)
    if status in _REFUSED:
        return Attempt(Outcome.REFUSED, answer)
    if status in {401, 403, 404, 405, 407, 421, 426, 429} or 300 <= status < 400:
        return Attempt(Outcome.NOT_SENT, answer, turned_away=True)
    return Attempt(Outcome.UNKNOWN, answer)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
