"""Each charge's row, and its debt's amount, against the fold of its events: read as a stream, a trip at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.charges.states import Event, Kind, Source, fold
from backroom.ledger.discrepancy import Discrepancy

_AT_ONCE: Final = 2000  # rows held here

_CHARGES: Final = text(
    """
    select c.shopping_trip_id, c.store_id, c.state, c.total, c.authorized, c.captured, c.capture_initiated,
           d.amount as debt, d.paid + d.reduced - d.returned as settled,
           e.kind, e.amount, e.happened_at, e.source, e.source_id, coalesce(cast(e.details ->> 'number' as int), 0)
    from charge c
    left join debt d using (shopping_trip_id)
    left join charge_event e using (shopping_trip_id)
    order by c.shopping_trip_id, e.event_id
    """
)


def verify_charges(connection: Connection, on_trip: Callable[[], None]) -> Iterator[Discrepancy]:
    """What is not as the events say. `on_trip` is called once for each charge."""
    rows = connection.execute(_CHARGES, execution_options={"stream_results": True, "yield_per": _AT_ONCE})
    for _, group in groupby(rows, key=lambda row: row.shopping_trip_id):
        yield from _differences(list(group))
        on_trip()


def _differences(rows: Sequence[Any]) -> Iterator[Discrepancy]:
    charge = rows[0]
    subject = f"trip {charge.shopping_trip_id} ({charge.store_id})"
    try:
        folded = fold(
            Event(Kind(kind), happened_at, Source(source), source_id, amount, number)
            for *_, kind, amount, happened_at, source, source_id, number in rows
            if kind is not None
        )
    except ValueError as error:
        yield Discrepancy(subject, "charge, by its events", "a history", str(error))
        return
    zero = Decimal(0)
    owed = max(folded.owed, charge.settled or zero)  # what was paid or refunded meanwhile stands
    pairs: tuple[tuple[str, Decimal | str, Decimal | str], ...] = (
        ("charge, its state", folded.state.kept_as, charge.state),
        ("charge, its total", folded.total, charge.total),
        ("charge, authorized", folded.authorized, charge.authorized),
        ("charge, captured", folded.captured, charge.captured),
        ("charge, capture begun", folded.capture_initiated, charge.capture_initiated),
        ("charge, what its events told of the debt", folded.owed, folded.debt_opened),
        ("debt, against what the charge leaves to be paid", owed, charge.debt if charge.debt is not None else zero),
    )
    for what, expected, found in pairs:
        if expected != found:
            yield Discrepancy(subject, what, expected, found)
