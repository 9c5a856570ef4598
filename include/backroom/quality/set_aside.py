"""Expectations whose `meta` has `set_aside`: a row that fails one waits in quarantine, and the rest goes on.

They stand in expectations/order_rows.json and are asked in SQL while a file comes in (feeds/judging.py), after the
rules of the layout; the reason in quarantine is the expectation's name and its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backroom.quality.suites import SUITES, SuiteUnreadable

ORDER_ROWS: Final = SUITES / "order_rows.json"


@dataclass(frozen=True)
class SetAside:
    """`failing` is SQL over a row `r` that has broken no rule of the layout; true: the row is set aside."""

    column: str
    failing: str
    reason: str


def set_aside(types: Mapping[str, str], path: Path = ORDER_ROWS) -> tuple[SetAside, ...]:
    """The expectations on rows of orders, in the file's order. `types`: PostgreSQL's type of each of our columns.

    Raises SuiteUnreadable where the suite is not one, names another column, or asks what can't be asked of one row.
    """
    try:
        expectations = json.loads(path.read_text("utf-8"))["expectations"]
        return tuple(_one(each, types) for each in expectations if each["meta"].get("set_aside") is True)
    except OSError as error:
        raise SuiteUnreadable(f"{path} can't be read ({error.strerror}); it belongs to the release") from error
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise SuiteUnreadable(f"{path} is not a suite of expectations on rows of orders: {error!r}") from error


def _one(expectation: Mapping[str, Any], types: Mapping[str, str]) -> SetAside:
    kind, kwargs = expectation["type"], expectation["kwargs"]
    column = kwargs.get("column") or kwargs["column_A"]
    reason = f"{kind}: {expectation['meta']['notes']}"
    return SetAside(column, f"not coalesce({_ASKED[kind](kwargs, types)}, true)", reason[:500])


def _between(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> str:
    value = _value(kwargs["column"], types)
    ends = [
        (sign, Decimal(str(kwargs[end]))) for end, sign in (("min_value", ">="), ("max_value", "<=")) if end in kwargs
    ]
    if not ends or not all(number.is_finite() for _, number in ends):
        raise ValueError("neither min_value nor max_value")
    return "(" + " and ".join(f"{value} {sign} {number:f}" for sign, number in ends) + ")"


def _in_set(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> str:
    return f"r.{_known(kwargs['column'], types)} in ({', '.join(_quoted(one) for one in kwargs['value_set'])})"


def _matches(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> str:
    return f"cast(r.{_known(kwargs['column'], types)} as text) ~ {_quoted(kwargs['regex'])}"


def _greater(kwargs: Mapping[str, Any], types: Mapping[str, str]) -> str:
    sign = ">=" if kwargs.get("or_equal") else ">"
    return f"{_value(kwargs['column_A'], types)} {sign} {_value(kwargs['column_B'], types)}"


def _value(column: str, types: Mapping[str, str]) -> str:
    return f"cast(r.{_known(column, types)} as {types[column]})"


def _known(column: str, types: Mapping[str, str]) -> str:
    if column not in types:
        raise KeyError(column)
    return column


def _quoted(value: object) -> str:
    """A literal of SQL, in a statement that SQLAlchemy reads."""
    return "'" + str(value).replace("'", "''").replace("\\", "\\\\").replace(":", "\\:") + "'"


_ASKED: Final[dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], str]]] = {
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
}
