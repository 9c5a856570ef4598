"""Long lists by pages: each page goes on behind the last row of the one before, however long the list has become."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError

LARGEST_PAGE: Final = 200
LONGEST_MARK: Final = 1_000


class BadMark(BackroomError):
    """The mark that a page is asked for by is none of ours."""


@dataclass(frozen=True)
class Order:
    """Columns of the query that no two rows share in full and that are never null, with their kinds in SQL."""

    columns: Mapping[str, str]  # name: timestamptz, date, bigint or text
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """Some rows, and the mark to go on behind them by; empty on the last page."""

    rows: list[dict[str, Any]]
    following: str = ""


def page(
    connection: Connection, query: str, values: Mapping[str, Any], order: Order, *, after: str = "", size: int = 50
) -> Page:
    """A page of the query's rows, behind the row that `after` marks. Raises BadMark. `query` holds no caller's text."""
    size = max(1, min(size, LARGEST_PAGE))
    names = ", ".join(f"listed.{name}" for name in order.columns)
    ends = f"listed.{', listed.'.join(f'{name} desc' for name in order.columns)}" if order.descending else names
    known: dict[str, Any] = {}
    where = ""
    if after:
        known = dict(zip((f"mark_{name}" for name in order.columns), _read(after, order), strict=True))
        marks = ", ".join(f"cast(:mark_{name} as {kind})" for name, kind in order.columns.items())
        where = f"where ({names}) {'<' if order.descending else '>'} ({marks})"
    whole = f"select * from ({query}) listed {where} order by {ends} limit :page_size"  # noqa: S608 - names of our own
    found = connection.execute(text(whole), {**values, **known, "page_size": size + 1}).mappings()
    rows = [dict(row) for row in found]
    if len(rows) <= size:
        return Page(rows)
    rows = rows[:size]
    return Page(rows, _write([rows[-1][name] for name in order.columns]))


def _write(values: list[Any]) -> str:
    told = [value.isoformat() if isinstance(value, date) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _instant(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("no number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("no text")
    return value


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "timestamptz": _instant, "date": date.fromisoformat, "bigint": _number, "text": _text,
}  # fmt: skip


def _read(mark: str, order: Order) -> list[Any]:
    try:
        if len(mark) > LONGEST_MARK:
            raise ValueError("too long")
        told = json.loads(base64.b64decode(mark + "=" * (-len(mark) % 4), altchars=b"-_", validate=True))
        if not isinstance(told, list):
            raise ValueError("no list")
        kinds = order.columns.values()
        return [_READERS[kind](value) for kind, value in zip(kinds, told, strict=True)]
    except (ValueError, TypeError, RecursionError) as error:
        raise BadMark("this page of the list is none of ours; begin at the first") from error
