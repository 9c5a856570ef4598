"""Where the catalog comes from: a folder, an S3 prefix or a query; in parts that are read one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import ArgumentError

from backroom.catalog import readers
from backroom.catalog.mapping import SourceMapping, load_mapping
from backroom.catalog.readers import SourceRow
from backroom.errors import ConfigurationError, SourceFileError
from backroom.settings import Settings

READERS: dict[str, Callable[[Path, SourceMapping], Iterator[SourceRow]]] = {
    ".csv": readers.read_csv,
    ".parquet": readers.read_parquet,
    ".json": readers.read_json,
    ".jsonl": readers.read_json,
    ".ndjson": readers.read_json,
}
_KINDS = ".csv, .parquet, .json or .jsonl"


@dataclass(frozen=True)
class Part:
    """A file, or a query. `store` is the one store whose rows it may hold; None: any of ours."""

    name: str
    store: str | None
    rows: Callable[[], Iterator[SourceRow]]


@dataclass(frozen=True)
class Source:
    """`place` is a folder, s3://bucket/prefix, or `sql`, as people know it. `s3` is a boto3 client, for S3 only."""

    place: str
    mapping: SourceMapping = field(default_factory=SourceMapping)
    database_url: str = ""
    s3: Any = None


def configured(config: Settings, place: str = "") -> Source:
    """The source of the settings, or `place` read as they say. Raises SourceFileError for a bad mapping file."""
    place, s3 = place or config.catalog_source_place, None
    if place.startswith("s3://"):
        from backroom.feeds.aws import aws

        s3 = aws().s3
    url = config.catalog_database_url
    return Source(place, load_mapping(config.catalog_mapping), url.get_secret_value() if url else "", s3)


def require_place(source: Source) -> None:
    """Raises SourceFileError for a folder that is not there; a bucket or a database is asked when it is opened."""
    if source.place != "sql" and not source.place.startswith("s3://") and not Path(source.place).is_dir():
        raise SourceFileError(
            f"catalog folder {source.place} does not exist; put the store files there or set BACKROOM_CATALOG_SOURCE"
        )


@contextmanager
def opened(source: Source, stores: Sequence[str], only_store: str | None = None) -> Iterator[list[Part]]:
    """The source's parts, all of them or those that may hold `only_store`.

    Raises SourceFileError where there are none, where one of `stores` has no file, or where it does not answer.
    """
    if source.place == "sql":
        yield [_query(source)]
    elif source.place.startswith("s3://"):
        with tempfile.TemporaryDirectory(prefix="catalog-") as copies:
            _download(source, Path(copies), only_store)
            yield _files(source, Path(copies), stores, only_store)
    else:
        yield _files(source, Path(source.place), stores, only_store)


def _query(source: Source) -> Part:
    if not source.mapping.query.strip():
        raise SourceFileError('the source is `sql`, but the mapping file has no "query"')
    if not source.database_url:
        raise ConfigurationError("the catalog's source is `sql`: set BACKROOM_CATALOG_DATABASE_URL")
    try:
        from sqlalchemy import make_url

        make_url(source.database_url)
    except ArgumentError as error:
        raise ConfigurationError(
            "BACKROOM_CATALOG_DATABASE_URL is not a URL; write driver://user:password@host/name"
        ) from error
    return Part("query", None, lambda: readers.read_query(source.database_url, source.mapping))


def _files(source: Source, folder: Path, stores: Sequence[str], only_store: str | None) -> list[Part]:
    require_place(source)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS and path.is_file())
    if not found:
        raise SourceFileError(f"catalog folder {source.place} holds no {_KINDS} file; export one file per store")
    per_store = source.mapping.files == "one_per_store"
    if per_store:
        stems = [path.stem for path in found]
        for path in found:
            if stems.count(path.stem) > 1:
                kinds = " and a ".join(other.suffix for other in found if other.stem == path.stem)
                raise SourceFileError(f"{source.place} holds both a {kinds} of {path.stem}; keep one of them")
        needed = {only_store} if only_store else set(stores)
        if missing := sorted(needed - set(stems)):
            raise SourceFileError(
                f"catalog folder {source.place} has no file of {', '.join(missing)}; export one file per store"
            )
        found = [path for path in found if only_store in (None, path.stem)]
    return [
        Part(path.name, path.stem if per_store else None, lambda path=path: _read(path, source.mapping))  # type: ignore[misc]
        for path in found
    ]


def _read(path: Path, mapping: SourceMapping) -> Iterator[SourceRow]:
    return READERS[path.suffix.lower()](path, mapping)


def _download(source: Source, target: Path, only_store: str | None) -> None:
    """Copies of the objects right under the prefix; a file that can't be copied stops the run."""
    bucket, _, prefix = source.place.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
    per_store = source.mapping.files == "one_per_store"
    try:
        for page in source.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for entry in page.get("Contents", []):
                name = entry["Key"].removeprefix(prefix)
                path = target / Path(name).name
                if path.suffix.lower() in READERS and not (per_store and only_store not in (None, path.stem)):
                    source.s3.download_file(bucket, entry["Key"], str(path))
    except (BotoCoreError, ClientError) as error:
        raise SourceFileError(f"catalog source {source.place} can't be read ({error}); try again") from error
