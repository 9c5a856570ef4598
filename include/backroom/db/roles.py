"""One database role per app. The migrations create and grant them; who deploys gives them a way to log in."""

from __future__ import annotations

from sqlalchemy import Engine, text

ROLES = {
    "backroom_pipeline": "the DAGs and the command line's business commands",
    "backroom_connector": "the app that Amazon calls",
    "backroom_portal": "the app that shoppers see",
    "backroom_console": "the app where staff work",
    "backroom_reader": "reads everything, changes nothing: finance's own queries",
}


def set_password(engine: Engine, role: str, password: str) -> None:
    """Lets a role log in with a password. The role must be one of ROLES."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is not one of {', '.join(ROLES)}")
    with engine.begin() as connection:
        quoted = connection.execute(
            text("select format('alter role %I login password %L', cast(:role as text), cast(:password as text))"),
            {"role": role, "password": password},
        ).scalar_one()
        connection.exec_driver_sql(quoted.replace("%", "%%"))
