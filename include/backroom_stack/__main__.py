"""make up and make demo; app-token: a bearer token, as the retailer's app would bring one to the portal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console

from backroom.errors import BackroomError
from backroom.settings import settings
from backroom_stack.supervisor import ASKED_FOR, SERVICES, Supervisor

SERVICES_HELP = f"some of {' '.join(SERVICES)}; none named: all of these; besides, where named: {' '.join(ASKED_FOR)}"
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


@app.command()
def simulate(
    seed: int = typer.Option(1, help="the same seed makes the same trips and faults"),
    trips: int = typer.Option(500, min=1, max=1_000_000, help="shopping trips"),
    faults: float = typer.Option(0.2, min=0, max=0.5, help="share of the trips whose calls of each kind go wrong"),
    kills: int = typer.Option(5, min=0, max=10_000, help="workers killed; a fifth as many are frozen"),
    days: int | None = typer.Option(None, min=1, max=365, help="days over which the trips come; by default as needed"),
    capture_repeat: str = typer.Option("double", help="what a repeated capture does at Amazon's: safe or double"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Prove the money by simulation; exits 1 on any breach."""
    from backroom_stack.simulation import report
    from backroom_stack.simulation.run import simulate as run
    from backroom_stack.simulation.scenario import Scenario

    if capture_repeat not in ("safe", "double"):
        raise BackroomError(f"--capture-repeat: safe or double (it is {capture_repeat!r})")
    scenario = Scenario(seed, trips, faults, kills, days, capture_repeat)  # type: ignore[arg-type]
    to_person = Console(stderr=True, soft_wrap=True, highlight=False)
    home = settings().home / f"simulation-{os.getpid()}"
    result = run(scenario, settings(), home, lambda line: to_person.print(f"  {line}"))
    if as_json:
        typer.echo(report.as_json(result))
    else:
        report.show(result, console)
    if result.holds:
        shutil.rmtree(home, ignore_errors=True)
    else:
        to_person.print(f"  what it left: {home}")
    raise typer.Exit(0 if result.holds else 1)


@app.command(name="app-token")
def app_token(
    shopper_id: str = typer.Option(..., "--id", help="the shopper's id"),
    minutes: int = typer.Option(60, min=1, max=1440, help="how long it is good"),
) -> None:
    """Print a token of the local identity provider, for a portal that `make up` started without another."""
    from backroom_stack import app_identity

    typer.echo(app_identity.app_token(settings().home, shopper_id, timedelta(minutes=minutes), datetime.now(UTC)))


@app.command()
def environment() -> None:
    """Print what a shell must export so that `backroom` reaches the parts that `up` has started; for `eval`."""
    from backroom_stack.shell_environment import exports

    typer.echo("\n".join(exports(settings())))


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
