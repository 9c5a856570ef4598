"""backroom stock: show, list, count, deliver, return, export, exports."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backroom.audit import trail
from backroom.command_line import moment, needed, show_query
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.inventory import entries, levels, movements
from backroom.inventory.channel_choice import channels_of
from backroom.inventory.channels import Channel
from backroom.inventory.export import Exported, export_store, stores_to_tell, tell_again
from backroom.purchases.point_of_sale_client import make_client
from backroom.settings import settings
from backroom.stores.registry import get_store, require_store

app = typer.Typer(help="What the stores have: levels, counts, deliveries, returns, exports.", no_args_is_help=True)

Store = Annotated[str, typer.Option("--store", help="the store's id")]
Sku = Annotated[str, typer.Option("--sku", help="the product's SKU in that store")]
Quantity = Annotated[
    str, typer.Option("--quantity", help="in the unit that the product is sold by, such as 12 or 0.25")
]
At = Annotated[str, typer.Option("--at", help="when it happened, ISO 8601 with its zone; else now")]
Now = Annotated[str, typer.Option("--now", help="business time, ISO 8601 with its zone")]
AsJson = Annotated[bool, typer.Option("--json", help="for machines")]


@app.command()
def show(
    sku: str,
    store: Annotated[str, typer.Option("--store", help="of one store only")] = "",
    last: Annotated[int, typer.Option("--last", min=0, help="so many of the newest movements")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say how much of a product each store has, and what moved last."""
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
        found = levels.levels(connection, item_sku=sku, store_id=store or None)
        moved = levels.last_movements(connection, item_sku=sku, store_id=store or None, most=last)
    if as_json:
        _print_json({"item_sku": sku, "levels": [*map(_level, found)], "movements": [*map(asdict, moved)]})
        return
    if not found:
        raise BackroomError(
            f"nothing of {sku!r} has moved{f' in {store}' if store else ''} yet; "
            "`backroom catalog skus --store STORE` shows the SKUs"
        )
    _print_levels(found)
    table = Table("when", "store", "what", "source", "quantity", "", "export")
    for row in moved:
        source = f"{row.source} ({row.line_number})" if row.line_number else row.source
        table.add_row(
            f"{row.happened_at:%Y-%m-%d %H:%M:%S}", row.store_id, row.kind, source, f"{row.quantity.normalize():+f}",
            row.unit, "" if row.export_id is None else str(row.export_id),
        )  # fmt: skip
    Console().print(table)


