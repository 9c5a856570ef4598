"""The database as the portal's own role sees it: what it was not granted, its pages can't do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine, make_url

from backroom.db.engine import engine
from backroom.db.roles import set_password
from tests.conftest import forget_configuration


@contextmanager
def as_portal(patch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """This process's own engine becomes the portal's; yields one that may do everything."""
    url = make_url(os.environ["BACKROOM_DATABASE_URL"])
    admin = create_engine(url.set(drivername="postgresql+psycopg"))
    set_password(admin, "backroom_portal", "tests")
    engine().dispose()
    whole = url.render_as_string(hide_password=False)
    patch.setenv(
        "BACKROOM_DATABASE_URL",
        url.set(username="backroom_portal", password="tests").render_as_string(hide_password=False),
    )
    forget_configuration()
    yield admin
    engine().dispose()
    patch.setenv("BACKROOM_DATABASE_URL", whole)
    forget_configuration()
    admin.dispose()
