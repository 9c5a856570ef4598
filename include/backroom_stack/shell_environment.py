"""What a shell exports so that `backroom` reaches the running installation's parts as its pipelines do."""

from __future__ import annotations

import os
import shlex

from backroom.db.engine import database_url
from backroom.errors import BackroomError
from backroom.settings import Settings
from backroom_stack.environment import Environment
from backroom_stack.secrets_file import load_or_make

_HOME = "BACKROOM_HOME"  # said also where it is set: it may be so for this one command alone
_BY_ITSELF = {"BACKROOM_DATABASE_URL"}  # the command line finds the embedded server, and as its owner


def exports(config: Settings) -> list[str]:
    """Lines for a POSIX shell. Raises BackroomError where `make up` has made nothing here, or does not run."""
    if not (config.home / "secrets.json").exists():
        raise BackroomError(f"nothing was started here yet: {config.home} has no secrets; run `make up` first")
    owner = database_url(config)
    known = Environment(config, load_or_make(config.home), owner, owner).pipeline()
    return [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(known.items())
        if name.startswith(("BACKROOM_", "AWS_"))
        and name not in _BY_ITSELF
        and (name == _HOME or os.environ.get(name) != value)
    ]
