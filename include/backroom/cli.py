"""The command line. Each room brings its own commands; this file only gathers them.

Exit codes: 0 done; 1 done, and what was found needs a person (breaks, failed checks); 2 could not be done, and one
line on standard error says why.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

import typer
from rich.console import Console
from sqlalchemy.exc import OperationalError, ProgrammingError

from backroom import logs
from backroom.errors import BackroomError

COMMANDS = {
    "db": "backroom.db.commands",
    "stores": "backroom.stores.commands",
    "shoppers": "backroom.shoppers.commands",
    "prices": "backroom.purchases.commands",
    "carts": "backroom.purchases.cart_commands",
    "catalog": "backroom.catalog.commands",
    "stock": "backroom.inventory.commands",
    "feeds": "backroom.feeds.commands",
    "charges": "backroom.charges.commands",
    "refunds": "backroom.refunds.commands",
    "receipts": "backroom.receipts.commands",
    "debts": "backroom.debts.commands",
    "ledger": "backroom.ledger.commands",
    "review": "backroom.reviews.commands",
    "quality": "backroom.quality.commands",
    "processors": "backroom.processors.commands",
    "reconcile": "backroom.reconciliation.commands",
    "staff": "backroom.staff.commands",
    "sandbox": "backroom.amazon.sandbox_commands",
    "simulate": "backroom.simulate_command",
}


def build_app(names: list[str]) -> typer.Typer:
    """The command line with the named groups loaded (all of them for help)."""
    app = typer.Typer(name="backroom", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def _root() -> None:
        """The back office of Just Walk Out stores."""

    for name in names:
        app.add_typer(import_module(COMMANDS[name]).app, name=name)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Entry point: loads only the group that is asked for, and turns a user's mistake into one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = next((argument for argument in arguments if not argument.startswith("-")), "")
    logs.configure("WARNING")  # a command says itself what it did
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "200")  # a file or a pipe has no width that would have to be kept to
    try:
        app = build_app([asked] if asked in COMMANDS else list(COMMANDS))
        code = app(arguments, prog_name="backroom", standalone_mode=False)
    except BackroomError as error:
        _refuse(str(error))
    except typer.TyperException as error:  # an argument is missing, malformed or unknown
        _refuse_usage(error)
    except typer.Abort:
        _refuse("stopped")
    except ProgrammingError as error:  # a table or a right is missing
        _refuse(f"the database can't do this: {str(error.orig).splitlines()[0]}; see `backroom db status` and its role")
    except OperationalError as error:
        _refuse(f"the database does not answer: {str(error.orig).splitlines()[0]}; is it running, is the URL right?")
    except Exception as error:
        if not type(error).__module__.startswith("botocore."):  # not imported for the commands that need no AWS
            raise
        _refuse(f"AWS: {error}; are credentials and BACKROOM_AWS_ENDPOINT_URL right (docs/operations.md)?")
    else:
        sys.exit(code)


def _refuse_usage(error: typer.TyperException) -> NoReturn:
    said = " ".join(error.format_message().split()).rstrip(".")
    if not said:  # a group without a command: its help has been printed
        sys.exit(2)
    where = getattr(getattr(error, "ctx", None), "command_path", "backroom")
    _refuse(f"{said[0].lower()}{said[1:]}; `{where} --help` shows how it is used")


def _refuse(reason: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"backroom: {reason}", markup=False)
    sys.exit(2)


if __name__ == "__main__":
    main()
