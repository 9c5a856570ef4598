"""Brings a database to the newest schema, or says where it stands."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_262_517  # of pg_advisory_lock: two upgrades at once run one after the other


def upgrade(engine: Engine, *, privacy_keys: str | None = None) -> str:
    """Applies what is missing, in one transaction. Returns the revision it ends at.

    `privacy_keys`: what names people is sealed with them; None: with those of the settings.
    """
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = alembic_config()
        config.attributes["connection"] = connection
        config.attributes["privacy_keys"] = privacy_keys
        command.upgrade(config, "head")
        return str(MigrationContext.configure(connection).get_current_revision())


def status(engine: Engine) -> tuple[str | None, str]:
    """(the database's revision or None where it is empty, the newest revision there is)."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), str(head)


def alembic_config() -> Config:
    """Alembic's configuration, made by code: there is no alembic.ini to find."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
