"""The console over a furnished retailer, connected as its own role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.db.roles import set_password
from backroom.settings import settings
from backroom.staff import members
from tests.conftest import forget_configuration
from tests.connector_app.console.world import Console, World, furnish


@pytest.fixture(scope="module")
def world(database: Engine, home: Path, module_patch: pytest.MonkeyPatch) -> World:
    module_patch.setattr(members, "HASHED_BY", "scrypt:256:8:1")  # a password's cost is no matter of these tests
    return furnish(database, settings().reports_folder)


@pytest.fixture(scope="module")
def console(world: World, module_patch: pytest.MonkeyPatch) -> Iterator[Console]:
    """What the app does in the database, its role must be allowed to."""
    set_password(world.engine, "backroom_console", "of-this-test")
    url = world.engine.url.set(drivername="postgresql", username="backroom_console", password="of-this-test")
    module_patch.setenv("BACKROOM_DATABASE_URL", url.render_as_string(hide_password=False))
    forget_configuration()
    yield Console.over(settings())
    from backroom.db.engine import engine

    engine().dispose()
    forget_configuration()
