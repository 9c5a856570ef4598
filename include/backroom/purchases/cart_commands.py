"""backroom carts: carts that could not be priced, and carts that were refused."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine
from backroom.purchases import cart_views, refused_commands
from backroom.purchases.cart_resolution import CartError, resolve
from backroom.stores.registry import require_store

app = typer.Typer(help="Carts that could not be priced, and carts that were refused.", no_args_is_help=True)
app.add_typer(refused_commands.app, name="refused")

AS_JSON = typer.Option("--json", help="for machines")
NOW = typer.Option("--now", help="business time, ISO 8601; the present if left out")


@app.command(name="list")
def list_carts(
    store: Annotated[str | None, typer.Option("--store", help="of one store only")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: Annotated[bool, AS_JSON] = False,
    now: Annotated[str, NOW] = "",
) -> None:
    """List the carts that wait for a price, the most urgent first."""
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
        carts = cart_views.waiting_carts(connection, now=moment(now), store_id=store, limit=limit)
    if as_json:
        _print_json(carts)
        return
    table = Table("trip", "store", "age h", "hours left", "charged in part in", "case", "problems")
    for cart in carts:
        case = f"{cart['case_id'] or ''}{' ' + cart['decided'] if cart['decided'] else ''}"
        table.add_row(
            cart["shopping_trip_id"], cart["store_id"], str(cart["age_hours"]), str(cart["hours_left"]),
            str(cart["hours_until_charged_in_part"]), case, "\n".join(cart["problems"]),
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(trip: str, as_json: Annotated[bool, AS_JSON] = False) -> None:
    """Show a cart: each line, what stands in its way, and who decided what."""
    check_reachable(engine())
    with engine().connect() as connection:
        cart = cart_views.cart_in_detail(connection, trip)
    if as_json:
        _print_json(cart)
        return
    console = Console()
    console.print(
        f"{trip} in {cart['store_id']}: {cart['state']}, total {cart['total']:.2f} {cart['currency']}, charge "
        f"{cart['charge_state'] or 'none'}; its pre-authorization ends {cart['token_ends_at']:%Y-%m-%d %H:%M} UTC",
        markup=False,
    )
    lines = Table("line", "as it came", "quantity", "SKU", "total", "")
    for line in cart["lines"]:
        lines.add_row(
            str(line["line_number"]), f"{line['item_type']} {line['item_id']}",
            f"{line['quantity'].normalize():f} {line['unit']}", line["item_sku"] or "",
            "" if line["total"] is None else f"{line['total']:.2f}", _said_of(line),
        )  # fmt: skip
    history = Table("when", "who", "what", "why")
    for entry in cart["history"]:
        history.add_row(f"{entry['at']:%Y-%m-%d %H:%M}", entry["actor"], entry["action"], entry["reason"])
    console.print(lines, history)


@app.command(name="resolve")
def resolve_cart(
    trip: str,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the audit trail", callback=needed)],
    mapped: Annotated[list[str] | None, typer.Option("--map", metavar="LINE=SKU", help="the line is this SKU")] = None,
    dropped: Annotated[list[int] | None, typer.Option("--drop", metavar="LINE", help="the line is not charged")] = None,
    by: Annotated[str, typer.Option("--by", help="who decides; the login name if left out")] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Say what lines of a cart are; once each has a price, it is charged. Exits 1 where one still lacks a price."""
    lines: dict[int, str] = {}
    for given in mapped or []:
        line, sku = _mapping(given)
        if line in lines:
            raise CartError(f"--map: line {line} is given twice")
        lines[line] = sku
    at = moment(now)
    check_reachable(engine())
    with engine().begin() as connection:
        done = resolve(
            connection, trip, mapped=lines, dropped=set(dropped or []), by=by or getpass.getuser(), reason=reason,
            now=at,
        )  # fmt: skip
    if done.charged is not None:
        typer.echo(f"{trip}: resolved, {done.charged} to charge")
        return
    typer.echo(f"{trip}: kept, but it still can't be priced")
    for problem in done.problems:
        typer.echo(f"  {problem}")
    raise typer.Exit(1)


@app.command()
def unbilled(
    store: Annotated[str | None, typer.Option("--store", help="of one store only")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """List the lines that were never charged, because nobody resolved their cart in time."""
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
        rows = cart_views.unbilled_lines(connection, store_id=store, limit=limit)
    if as_json:
        _print_json([dict(row) for row in rows])
        return
    table = Table("trip", "line", "store", "item", "quantity", "why", "since")
    for row in rows:
        table.add_row(
            row["shopping_trip_id"], str(row["line_number"]), row["store_id"], row["item_id"],
            f"{row['quantity'].normalize():f} {row['unit']}", row["reason"], f"{row['recorded_at']:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    Console().print(table)


def _mapping(given: str) -> tuple[int, str]:
    line, equals, sku = given.partition("=")
    if not (equals and sku and line.isascii() and line.isdigit()):
        raise CartError(f"--map {given!r}: write LINE=SKU, such as 2=SKU-1001")
    return int(line), sku


def _said_of(line: dict[str, Any]) -> str:
    if line["unbilled"]:
        return f"unbilled: {line['unbilled']}"
    if line["dropped_at"]:
        return "dropped"
    return line["problem"] or ("mapped" if line["mapped_at"] else "")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, default=str, indent=2))
