"""A month of the whole company: which of its stores are closed, what is in the way of the others, and closing them all.

The company's stores are those that traded in the month: reconciled, or with purchases or orders. Test stores stay out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from backroom.errors import BackroomError
from backroom.reconciliation import months, periods
from backroom.reconciliation.closed_files import Drawn
from backroom.reconciliation.months import Closed, CloseRefused
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.periods import last_of_month


@dataclass(frozen=True)
class StoreMonth:
    """One store's month: closed, or what is in the way of closing it; neither: it may be closed."""

    store_id: str
    closed: Closed | None
    in_the_way: tuple[str, ...]

    @property
    def state(self) -> str:
        """CLOSED, READY or OPEN."""
        return "CLOSED" if self.closed else "OPEN" if self.in_the_way else "READY"


def stores(connection: Connection, *, month: date) -> list[str]:
    """The stores that traded in the month of any of whose days `month` is one."""
    return periods.trading_stores(connection, first=month.replace(day=1), last=last_of_month(month))


def standing(connection: Connection, *, month: date, now: datetime, with_breaks: bool = False) -> list[StoreMonth]:
    """How the month stands at each store; `now` in UTC."""
    return [_of_store(connection, one, month, now, with_breaks) for one in stores(connection, month=month)]


def close(
    connection: Connection,
    *,
    month: date,
    by: str,
    reason: str,
    now: datetime,
    with_breaks: bool = False,
    drawn: Mapping[str, Drawn] | None = None,
) -> list[str]:
    """Closes the month at every store that is open: all or none. Returns which; each is audited as by months.close.

    Raises CloseRefused as `checked`, and FiguresMoved as months.close.
    """
    with connection.begin_nested():  # whoever goes on after a refusal has closed none
        months.lock(connection, stores(connection, month=month), month)
        found = checked(connection, month=month, reason=reason, now=now, with_breaks=with_breaks)
        for period in found:
            months.keep(connection, period, by=by, reason=reason, now=now, drawn=drawn)
    return [period.store_id for period in found]


def checked(
    connection: Connection, *, month: date, reason: str, now: datetime, with_breaks: bool = False
) -> list[StoreDay]:
    """The month of each store that is open, as it would be closed.

    Raises CloseRefused, naming for each store what is in the way, and where no store is left to close.
    """
    wanted = [one for one in stores(connection, month=month) if not _closed(connection, one, month)]
    if not wanted:
        raise CloseRefused(f"{month:%B %Y}: no store is left to close")
    found, refused = [], []
    for one in wanted:
        try:
            found.append(
                months.checked(connection, store_id=one, month=month, reason=reason, now=now, with_breaks=with_breaks)
            )
        except BackroomError as error:
            refused.append(str(error))
    if refused:
        raise CloseRefused(f"no store was closed: {' | '.join(refused)}")
    return found


def _of_store(connection: Connection, store_id: str, month: date, now: datetime, with_breaks: bool) -> StoreMonth:
    if (closed := _closed(connection, store_id, month)) is not None:
        return StoreMonth(store_id, closed, ())
    try:
        period = months.of_month(connection, store_id=store_id, month=month)
    except BackroomError as error:  # no day of it was reconciled
        return StoreMonth(store_id, None, (str(error),))
    reasons = months.not_yet(connection, period, now=now, with_breaks=with_breaks)
    return StoreMonth(store_id, None, tuple(reasons))


def _closed(connection: Connection, store_id: str, month: date) -> Closed | None:
    return months.closed_month(connection, store_id=store_id, month=month)