@app.command(name="list")
def list_levels(
    store: Store,
    most: Annotated[int, typer.Option("--limit", min=1, help="so many at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a store's products, the lowest level first; those below zero are marked."""
    check_reachable(engine())
    with engine().connect() as connection:
        if get_store(connection, store) is None:
            raise BackroomError(f"there is no store {store!r}; see `backroom stores list`")
        found = levels.levels(connection, store_id=store, most=most)
    if as_json:
        _print_json([*map(_level, found)])
        return
    _print_levels(found)


@app.command()
def count(
    file: Annotated[Path | None, typer.Argument(help="CSV: store_id,item_sku,quantity,counted_at")] = None,
    store: Store = "",
    sku: Sku = "",
    quantity: Quantity = "",
    at: At = "",
    now: Now = "",
) -> None:
    """Set levels to what was counted. All of it or nothing; sales meanwhile are neither lost nor doubled."""
    instant = moment(now)
    _one_way(file, store, sku, quantity)
    if file is None:
        given = {"store_id": store, "item_sku": sku, "quantity": quantity, "counted_at": at or instant.isoformat()}
        counts = [entries.entry(entries.Counted, given)]
    else:
        counts = entries.entries(entries.Counted, file)
    check_reachable(engine())
    with engine().begin() as connection:
        new = entries.record_counts(connection, counts, actor=getpass.getuser(), now=instant)
    typer.echo(f"{new} counts recorded, {len(counts) - new} were recorded already")


@app.command()
def deliver(
    file: Annotated[Path | None, typer.Argument(help="CSV: store_id,item_sku,quantity,reference,delivered_at")] = None,
    store: Store = "",
    sku: Sku = "",
    quantity: Quantity = "",
    reference: Annotated[str, typer.Option("--reference", help="delivery note; the same one counts once")] = "",
    at: At = "",
    now: Now = "",
) -> None:
    """Add goods that came in. All of it or nothing."""
    instant = moment(now)
    _one_way(file, store, sku, quantity, reference)
    if file is None:
        given = {
            "store_id": store, "item_sku": sku, "quantity": quantity, "reference": reference,
            "delivered_at": at or instant.isoformat(),
        }  # fmt: skip
        deliveries = [entries.entry(entries.Delivered, given)]
    else:
        deliveries = entries.entries(entries.Delivered, file)
    check_reachable(engine())
    with engine().begin() as connection:
        new = entries.record_deliveries(connection, deliveries, actor=getpass.getuser(), now=instant)
    typer.echo(f"{new} deliveries recorded, {len(deliveries) - new} were recorded already")


@app.command(name="return")
def return_goods(
    trip: Annotated[str, typer.Option("--trip", help="the shopping trip that it was bought on")],
    sku: Sku,
    quantity: Quantity,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)],
    number: Annotated[int, typer.Option("--number", min=1, help="of this product's returns from this trip")] = 1,
    at: At = "",
    now: Now = "",
) -> None:
    """Put back goods that a shopper returned and that can be sold again. Money is not touched."""
    instant = moment(now)
    back = entries.entry(entries.Returned, {"shopping_trip_id": trip, "item_sku": sku, "quantity": quantity})
    check_reachable(engine())
    with engine().begin() as connection:
        new = movements.return_from_trip(
            connection, shopping_trip_id=trip, item_sku=sku, quantity=back.quantity, number=number,
            happened_at=moment(at) if at else instant, now=instant,
        )  # fmt: skip
        if new:
            trail.record(
                connection, at=instant, actor=getpass.getuser(), action="stock.return", subject=trip, reason=reason,
                details={"item_sku": sku, "quantity": quantity, "number": number},
            )  # fmt: skip
    typer.echo(
        f"{quantity} of {sku} returned"
        if new
        else f"return {number} of {sku} is recorded already; a further one needs --number {number + 1}"
    )


@app.command(name="export")
def export_stock(
    store: Annotated[str, typer.Option("--store", help="one store only")] = "",
    again: Annotated[int, typer.Option("--again", help="tell this refused export again")] = 0,
    now: Now = "",
) -> None:
    """Tell the points of sale what is new, as the pipeline does. Exit code 1 where something is not taken."""
    check_reachable(engine())
    instant, config = moment(now), settings()
    with make_client(config) as client:

        def channels(store_id: str) -> list[Channel]:
            with engine().connect() as connection:
                return channels_of(connection, store_id, config=config, client=client)

        if again:
            actor = getpass.getuser()
            taken = _report(str(again), tell_again(engine(), channels, export_id=again, actor=actor, now=instant))
        else:
            taken = True
            for store_id in [store] if store else _with_news():
                told = export_store(
                    engine(), channels(store_id), store_id=store_id, now=instant,
                    most_movements=config.stock_export_movements,
                )  # fmt: skip
                taken = _report(store_id, told) and taken
    if not taken:
        raise typer.Exit(1)


@app.command()
def exports(
    store: Annotated[str, typer.Option("--store", help="of one store only")] = "",
    every: Annotated[bool, typer.Option("--all", help="also those that are taken")] = False,
    as_json: AsJson = False,
) -> None:
    """List exports that are not taken yet, or refused."""
    show_query(
        "select export_id, store_id, channel, movements, state, attempts, answer, created_at from stock_export"
        " where (:store = '' or store_id = :store) and (:every or state <> 'DONE') order by export_id desc, channel"
        " limit 200",
        {"store": store, "every": every},
        as_json=as_json,
    )


def _one_way(file: Path | None, *options: str) -> None:
    """Raises BackroomError where both a file and options are given, or neither."""
    if (file is not None) == any(options):
        raise BackroomError("give either a file or one entry by its options (--store, --sku, --quantity, …)")


def _with_news() -> list[str]:
    with engine().connect() as connection:
        return stores_to_tell(connection)


def _report(name: str, told: Exported) -> bool:
    typer.echo(
        f"{name}: {told.movements} new movements; exports: {told.done} taken, {told.refused} refused, "
        f"{told.waiting} waiting"
    )
    return not (told.refused or told.waiting)


def _level(level: levels.Level) -> dict[str, Any]:
    return {**asdict(level), "below_zero": level.below_zero}


def _print_levels(found: list[levels.Level]) -> None:
    table = Table("store", "SKU", "level", "", "counted at", "")
    for level in found:
        table.add_row(
            level.store_id, level.item_sku, f"{level.quantity.normalize():f}", level.unit,
            "never" if level.counted_at is None else f"{level.counted_at:%Y-%m-%d %H:%M:%S}",
            "BELOW ZERO" if level.below_zero else "",
        )  # fmt: skip
    Console().print(table)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, default=_as_text))


def _as_text(value: object) -> str:
    """Quantities as exact plain text, instants in ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)
