"""Reads one file of the catalog's source, row by row, as text: CSV, Parquet, JSON, JSON lines; or a query's rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from backroom.catalog.mapping import SourceMapping
from backroom.errors import SourceFileError

_ROWS_AT_ONCE = 10_000  # held in memory
_MOST_DIGITS = 100
_MOST_JSON_BYTES = 100_000_000  # about a gigabyte of memory; of a file that is one list; JSON lines may have any size


class SourceRow(NamedTuple):
    """One row as text. `line` counts from 1; in a CSV the header is line 1, elsewhere the first row is."""

    file: str
    line: int
    fields: dict[str, str]
    broken: str = ""  # why the row can't be read as fields at all


def read_csv(path: Path, mapping: SourceMapping) -> Iterator[SourceRow]:
    """Every row in its order, streaming. Raises SourceFileError, at any row, where it can't go on."""
    reader = None
    try:
        with path.open(encoding=mapping.encoding, newline="") as lines:
            reader = csv.reader(lines, strict=True, delimiter=mapping.delimiter)
            header = next(reader, None)
            if header is None:
                raise SourceFileError(f"{path} is empty; export it again with a header line")
            names = mapping.places(str(path), [name.strip() for name in header])
            name, torn = path.name, False
            for values in reader:
                if not values:
                    continue
                fields = mapping.constants | dict(zip(names, map(str.strip, values), strict=False))
                fields.pop("", None)  # what is not read
                torn = len(values) != len(names)
                broken = f"has {len(values)} fields where the header has {len(names)}" if torn else ""
                yield SourceRow(name, reader.line_num, fields, broken)
        if (torn or mapping.last_line == "ended") and not _ends_a_line(path):
            raise SourceFileError(
                f"{path} ends in the middle of line {reader.line_num}: it was cut short; export it again"
                + ("" if torn else '; or let the mapping file say "last_line": "open" if it is always so')
            )
    except UnicodeError as error:
        raise SourceFileError(
            f"{path} is not {_shown(mapping.encoding)} text ({getattr(error, 'reason', error)}); export it again as"
            f" {_shown(mapping.encoding)}"
        ) from error
    except csv.Error as error:
        line = reader.line_num if reader is not None else 1
        raise SourceFileError(f"{path}, line {line}: not readable as CSV ({error}); export it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_parquet(path: Path, mapping: SourceMapping) -> Iterator[SourceRow]:
    """Every row in its order, a few at a time. Raises SourceFileError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            names = mapping.places(str(path), header)
            line = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                for record in batch.to_pylist():
                    line += 1
                    yield _row(path.name, line, zip(names, record.values(), strict=True), mapping)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceFileError(f"{path} is not readable as Parquet ({reason}); export it again") from error


def read_json(path: Path, mapping: SourceMapping) -> Iterator[SourceRow]:
    """The objects of a list, or of JSON lines (.jsonl, .ndjson), which streams. Raises SourceFileError."""
    try:
        if path.suffix.lower() == ".json":
            if path.stat().st_size > _MOST_JSON_BYTES:
                raise SourceFileError(f"{path} is too large for one list; export it as JSON lines (.jsonl)")
            listed = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
            if not isinstance(listed, list):
                raise SourceFileError(f"{path} holds no list; write [{{…}}, {{…}}]")
            yield from _objects(path, enumerate(listed, 1), mapping)
        else:
            with path.open(encoding="utf-8-sig") as lines:
                yield from _objects(
                    path,
                    ((n, json.loads(line, parse_float=Decimal)) for n, line in enumerate(lines, 1) if line.strip()),
                    mapping,
                )
    except UnicodeDecodeError as error:
        raise SourceFileError(f"{path} is not UTF-8 text ({error.reason}); export it again as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise SourceFileError(f"{path} is not readable as JSON ({error}); export it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_query(url: str, mapping: SourceMapping) -> Iterator[SourceRow]:
    """The rows of the mapping's query, streaming from the database of that URL. Raises SourceFileError."""
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.connect().execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE) as connection:
            result = connection.execute(text(mapping.query))
            names = mapping.places("the catalog's query", list(result.keys()))
            for line, row in enumerate(result, 1):
                yield _row("query", line, zip(names, row, strict=True), mapping)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise SourceFileError(
            f"the catalog's query can't be read ({reason}); check `query` in the mapping file and"
            " BACKROOM_CATALOG_DATABASE_URL"
        ) from error
    finally:
        engine.dispose()


def _objects(path: Path, entries: Iterator[tuple[int, Any]], mapping: SourceMapping) -> Iterator[SourceRow]:
    """The first object's names are the header; one that lacks some of the optional ones is as if they were empty."""
    known: dict[tuple[str, ...], list[str]] = {}
    for number, entry in entries:
        if not isinstance(entry, Mapping):
            yield SourceRow(path.name, number, {}, "is not an object")
            continue
        header = tuple(entry)
        if not known:
            known[header] = mapping.places(f"{path}, entry {number}", header, sparse=True)
        if header not in known:
            try:
                known[header] = mapping.places(f"{path}, entry {number}", header, sparse=True)
            except SourceFileError as error:
                fields = {name: value for name, value in entry.items() if isinstance(value, str)}
                yield SourceRow(path.name, number, fields, str(error))
                continue
        yield _row(path.name, number, zip(known[header], entry.values(), strict=True), mapping)


def _row(file: str, line: int, values: Iterator[tuple[str, Any]], mapping: SourceMapping) -> SourceRow:
    fields, broken = dict(mapping.constants), ""
    for name, value in values:
        if not name:
            continue
        try:
            fields[name] = _as_text(value)
        except TypeError as error:
            broken = f"{name}: {error}"
    return SourceRow(file, line, fields, broken)


def _as_text(value: Any) -> str:
    """Raises TypeError for what is no plain value. A missing number is NaN in a Parquet of pandas'."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case Decimal():
            if value and value.is_finite() and abs(value.adjusted()) > _MOST_DIGITS:
                raise TypeError("a number of so many digits is no amount and no code")
            return format(value, "f")
        case bool():
            raise TypeError(f"{value!r} is not text or a number")
        case float():
            return "" if math.isnan(value) else repr(value)
        case int() | date() | datetime():
            return str(value)
        case Sequence():
            return ";".join(_as_text(each) for each in value)
    raise TypeError(f"a {type(value).__name__} is not text")


def _ends_a_line(path: Path) -> bool:
    """In whatever encoding: one of two or four bytes a character has zeros around it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 4, 0))
        return file.read(4).strip(b"\0")[-1:] in (b"\n", b"\r")


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding.lower().startswith("utf-8") else encoding


def _unreadable(path: Path, error: OSError) -> SourceFileError:
    return SourceFileError(f"{path} can't be read ({error.strerror}); check that it is there and readable")
