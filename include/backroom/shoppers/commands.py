"""backroom shoppers: load, load-loyalty, register, revoke, flag, unflag, show; more in *_commands.py beside it."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.money import round_amount
from backroom.settings import settings
from backroom.shoppers import card_commands, privacy_commands, registry
from backroom.shoppers.loyalty import load_loyalty
from backroom.shoppers.sealing import seal_of

app = typer.Typer(help="Who may enter: shoppers, flags, recognition keys, loyalty.", no_args_is_help=True)

Id = Annotated[str, typer.Option("--id", help="the shopper's id")]
IdHere = Annotated[str, typer.Argument(metavar="[ID]", help="the shopper's id, as --id", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)]
Now = Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")]
AsJson = Annotated[bool, typer.Option("--json", help="for machines")]


@app.command()
def load(file: Path) -> None:
    """Add or update the shoppers of a shoppers.json with their keys. All of it or nothing."""
    check_reachable(engine())
    with engine().begin() as connection:
        count = registry.load_shoppers(connection, file)
    typer.echo(f"{count} shoppers loaded from {file}")


@app.command(name="load-loyalty")
def load_loyalty_accounts(file: Path) -> None:
    """Add or replace the loyalty accounts of a loyalty.json with their promotions. All of it or nothing."""
    check_reachable(engine())
    with engine().begin() as connection:
        count = load_loyalty(connection, seal_of(settings()), file)
    typer.echo(f"{count} loyalty accounts loaded from {file}")


@app.command()
def register(
    shopper_id: Id,
    shopper_type: Annotated[str, typer.Option("--type", help="SHOPPER, ASSOCIATE or CASH_SHOPPER")],
    key: Annotated[list[str] | None, typer.Option(help="an opaque key, decoded; may be repeated")] = None,
    token: Annotated[list[str] | None, typer.Option(help="21 hex digits of a scan key code; may be repeated")] = None,
    store: Annotated[str | None, typer.Option(help="the one store where these keys are good")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a shopper, or further recognition keys to one."""
    check_reachable(engine())
    with engine().begin() as connection:
        registry.register(
            connection, shopper_id, shopper_type, keys=key or (), tokens=token or (), store_id=store or None
        )
    _show(shopper_id, as_json=as_json)


@app.command()
def revoke(
    reason: Reason,
    key: Annotated[
        str | None, typer.Option("--key", help="an opaque key, decoded, a scan key code, or a code's token")
    ] = None,
    shopper_id: Annotated[str | None, typer.Option("--id", help="all keys of this shopper")] = None,
    now: Now = None,
) -> None:
    """End a recognition key, or all of a shopper's: gates refuse them from now on."""
    check_reachable(engine())
    with engine().begin() as connection:
        owner, ended = registry.revoke(
            connection,
            key=key,
            shopper_id=shopper_id,
            reason=reason,
            actor=getpass.getuser(),
            now=now or system_clock(),
        )
    typer.echo(f"{owner}: {ended} keys revoked" if ended else f"{owner}: no key was good any more; nothing changed")


@app.command()
def flag(reason: Reason, here: IdHere = "", shopper_id: Id = "", now: Now = None) -> None:
    """Refuse a shopper at every gate from now on."""
    _set_flag(_one_of(here, shopper_id), True, reason, now)


@app.command()
def unflag(reason: Reason, here: IdHere = "", shopper_id: Id = "", now: Now = None) -> None:
    """Let a flagged shopper in again."""
    _set_flag(_one_of(here, shopper_id), False, reason, now)


@app.command()
def show(here: IdHere = "", shopper_id: Id = "", as_json: AsJson = False, now: Now = None) -> None:
    """Say what the gate knows of a shopper."""
    _show(_one_of(here, shopper_id), as_json=as_json, now=now)


def _one_of(here: str, shopper_id: str) -> str:
    if bool(here) == bool(shopper_id):
        raise BackroomError("name one shopper, with --id")
    return here or shopper_id


def _show(shopper_id: str, *, as_json: bool = False, now: datetime | None = None) -> None:
    check_reachable(engine())
    with engine().connect() as connection:
        shopper = registry.get_shopper(connection, shopper_id, now=now or system_clock())
    if as_json:
        typer.echo(json.dumps(asdict(shopper), default=str))
        return
    facts = [
        shopper.type,
        "active" if shopper.active else "inactive",
        f"flagged: {shopper.flag_reason or 'no reason kept'}" if shopper.flagged else "not flagged",
        "keys: " + (", ".join(f"{number} {kind.lower()}" for kind, number in shopper.keys.items()) or "none"),
        *(f"{number} at {store_id} only" for store_id, number in shopper.at_one_store_only.items()),
        *(f"owes {round_amount(amount, currency):f} {currency}" for currency, amount in shopper.owes.items()),
        *(f"loyalty account {loyalty_id}" for loyalty_id in shopper.loyalty_accounts),
    ]
    typer.echo(f"{shopper.shopper_id}: {', '.join(facts)}")


def _set_flag(shopper_id: str, flagged: bool, reason: str, now: datetime | None) -> None:
    check_reachable(engine())
    with engine().begin() as connection:
        registry.set_flag(
            connection, shopper_id, flagged=flagged, reason=reason, actor=getpass.getuser(), now=now or system_clock()
        )
    _show(shopper_id, now=now)


card_commands.add_to(app)
privacy_commands.add_to(app)
