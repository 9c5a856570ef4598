"""One look at the retailer's price files, in a folder or under an S3 prefix: copies that can't change while read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backroom.errors import ConfigurationError, SourceFileError
from backroom.settings import Settings

FILES = ("prices.csv", "promotions.csv", "taxes.csv")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class PriceFile:
    """A copy of one file. `origin` is where it came from, as people know it; `sha256` is of its bytes."""

    name: str
    copy: Path
    origin: str
    sha256: str


@dataclass(frozen=True)
class Look:
    """What was found: the files that are there, and the names of those that were written to meanwhile."""

    files: tuple[PriceFile, ...]
    being_written: tuple[str, ...] = ()


def where(config: Settings) -> str:
    """The configured source: a folder or s3://bucket/prefix."""
    return config.price_source or str(config.home / "world")


@contextmanager
def look(source: str, *, s3: Any = None) -> Iterator[Look]:
    """The files as they are now, gone again at the end. A file that is not there is not in the answer.

    `s3` is a boto3 client, needed for an s3:// source only. Raises SourceFileError where the source does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="prices-") as folder:
        if source.startswith("s3://"):
            if s3 is None:
                raise ConfigurationError(f"{source}: no S3 client")
            yield _from_s3(s3, source, Path(folder))
        else:
            yield _from_folder(Path(source), Path(folder))


def _from_folder(source: Path, target: Path) -> Look:
    files, being_written = [], []
    for name in FILES:
        original, copy = source / name, target / name
        try:
            before = original.stat()
            digest = _copy(original, copy)
            after = original.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceFileError(f"{original}: {error.strerror or error}") from error
        if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
            being_written.append(name)
        else:
            files.append(PriceFile(name, copy, str(original), digest))
    return Look(tuple(files), tuple(being_written))


def _copy(original: Path, copy: Path) -> str:
    digest = hashlib.sha256()
    with original.open("rb") as reading, copy.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()


def _from_s3(s3: Any, source: str, target: Path) -> Look:
    """An object of S3 is whole or not there, so that none is caught half-written."""
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    files = []
    for name in FILES:
        key = f"{prefix.rstrip('/')}/{name}".lstrip("/")
        copy = target / name
        try:
            s3.download_file(bucket, key, str(copy))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                continue
            raise SourceFileError(f"s3://{bucket}/{key}: {error.response['Error']['Code']}") from error
        except (BotoCoreError, OSError) as error:
            raise SourceFileError(f"s3://{bucket}/{key}: {type(error).__name__}; is the store of files up?") from error
        with copy.open("rb") as reading:
            digest = hashlib.file_digest(reading, "sha256").hexdigest()
        files.append(PriceFile(name, copy, f"s3://{bucket}/{key}", digest))
    return Look(tuple(files))
