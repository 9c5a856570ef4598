"""backroom shoppers: load, register, flag, unflag, show."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.shoppers import registry

app = typer.Typer(help="Who may enter: shoppers, flags, recognition keys.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit")]
Now = Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")]


@app.command()
def load(file: Path) -> None:
    """Add or update the shoppers of a shoppers.json with their keys. All of it or nothing."""
    check_reachable(engine())
    with engine().begin() as connection:
        count = registry.load_shoppers(connection, file)
    typer.echo(f"{count} shoppers loaded from {file}")


@app.command()
def register(
    shopper_id: str,
    shopper_type: Annotated[str, typer.Option("--type", help="SHOPPER, ASSOCIATE or CASH_SHOPPER")] = "SHOPPER",
    key: Annotated[list[str] | None, typer.Option(help="an opaque key, decoded; may be repeated")] = None,
    token: Annotated[list[str] | None, typer.Option(help="21 hex digits of a scan key code; may be repeated")] = None,
) -> None:
    """Add a shopper, or further recognition keys to one."""
    check_reachable(engine())
    with engine().begin() as connection:
        registry.register(connection, shopper_id, shopper_type, keys=key or (), tokens=token or ())
    show(shopper_id)


@app.command()
def flag(shopper_id: str, reason: Reason, now: Now = None) -> None:
    """Refuse a shopper at every gate from now on."""
    _set_flag(shopper_id, True, reason, now)


@app.command()
def unflag(shopper_id: str, reason: Reason, now: Now = None) -> None:
    """Let a flagged shopper in again."""
    _set_flag(shopper_id, False, reason, now)


@app.command()
def show(shopper_id: str, as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """Say what the gate knows of a shopper."""
    check_reachable(engine())
    with engine().connect() as connection:
        shopper = registry.get_shopper(connection, shopper_id)
    if as_json:
        typer.echo(json.dumps(asdict(shopper)))
        return
    keys = ", ".join(f"{number} {kind.lower()}" for kind, number in shopper.keys.items()) or "none"
    flagged = f"flagged: {shopper.flag_reason or 'no reason kept'}" if shopper.flagged else "not flagged"
    state = "active" if shopper.active else "inactive"
    typer.echo(f"{shopper.shopper_id}: {shopper.type}, {state}, {flagged}, keys: {keys}")


def _set_flag(shopper_id: str, flagged: bool, reason: str, now: datetime | None) -> None:
    check_reachable(engine())
    with engine().begin() as connection:
        registry.set_flag(
            connection, shopper_id, flagged=flagged, reason=reason, actor=getpass.getuser(), now=now or system_clock()
        )
    show(shopper_id)
