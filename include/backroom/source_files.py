"""Reads the retailer's own files, row by row, into checked models. What is wrong is named by file, line and column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from backroom.clock import parse_instant
from backroom.errors import SourceFileError


class SourceRow(BaseModel):
    """A row of a file: further columns are ignored, values are not guessed at."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


Row = TypeVar("Row", bound=SourceRow)


def read_csv(path: Path, model: type[Row]) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a UTF-8 CSV file with a header, as the file is read. Raises SourceFileError.

    A column of the model that has a default may be missing from the file.
    """
    with _open(path) as text:
        reader = csv.reader(text, strict=True)
        try:
            header = next(reader, [])
            missing = [name for name, field in model.model_fields.items() if field.is_required() and name not in header]
            if missing:
                raise SourceFileError(
                    f"{path}: line 1: the column {missing[0]!r} is missing; a CSV file starts with its columns' names"
                )
            places = [(name, header.index(name)) for name in model.model_fields if name in header]
            for cells in reader:
                if len(cells) != len(header):
                    raise SourceFileError(
                        f"{path}: line {reader.line_num}: {len(cells)} cells under {len(header)} columns"
                    )
                values = {name: cells[place] for name, place in places}
                yield reader.line_num, _checked(model, values, f"{path}: line {reader.line_num}", "column")
        except csv.Error as error:
            raise SourceFileError(f"{path}: line {reader.line_num}: not CSV ({error})") from error
        except UnicodeDecodeError as error:
            raise SourceFileError(f"{path}: after line {reader.line_num}: not UTF-8 ({error.reason})") from error


def read_json_list(path: Path, model: type[Row]) -> list[Row]:
    """The entries of a JSON file that holds one list of objects. Raises SourceFileError."""
    with _open(path) as text:
        try:
            entries = json.load(text, parse_float=Decimal)
        except json.JSONDecodeError as error:
            raise SourceFileError(
                f"{path}: line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
            ) from error
        except UnicodeDecodeError as error:
            raise SourceFileError(f"{path}: not UTF-8 ({error.reason})") from error
        except (ValueError, RecursionError) as error:  # a number of very many digits, nesting without end
            raise SourceFileError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(entries, list):
        raise SourceFileError(f"{path}: holds no list; write [{{…}}, {{…}}]")
    return [_checked(model, entry, f"{path}: entry {number}", "field") for number, entry in enumerate(entries, 1)]


def _open(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise SourceFileError(f"{path}: {error.strerror or error}") from error


def _checked(model: type[Row], values: object, where: str, part: str) -> Row:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SourceFileError(f"{where}: {what}") from error
        shown = "" if first["type"] == "missing" else f" (it is {str(first['input'])[:60]!r})"
        raise SourceFileError(f"{where}, {part} {'.'.join(map(str, first['loc']))!r}: {what}{shown}") from error


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


_PLAIN_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]+)?")


def exact(decimal_places: int) -> Callable[[object], Decimal]:
    """Reads plain decimal text such as 12.50 with at most so many places: no sign, no exponent."""

    def read(value: object) -> Decimal:
        if not isinstance(value, str) or not _PLAIN_NUMBER.fullmatch(value):
            raise ValueError("not a plain decimal number such as 12.50")
        if len(value.partition(".")[2]) > decimal_places:
            raise ValueError(f"more than {decimal_places} decimal places")
        return Decimal(value)

    return read


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("not an ISO 8601 instant")
    return parse_instant(value)


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_no_nul)]
OptionalIdentifier = Annotated[Identifier | None, BeforeValidator(lambda value: None if value == "" else value)]
Words = Annotated[str, AfterValidator(_no_nul)]
Amount = Annotated[Decimal, BeforeValidator(exact(4))]
Rate = Annotated[Decimal, BeforeValidator(exact(6))]
Instant = Annotated[datetime, BeforeValidator(_instant)]
OptionalInstant = Annotated[
    datetime | None, BeforeValidator(lambda value: None if value in ("", None) else _instant(value))
]
