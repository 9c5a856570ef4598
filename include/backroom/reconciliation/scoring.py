"""How well reconciliation finds what was planted: each planted break, and each break that was found, is judged once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.reconciliation.verdict import Kind, Reading

_NAMES: Final = {*(kind.value for kind in Kind), *(reading.value for reading in Reading)}


@dataclass(frozen=True, order=True)
class Named:
    """A break: of a line (0: the whole trip), by the name of its kind. `amount` is theirs minus ours, if it has one."""

    store_id: str
    day: date
    shopping_trip_id: str
    line_number: int
    kind: str
    amount: Decimal | None = None

    @property
    def where(self) -> tuple[str, str]:
        """The trip that it is about."""
        return self.store_id, self.shopping_trip_id


@dataclass(frozen=True)
class Score:
    """What was planted and found; found by another name, line or amount; not found; found without being there."""

    found: tuple[Named, ...]
    misnamed: tuple[tuple[Named, Named], ...]
    missed: tuple[Named, ...]
    invented: tuple[Named, ...]

    @property
    def is_perfect(self) -> bool:
        """Whether all was found, named rightly, and nothing else."""
        return not (self.misnamed or self.missed or self.invented)


def score(planted: Iterable[Named], found: Iterable[Named]) -> Score:
    """Holds the two lists together. An amount is compared where the planted one tells it."""
    left = sorted(found, key=_order)
    right, wrong, missed = list[Named](), list[tuple[Named, Named]](), list[Named]()
    unsettled = list[Named]()
    for one in sorted(planted, key=_order):
        same = next((other for other in left if _same(one, other)), None)
        if same is None:
            unsettled.append(one)
        else:
            left.remove(same)
            right.append(one)
    for one in unsettled:
        near = next((other for other in left if other.where == one.where), None)
        if near is None:
            missed.append(one)
        else:
            left.remove(near)
            wrong.append((one, near))
    return Score(tuple(right), tuple(wrong), tuple(missed), tuple(left))


def read_truth(path: Path) -> list[Named]:
    """JSON lines of kind, trip, line, store, day, amount. Raises BackroomError, with the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackroomError(f"{path} can't be read: {error}") from error
    planted = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
            amount = row.get("amount")
            planted.append(
                Named(
                    store_id=str(row["store"]),
                    day=date.fromisoformat(row["day"]),
                    shopping_trip_id=str(row["trip"]),
                    line_number=int(row.get("line") or 0),
                    kind=str(row["kind"]),
                    amount=None if amount is None else Decimal(amount),
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
            raise BackroomError(f"{path}, line {number}: {error!r}; it must hold kind, trip, store and day") from error
        if planted[-1].kind not in _NAMES:
            raise BackroomError(f"{path}, line {number}: there is no kind {planted[-1].kind}")
    return planted


def found(connection: Connection, *, stores: Iterable[str], first: date, last: date) -> list[Named]:
    """What stands of breaks in these stores and days, decided ones too, and trips that agree in a way worth telling."""
    rows = connection.execute(
        text("""
            select store_id, business_date, shopping_trip_id, line_number, kind, difference
            from reconciliation_break
            where store_id = any(:stores) and business_date between :first and :last
              and resolution is distinct from 'LATER_DATA'
            union all
            select store_id, business_date, shopping_trip_id, 0, reading, null from reconciliation_trip
            where store_id = any(:stores) and business_date between :first and :last
              and reading is not null and outcome <> 'BREAK'
        """),
        {"stores": sorted(stores), "first": first, "last": last},
    )
    return [Named(*row) for row in rows]


def _same(one: Named, other: Named) -> bool:
    return (one.where, one.day, one.line_number, one.kind) == (
        other.where,
        other.day,
        other.line_number,
        other.kind,
    ) and (one.amount is None or one.amount == other.amount)


def _order(one: Named) -> tuple[str, date, str, int, str]:
    return one.store_id, one.day, one.shopping_trip_id, one.line_number, one.kind
