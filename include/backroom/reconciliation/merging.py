"""Figures of several days made into those of a period: flows are added, states keep their last value. Pure.

What happened in a period (happened.py) is not what happened on those of its days that were reconciled: it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from backroom.reconciliation import ledger_checks
from backroom.reconciliation.sections import SECTIONS, Section

Row = dict[str, Any]

# the keys of each list of rows that is not one of SECTIONS
KEYS: Final = {
    "trips": ("entry_method", "state"),
    "hours": ("hour",),
    "categories": ("category",),
    "tax": ("jurisdiction", "rate"),
    "breaks": ("kind",),
    "ledger": ("account", "detail"),
    "checks": ("what", "source", "against"),
}
_COUNTS: Final = frozenset({"trips", "lines", "breaks", "times", "refunds", "debts"})


def added(
    rows: Iterable[Row],
    *,
    keys: Sequence[str],
    money: Sequence[str],
    counts: Sequence[str] = (),
    states: Sequence[str] = (),
) -> list[Row]:
    """One row per key, in the order in which the keys first came. Amounts are exact text, and stay that."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        kept = found.get(key)
        if kept is None:
            found[key] = dict(row)
            continue
        for name in money:
            kept[name] = _sum(kept.get(name, "0"), row.get(name, "0"))  # a day frozen by older rules may lack it
        for name in counts:
            kept[name] = kept.get(name, 0) + row.get(name, 0)
        for name in states:
            kept[name] = row[name]
    return list(found.values())


def merged(days: Sequence[Row]) -> Row:
    """The figures of a period from those of its days, the earliest first; all of one store, so of one currency."""
    days = [{**day, "checks": ledger_checks.adding_up(day["checks"])} for day in days]
    first, last = days[0], days[-1]
    found: Row = {"store": last["store"]}
    for group in ("sales", "settlement", "amazon"):
        found[group] = _flat([day[group] for day in days])
    payouts = [day["payouts"] for day in days if day.get("payouts")]
    found["payouts"] = _flat(payouts) if payouts else None
    sold = found["sales"]["priced"]
    places = Decimal(first["sales"]["average_basket"])
    found["sales"]["average_basket"] = str(
        (Decimal(found["sales"]["total"]) / sold).quantize(places) if sold else Decimal(0).quantize(places)
    )
    for name, keys in KEYS.items():
        rows = [row for day in days for row in day[name]]
        counts = [column for column in (rows[0] if rows else ()) if column in _COUNTS and column not in keys]
        money = [
            column
            for column in (rows[0] if rows else ())
            if column not in keys and column not in counts and column != "ties"
        ]
        found[name] = sorted(added(rows, keys=keys, money=money, counts=counts), key=partial(_order, keys=keys))
    found["checks"] = _checks(found["checks"], days)
    found["categories"].sort(key=lambda row: (-Decimal(row["net"]), row["category"]))
    found["files"] = _flat([day["files"] for day in days if day["files"]]) if last["files"] else None
    found["sections"] = {
        one.key: _section(one, [row for day in days for row in day["sections"].get(one.key, ())])
        for one in SECTIONS
        if one.query is not None
    }
    return found


def _section(one: Section, rows: Iterable[Row]) -> list[Row]:
    """Its rows added, in the order of a day's: the largest first, or by what names them."""
    summed = added(
        rows,
        keys=one.keys,
        money=[column.name for column in one.columns if column.is_money and column.adds_up],
        counts=[column.name for column in one.columns if not column.is_money and column.adds_up],
        states=[column.name for column in one.columns if not column.adds_up and not column.is_key],
    )
    return sorted(
        summed,
        key=lambda row: (-Decimal(row[one.largest]) if one.largest else 0, [_natural(row[key]) for key in one.keys]),
    )


def _natural(name: Any) -> tuple[bool, int, str]:
    """Names by the number that they begin with, such as ages in days, and the others behind."""
    digits = re.match(r"[0-9]*", str(name))
    number = int(digits[0]) if digits and digits[0] else 0
    return not (digits and digits[0]), number, str(name)


def _flat(groups: Sequence[Row]) -> Row:
    """Counts and amounts of one group, added."""
    found = dict(groups[0])
    for group in groups[1:]:
        for name, value in group.items():
            found[name] = _sum(found[name], value) if isinstance(value, str) else found[name] + value
    return found


def _checks(rows: list[Row], days: Sequence[Row]) -> list[Row]:
    """In the order of the report; a check ties where it did on every day: gaps of two days may add up to nothing."""
    keys = KEYS["checks"]
    order = [check["what"] for day in days for check in day["checks"]]
    off = {tuple(check[key] for key in keys) for day in days for check in day["checks"] if not check["ties"]}
    for row in rows:
        row["ties"] = tuple(row[key] for key in keys) not in off
    return sorted(rows, key=lambda row: order.index(row["what"]))


def _sum(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one if other is None else other
    return str(Decimal(one) + Decimal(other))


def _order(row: Row, keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple((row[key] is not None, row[key]) for key in keys)
