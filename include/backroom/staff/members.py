"""Adding staff, changing what they may do, and ending their access. Each change is audited."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select, text, update
from werkzeug.security import generate_password_hash

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.staff.permissions import Role
from backroom.staff.tables import staff_member, staff_session

HASHED_BY: Final = "scrypt:32768:8:1"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SHOWN: Final = [column for column in staff_member.c if column.name != "password_hash"]


class StaffError(BackroomError):
    """There is no such person, or there is one already, or what is asked for can't be."""


def add(
    connection: Connection, name: str, roles: Collection[str], password: str, *, by: str, reason: str, now: datetime
) -> str:
    """Lets a person sign in by this name, which is kept in lower case and returned. Raises StaffError."""
    kept = known_form(name)
    if kept is None:
        raise StaffError("a name has up to 64 letters, digits, dots, hyphens, underscores and @, such as ana.lopez")
    granted = _roles(roles)
    if connection.execute(select(staff_member.c.name).where(staff_member.c.name == kept)).first():
        raise StaffError(f"{kept} is there already; `backroom staff role`, `password` and `enable` change it")
    connection.execute(
        insert(staff_member).values(
            name=kept, roles=granted, password_hash=_hashed(password, kept), added_at=now, password_set_at=now
        )
    )
    _audit(connection, "add", kept, by, reason, now, roles=granted)
    return kept


def set_roles(
    connection: Connection, name: str, roles: Collection[str], *, by: str, reason: str, now: datetime
) -> None:
    """What the person may do from the next click on. Raises StaffError."""
    name, granted = _existing(connection, name), _roles(roles)
    _change(connection, name, roles=granted)
    _audit(connection, "role", name, by, reason, now, roles=granted)


def set_password(connection: Connection, name: str, password: str, *, by: str, reason: str, now: datetime) -> None:
    """A new password; every session of the person ends. Raises StaffError."""
    name = _existing(connection, name)
    _change(connection, name, password_hash=_hashed(password, name), password_set_at=now)
    end_sessions(connection, name, now=now)
    _audit(connection, "password", name, by, reason, now)


def disable(connection: Connection, name: str, *, by: str, reason: str, now: datetime) -> None:
    """Nobody signs in by that name any more, and every session ends. The name stays in the audit trail."""
    name = _existing(connection, name)
    _change(connection, name, disabled_at=now)
    end_sessions(connection, name, now=now)
    _audit(connection, "disable", name, by, reason, now)


def enable(connection: Connection, name: str, *, by: str, reason: str, now: datetime) -> None:
    """The person may sign in again. Raises StaffError."""
    name = _existing(connection, name)
    _change(connection, name, disabled_at=None)
    _audit(connection, "enable", name, by, reason, now)


def everyone(connection: Connection) -> Sequence[RowMapping]:
    """All staff by name, without their passwords' hashes."""
    return connection.execute(select(*_SHOWN).order_by(staff_member.c.name)).mappings().all()


def end_sessions(connection: Connection, name: str, *, now: datetime) -> None:
    """Signs the person out everywhere."""
    connection.execute(
        update(staff_session)
        .where(staff_session.c.name == name, staff_session.c.ended_at.is_(None))
        .values(ended_at=now)
    )


def known_form(name: str) -> str | None:
    """The name as it is kept; None where it can't be one."""
    folded = name.strip().lower()
    return folded if _NAME.fullmatch(folded) else None


def _existing(connection: Connection, name: str) -> str:
    folded = known_form(name)
    locked = select(staff_member.c.name).where(staff_member.c.name == (folded or "")).with_for_update()
    if connection.execute(locked).first() is None:
        raise StaffError(f"there is nobody called {name!r}; `backroom staff list` shows everyone")
    assert folded is not None
    return folded


def _change(connection: Connection, name: str, **values: object) -> None:
    connection.execute(update(staff_member).where(staff_member.c.name == name).values(**values))


def _roles(roles: Collection[str]) -> list[str]:
    strange = sorted(set(roles) - {role.value for role in Role})
    if strange or not roles:
        raise StaffError(f"{', '.join(strange) or 'nothing'} is no role; there are {', '.join(Role)}")
    return sorted(set(roles))


def _hashed(password: str, name: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise StaffError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if len(set(password)) < 5 or name in password.lower():
        raise StaffError("this password can be guessed: it repeats a few characters, or holds the name")
    return generate_password_hash(password, HASHED_BY)


def _audit(
    connection: Connection, action: str, name: str, by: str, reason: str, now: datetime, **details: object
) -> None:
    if not reason.strip():
        raise StaffError("the reason says nothing; write why, it is kept in the audit trail")
    trail.record(
        connection, at=now, actor=by, action=f"staff.{action}", subject=name, reason=reason.strip(), details=details
    )


def count(connection: Connection) -> int:
    """How many people may sign in."""
    return int(connection.execute(text("select count(*) from staff_member where disabled_at is null")).scalar_one())
