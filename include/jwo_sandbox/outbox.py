"""What goes out to AWS: a few threads that put objects, publish and send events while the sandbox goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from jwo_sandbox.aws_clients import client
from jwo_sandbox.aws_resources import REPORTS_BUCKET, REPORTS_KEY_ALIAS, topic_arn

ENTRIES_A_CALL = 10
"""EventBridge's own limit."""
_log = logging.getLogger(__name__)


class Outbox:
    """Sends in the background; `flush` waits until all of it has arrived."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._endpoint_url, self._region = endpoint_url, region
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="outbox")
        self._under_way: list[Future[None]] = []
        self.failures: list[str] = []

    def put_object(self, key: str, body: bytes) -> tuple[str, str | None]:
        """Put an object in Amazon's bucket, encrypted with Amazon's key; returns its ETag and version."""
        answer = self._client("s3").put_object(
            Bucket=REPORTS_BUCKET,
            Key=key,
            Body=body,
            ContentType="text/csv" if key.endswith(".csv") else "application/json",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=REPORTS_KEY_ALIAS,
        )
        return answer["ETag"].strip('"'), answer.get("VersionId")

    def get_object(self, key: str) -> bytes:
        """An object of Amazon's bucket."""
        return bytes(self._client("s3").get_object(Bucket=REPORTS_BUCKET, Key=key)["Body"].read())

    def publish(self, topic: str, message: str, subject: str | None = None) -> None:
        """Publish to one of Amazon's topics."""
        titled = {"Subject": subject} if subject else {}
        self._client("sns").publish(TopicArn=topic_arn(topic, self._region), Message=message, **titled)

    def send_events(self, entries: list[dict[str, Any]]) -> None:
        """Hand events to EventBridge, in the background."""
        for start in range(0, len(entries), ENTRIES_A_CALL):
            self.submit(self._put_events, entries[start : start + ENTRIES_A_CALL])

    def submit(self, task: Callable[..., None], *arguments: Any) -> None:
        """Do something in the background."""
        self._under_way = [future for future in self._under_way if not future.done()]
        self._under_way.append(self._threads.submit(self._guarded, task, *arguments))

    def flush(self) -> None:
        """Return when all that was handed in has been sent or has failed (then it is in `failures`)."""
        wait(self._under_way)

    def close(self) -> None:
        """Finish what was handed in."""
        self._threads.shutdown(wait=True)

    def _put_events(self, entries: list[dict[str, Any]]) -> None:
        self._client("events").put_events(Entries=entries)

    def _guarded(self, task: Callable[..., None], *arguments: Any) -> None:
        try:
            task(*arguments)
        except (BotoCoreError, ClientError) as error:
            _log.error("not sent: %s", error)
            self.failures.append(str(error))

    def _client(self, service: str) -> Any:
        return client(service, self._endpoint_url, self._region)


class KeptOutbox(Outbox):
    """Keeps events for whoever asks, in their order; there is no AWS to send them to, and files are not written."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        super().__init__(endpoint_url, region)
        self.kept: list[dict[str, Any]] = []

    def send_events(self, entries: list[dict[str, Any]]) -> None:
        """Keep them."""
        self.kept += entries

    def submit(self, task: Callable[..., None], *arguments: Any) -> None:
        """What would be sent is dropped."""
