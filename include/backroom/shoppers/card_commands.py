"""backroom shoppers: flag-card, unflag-card, trust-card, untrust-card, cards."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Annotated

import typer

from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed, show_query
from backroom.db.engine import check_reachable, engine
from backroom.shoppers import cards

Token = Annotated[str, typer.Argument(help="Amazon's token for the card: the shopperIdentity.id")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)]
Now = Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands on cards to those on shoppers."""
    app.command(name="flag-card")(flag_card)
    app.command(name="unflag-card")(unflag_card)
    app.command(name="trust-card")(trust_card)
    app.command(name="untrust-card")(untrust_card)
    app.command(name="cards")(list_cards)


def flag_card(token: Token, reason: Reason, now: Now = None) -> None:
    """Deny a card at every gate where we decide or may override Amazon."""
    _judge(token, "FLAGGED", reason, now)
    typer.echo(f"card {token}: flagged")


def unflag_card(token: Token, reason: Reason, now: Now = None) -> None:
    """Lift a card's flag."""
    _forget(token, "FLAGGED", reason, now)
    typer.echo(f"card {token}: no longer flagged")


def trust_card(token: Token, reason: Reason, now: Now = None) -> None:
    """Let a card in although Amazon recommends to deny it (never one that is invalid, or that owes)."""
    _judge(token, "TRUSTED", reason, now)
    typer.echo(f"card {token}: trusted")


def untrust_card(token: Token, reason: Reason, now: Now = None) -> None:
    """Follow Amazon's recommendation for a card again."""
    _forget(token, "TRUSTED", reason, now)
    typer.echo(f"card {token}: no longer trusted")


def list_cards(as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """Show the cards that are flagged or trusted."""
    show_query(
        "select shopper_identity, standing, reason, set_by, set_at from card_standing order by set_at",
        {},
        as_json=as_json,
    )


def _judge(token: str, standing: cards.Standing, reason: str, now: datetime | None) -> None:
    check_reachable(engine())
    with engine().begin() as connection:
        cards.judge(connection, token, standing, reason=reason, actor=getpass.getuser(), now=now or system_clock())


def _forget(token: str, standing: cards.Standing, reason: str, now: datetime | None) -> None:
    check_reachable(engine())
    with engine().begin() as connection:
        cards.forget(connection, token, standing, reason=reason, actor=getpass.getuser(), now=now or system_clock())
