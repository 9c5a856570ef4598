"""Reading a file where Amazon keeps it: by the link that its message carries, else by our own role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from backroom.feeds.announcement import Announcement
from backroom.feeds.aws import Aws

_BLOCK = 1_000_000
_EXPIRED = (400, 403, 404)  # what S3 answers to a link that is over, or whose file it does not find
_log = structlog.get_logger()


class NotReadable(Exception):
    """The file can't be read now; it says why. Its message comes again."""


class Rewritten(Exception):
    """In a bucket without versions the key holds a newer file by now."""


@contextmanager
def open_original(aws: Aws, announcement: Announcement) -> Iterator[Iterator[bytes]]:
    """The file's bytes in blocks. Raises NotReadable, Rewritten, and botocore's errors.

    A presigned link lives for 60 minutes; one that is over is renewed by reading with our own rights.
    """
    if announcement.link is None:
        yield _by_role(aws, announcement)
        return
    if not _is_s3(aws, announcement.link):
        raise NotReadable("its message's link does not lead to S3")
    try:
        with httpx.stream("GET", announcement.link, timeout=30, follow_redirects=False) as answer:
            if answer.status_code == 200:
                yield answer.iter_bytes(_BLOCK)
                return
    except httpx.HTTPError as error:
        raise NotReadable(f"its message's link does not answer ({type(error).__name__})") from error
    if answer.status_code not in _EXPIRED:
        raise NotReadable(f"its message's link answers {answer.status_code}")
    _log.info("link_expired", file=announcement.key, status=answer.status_code)
    try:
        blocks = _by_role(aws, announcement)
    except (ClientError, BotoCoreError) as error:
        raise NotReadable(f"its message's link has expired, and our own rights do not reach it: {error}") from error
    yield blocks


def _by_role(aws: Aws, announcement: Announcement) -> Iterator[bytes]:
    version = {"VersionId": announcement.version_id} if announcement.version_id else {}
    original = aws.s3.get_object(Bucket=announcement.bucket, Key=announcement.key, **version)
    if not version and announcement.etag and original["ETag"].strip('"') != announcement.etag:
        raise Rewritten
    blocks: Iterator[bytes] = original["Body"].iter_chunks(_BLOCK)
    return blocks


def _is_s3(aws: Aws, link: str) -> bool:
    """A message must not make us fetch from anywhere else: AWS over https, or the stand-in that is set."""
    asked, own = urlsplit(link), urlsplit(aws.s3.meta.endpoint_url)
    if (asked.scheme, asked.netloc) == (own.scheme, own.netloc):
        return True
    host = asked.hostname or ""
    return (
        asked.scheme == "https"
        and host.startswith(("s3.", "s3-")) | (".s3." in host)
        and host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    )
