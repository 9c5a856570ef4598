"""What people enter: counts and deliveries, from a file or one by one, with their audit. All of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationError
from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.inventory.counting import count_stock
from backroom.inventory.movements import deliver
from backroom.source_files import Identifier, Instant, SourceRow, exact, read_csv

_PLACES = 8  # what a stock movement keeps


def _above_zero(quantity: Decimal) -> Decimal:
    if not quantity:
        raise ValueError("must be above zero")
    return quantity


CountedQuantity = Annotated[Decimal, BeforeValidator(exact(_PLACES))]
MovedQuantity = Annotated[CountedQuantity, AfterValidator(_above_zero)]


class Counted(SourceRow):
    """One product as it was counted, in the unit that it is sold by."""

    store_id: Identifier
    item_sku: Identifier
    quantity: CountedQuantity
    counted_at: Instant


class Delivered(SourceRow):
    """One product of a delivery; `reference` is the delivery note, which counts once for each product."""

    store_id: Identifier
    item_sku: Identifier
    quantity: MovedQuantity
    reference: Identifier
    delivered_at: Instant


class Returned(SourceRow):
    """One product that came back from a trip."""

    shopping_trip_id: Identifier
    item_sku: Identifier
    quantity: MovedQuantity


Entry = TypeVar("Entry", bound=SourceRow)

_OPTIONS = {
    "store_id": "--store", "item_sku": "--sku", "counted_at": "--at", "delivered_at": "--at",
    "shopping_trip_id": "--trip",
}  # fmt: skip


def entry(model: type[Entry], values: Mapping[str, object]) -> Entry:
    """One entry from the command line's options. Raises BackroomError, naming the option."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        what = first["msg"].removeprefix("Value error, ")
        raise BackroomError(
            f"{_OPTIONS.get(name, f'--{name}')}: {what} (it is {str(first['input'])[:60]!r})"
        ) from error


def entries(model: type[Entry], file: Path) -> list[Entry]:
    """The entries of a CSV file whose header names the model's fields. Raises SourceFileError by line and column."""
    return [row for _, row in read_csv(file, model)]


def record_counts(connection: Connection, counts: Sequence[Counted], *, actor: str, now: datetime) -> int:
    """How many are new. Raises BackroomError for an unknown product, an instant to come or a count that differs."""
    units = _units(connection, counts)
    new = 0
    for counted in counts:
        if count_stock(
            connection, store_id=counted.store_id, item_sku=counted.item_sku, quantity=counted.quantity,
            unit=units[counted.store_id, counted.item_sku], counted_at=counted.counted_at, now=now,
        ):  # fmt: skip
            new += 1
            _audit(connection, "stock.count", counted, actor, now, at=counted.counted_at.isoformat())
    return new


def record_deliveries(connection: Connection, deliveries: Sequence[Delivered], *, actor: str, now: datetime) -> int:
    """How many are new. Raises BackroomError for an unknown product or another quantity under the same reference."""
    units = _units(connection, deliveries)
    new = 0
    for delivered in deliveries:
        if delivered.delivered_at > now:
            raise BackroomError(f"{delivered.store_id}: {delivered.item_sku} can't have been delivered after now")
        if deliver(
            connection, source=delivered.reference, store_id=delivered.store_id, item_sku=delivered.item_sku,
            quantity=delivered.quantity, unit=units[delivered.store_id, delivered.item_sku],
            happened_at=delivered.delivered_at, now=now,
        ):  # fmt: skip
            new += 1
            _audit(connection, "stock.deliver", delivered, actor, now, reference=delivered.reference)
    return new


_UNITS = text("""
    select asked.store_id, asked.item_sku, product.unit
    from unnest(cast(:store_ids as text[]), cast(:item_skus as text[])) as asked (store_id, item_sku)
    left join catalog_item as product using (store_id, item_sku)
""")


def _units(connection: Connection, asked: Iterable[Counted | Delivered]) -> dict[tuple[str, str], str]:
    keys = sorted({(line.store_id, line.item_sku) for line in asked})
    values = {"store_ids": [store_id for store_id, _ in keys], "item_skus": [item_sku for _, item_sku in keys]}
    found = connection.execute(_UNITS, values).all()
    if missing := [row for row in found if row.unit is None]:
        raise BackroomError(
            f"{missing[0].store_id!r} has no product {missing[0].item_sku!r} in its catalog"
            f"{f' (and {len(missing) - 1} more)' if missing[1:] else ''}; nothing was recorded"
        )
    return {(row.store_id, row.item_sku): row.unit for row in found}


def _audit(
    connection: Connection, action: str, line: Counted | Delivered, actor: str, now: datetime, **details: Any
) -> None:
    trail.record(
        connection, at=now, actor=actor, action=action, subject=line.item_sku,
        details={"store_id": line.store_id, "quantity": f"{line.quantity:f}", **details},
    )  # fmt: skip
