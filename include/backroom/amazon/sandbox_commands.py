"""backroom sandbox: asks the running sandbox, which plays Amazon's side, for something to try."""

from __future__ import annotations

import httpx
import typer

from backroom.errors import BackroomError, ConfigurationError
from backroom.settings import settings

app = typer.Typer(help="The sandbox that plays Amazon's side.", no_args_is_help=True)


@app.callback()
def _sandbox() -> None:
    """The sandbox that plays Amazon's side."""


@app.command()
def trip(store: str = typer.Option("STORE-001", "--store", help="the store that the trip is in")) -> None:
    """Start a live trip with a held pre-authorization and print its id alone."""
    url = f"http://127.0.0.1:{settings().sandbox_port}"
    try:
        answer = httpx.post(f"{url}/sandbox/trips", json={"store_id": store}, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"no sandbox answers at {url} ({error}); start it with `make up` or set BACKROOM_SANDBOX_PORT"
        ) from error
    try:
        shopping_trip_id = answer.json()["shoppingTripId"] if answer.is_success else ""
    except (ValueError, KeyError, TypeError):
        shopping_trip_id = ""
    if not shopping_trip_id:
        raise BackroomError(f"the sandbox started no trip in {store}: HTTP {answer.status_code} {answer.text[:200]}")
    typer.echo(shopping_trip_id)
