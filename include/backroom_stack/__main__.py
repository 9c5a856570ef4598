"""make up and make demo; app-token: a bearer token, as the retailer's app would bring one to the portal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console

from backroom.errors import BackroomError
from backroom.settings import settings
from backroom_stack.supervisor import SERVICES, Supervisor

SERVICES_HELP = f"some of {' '.join(SERVICES)}; none named: all"
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(soft_wrap=True, highlight=False)


@app.command()
def up(services: list[str] = typer.Argument(None, help=SERVICES_HELP)) -> None:
    """Start the whole system, or a part, with the demo's stores and catalog, and leave it running until Ctrl-C."""
    from backroom_stack.store_world import prepare_for_use

    wanted = tuple(services or SERVICES)
    with Supervisor(settings(), wanted, lambda line: console.print(f"  {line}"), schedules=True) as supervisor:
        supervisor.start()
        prepare_for_use(supervisor, console)
        console.print("Running. Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            supervisor.watch()
    console.print("ended")


@app.command()
def demo(trips: int = typer.Option(1200, min=50, max=20_000, help="shopping trips of the day")) -> None:
    """One store day, from the gate to the finance report."""
    from backroom_stack.demo import run_demo

    raise typer.Exit(run_demo(settings(), console, trips=trips))


@app.command(name="app-token")
def app_token(
    shopper_id: str = typer.Option(..., "--id", help="the shopper's id"),
    minutes: int = typer.Option(60, min=1, max=1440, help="how long it is good"),
) -> None:
    """Print a token of the local identity provider, for a portal that `make up` started without another."""
    from backroom_stack import app_identity

    typer.echo(app_identity.app_token(settings().home, shopper_id, timedelta(minutes=minutes), datetime.now(UTC)))


def main() -> None:
    """Entry point: a user's mistake is one line, Ctrl-C and SIGTERM end every part."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        app()
    except BackroomError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"backroom: {error}", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    os.environ.setdefault("TERM", "dumb")
    main()
