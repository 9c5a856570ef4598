"""backroom shoppers: set-address, export, erase, erasures, sign-in-link, turn-keys."""

from __future__ import annotations

import getpass
import json
import secrets
from datetime import datetime, timedelta
from typing import Annotated

import typer
from sqlalchemy import Connection

from backroom.audit import trail
from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed, show_query
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.settings import settings
from backroom.shoppers import contacts, privacy, sign_in
from backroom.shoppers.registry import get_shopper
from backroom.shoppers.sealing import seal_of
from backroom.shoppers.turning import turn_all

Id = Annotated[str, typer.Option("--id", help="the shopper's id")]
Address = Annotated[str, typer.Option("--address", help="their e-mail address", prompt=True)]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)]
Now = Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands on people's data to those on shoppers."""
    app.command(name="set-address")(set_address)
    app.command(name="export")(export)
    app.command(name="erase")(erase)
    app.command(name="erasures")(erasures)
    app.command(name="sign-in-link")(sign_in_link)
    app.command(name="turn-keys")(turn_keys)


def set_address(shopper_id: Id, address: Address, reason: Reason, language: str = "en", now: Now = None) -> None:
    """Keep a shopper's e-mail address (sealed): they sign in by it, and get their receipts there."""
    check_reachable(engine())
    at = now or system_clock()
    with engine().begin() as connection:
        _known(connection, shopper_id)
        seal = seal_of(settings())
        contacts.keep(connection, seal, "SHOPPER", shopper_id, address, source="RETAILER", language=language, now=at)
        trail.record(
            connection, at=at, actor=getpass.getuser(), action="shopper.address", subject=shopper_id, reason=reason
        )
    typer.echo(f"{shopper_id}: the address is kept")


def export(shopper_id: Id, reason: Reason, now: Now = None) -> None:
    """Everything that is kept about a shopper, as JSON."""
    at = now or system_clock()
    index = _index(shopper_id)
    with engine().begin() as connection:
        found = privacy.export(connection, seal_of(settings()), index, now=at)
        trail.record(
            connection, at=at, actor=getpass.getuser(), action="shopper.export", subject=shopper_id, reason=reason
        )
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False, default=str))


def erase(shopper_id: Id, reason: Reason, now: Now = None) -> None:
    """Have a shopper erased by the retention pipeline: the books stay, the person goes."""
    at = now or system_clock()
    index = _index(shopper_id)
    with engine().begin() as connection:
        privacy.ask_erasure(connection, index, now=at)
        trail.record(
            connection, at=at, actor=getpass.getuser(), action="shopper.ask_erasure", subject="a shopper", reason=reason
        )
    typer.echo("taken in; the retention pipeline does it, or holds it while money is under way")


def erasures(as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """The wishes for erasure, and why those that are held must wait."""
    show_query(
        "select request_id, asked_at, state, problem, done_at from privacy_request order by request_id desc",
        {},
        as_json=as_json,
    )


def sign_in_link(shopper_id: Id, reason: Reason, now: Now = None) -> None:
    """Print a sign-in link, for trying the portal where no e-mail is sent. Not in production."""
    if settings().env == "production":
        raise BackroomError("links go out by e-mail alone where BACKROOM_ENV=production")
    check_reachable(engine())
    at, token = now or system_clock(), secrets.token_urlsafe(32)
    with engine().begin() as connection:
        seal = seal_of(settings())
        contact = contacts.of_holder(connection, seal, "SHOPPER", shopper_id)
        if contact is None:
            raise _no_address(shopper_id)
        life = timedelta(minutes=settings().portal_link_minutes)
        sign_in.make_link(connection, seal, contact.address, token, life=life, now=at)
        trail.record(
            connection, at=at, actor=getpass.getuser(), action="shopper.sign_in_link", subject=shopper_id, reason=reason
        )
    typer.echo(f"{settings().portal_public_url.rstrip('/')}/sign-in/{token}")


def turn_keys(reason: Reason, now: Now = None) -> None:
    """Seal addresses and loyalty ids anew with the newest of BACKROOM_PRIVACY_KEYS. Safe to run again."""
    check_reachable(engine())
    turned = turn_all(engine(), seal_of(settings()))
    with engine().begin() as connection:
        trail.record(
            connection,
            at=now or system_clock(),
            actor=getpass.getuser(),
            action="shopper.turn_keys",
            subject="everybody",
            reason=reason,
            details=dict(turned),
        )
    typer.echo(", ".join(f"{count} of {kind}" for kind, count in turned.items()) + " sealed with the newest key")


def _index(shopper_id: str) -> str:
    check_reachable(engine())
    seal = seal_of(settings())
    with engine().begin() as connection:
        contact = contacts.of_holder(connection, seal, "SHOPPER", shopper_id)
    if contact is None:
        raise _no_address(shopper_id)
    return seal.index(contact.address)


def _no_address(shopper_id: str) -> BackroomError:
    return BackroomError(f"no address of shopper {shopper_id!r} is kept; set one with `backroom shoppers set-address`")


def _known(connection: Connection, shopper_id: str) -> None:
    get_shopper(connection, shopper_id, now=system_clock())
