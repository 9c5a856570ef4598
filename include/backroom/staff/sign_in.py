"""Signing in: the password, tries that are counted, and sessions that end by themselves.

A session's cookie is 256 random bits, of which the database keeps the SHA-256 alone. The form's token against forged
requests follows from the cookie, so that only who holds the cookie knows it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text
from werkzeug.security import check_password_hash, generate_password_hash

from backroom.audit import trail
from backroom.staff.members import HASHED_BY, LONGEST_PASSWORD, end_sessions, known_form
from backroom.staff.permissions import Permission, granted

WINDOW: Final = timedelta(minutes=15)
TRIES_PER_NAME: Final = 5
TRIES_PER_ADDRESS: Final = 30
KEPT: Final = timedelta(days=2)  # failures and ended sessions
_NOBODY: Final = generate_password_hash("a password that nobody has", HASHED_BY)
"""An unknown name takes as long as a wrong password."""


@dataclass(frozen=True)
class Limits:
    """How long a session lasts: without a click, and in all."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Member:
    """Who works here at this moment. `notice` is what the page says once, if anything."""

    name: str
    roles: tuple[str, ...]
    permissions: frozenset[Permission]
    session_hash: str

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles grants it."""
        return permission in self.permissions


class SignInRefused(Exception):
    """Name or password is wrong, or there were too many tries; `wait` says for how long then."""

    def __init__(self, wait: timedelta | None = None) -> None:
        super().__init__("too many tries" if wait else "name or password is wrong")
        self.wait = wait


def sign_in(
    connection: Connection, name: str, password: str, *, address: str, new_token: Callable[[], str], now: datetime
) -> str:
    """Begins a session and returns its cookie. Raises SignInRefused, whose count the caller must commit.

    `address` is the caller's; it is kept as a hash that changes with the day.
    """
    folded = known_form(name)
    tries = {"name": _hash(name.strip().lower()), "address": _hash(f"{address} {now.date()}"), "now": now}
    _hold_back(connection, tries, now)
    row = connection.execute(_MEMBER, {"name": folded or ""}).one_or_none()
    right = len(password) <= LONGEST_PASSWORD and check_password_hash(row.password_hash if row else _NOBODY, password)
    if row is None or not right or row.disabled_at is not None:
        connection.execute(_FAILED, tries)
        if row is not None:
            trail.record(connection, at=now, actor=row.name, action="staff.sign_in_failed", subject=row.name)
        raise SignInRefused
    connection.execute(_FORGET_FAILURES, tries)
    connection.execute(_CLEAN, {"before": now - KEPT})
    token = new_token()
    connection.execute(_BEGIN, {"hash": _hash(token), "name": row.name, "now": now})
    trail.record(connection, at=now, actor=row.name, action="staff.sign_in", subject=row.name)
    return token


def session(connection: Connection, token: str, *, limits: Limits, now: datetime) -> Member | None:
    """Whose session the cookie is; None where it has ended, or its person is disabled. Counts as a click."""
    hashed = _hash(token)
    values = {"hash": hashed, "idle": now - limits.idle, "longest": now - limits.longest, "now": now}
    row = connection.execute(_SESSION, values).one_or_none()
    if row is None:
        return None
    if now - row.seen_at >= timedelta(minutes=1):
        connection.execute(_SEEN, values)
    return Member(row.name, tuple(row.roles), granted(row.roles), hashed)


def sign_out(connection: Connection, who: Member, *, now: datetime) -> None:
    """Ends this person's sessions, here and everywhere else."""
    end_sessions(connection, who.name, now=now)
    trail.record(connection, at=now, actor=who.name, action="staff.sign_out", subject=who.name)


def leave_notice(connection: Connection, who: Member, notice: Mapping[str, Any]) -> None:
    """What the session's next page says."""
    connection.execute(_LEAVE_NOTICE, {"hash": who.session_hash, "notice": json.dumps(dict(notice))})


def take_notice(connection: Connection, who: Member) -> dict[str, Any] | None:
    """What was left to say; it is said once."""
    row = connection.execute(_TAKE_NOTICE, {"hash": who.session_hash}).one_or_none()
    return None if row is None else dict(row.notice)


def form_token(token: str) -> str:
    """What every form of the session carries."""
    return _hash(f"form {token}")


def is_form_token(token: str, given: str) -> bool:
    """Whether the form came from a page of this session."""
    return hmac.compare_digest(form_token(token).encode(), given.encode())


def _hold_back(connection: Connection, tries: Mapping[str, Any], now: datetime) -> None:
    """One try at a time for a name: those that come at once can't all pass before one is counted."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 8002))"), {"name": tries["name"]})
    told = connection.execute(_TRIES, {**tries, "since": now - WINDOW}).one()
    for count, most, first in (
        (told.by_name, TRIES_PER_NAME, told.first_by_name),
        (told.by_address, TRIES_PER_ADDRESS, told.first_by_address),
    ):
        if count >= most:
            raise SignInRefused(first + WINDOW - now)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


_MEMBER: Final = text("select name, password_hash, disabled_at from staff_member where name = :name")
_TRIES: Final = text("""
    select count(*) filter (where name_hash = :name) as by_name,
           count(*) filter (where address_hash = :address) as by_address,
           min(at) filter (where name_hash = :name) as first_by_name,
           min(at) filter (where address_hash = :address) as first_by_address
    from staff_sign_in_failure where at > :since and (name_hash = :name or address_hash = :address)
""")
_FAILED: Final = text("insert into staff_sign_in_failure (at, name_hash, address_hash) values (:now, :name, :address)")
_FORGET_FAILURES: Final = text("delete from staff_sign_in_failure where name_hash = :name")
_CLEAN: Final = text("""
    with old as (delete from staff_sign_in_failure where at < :before)
    delete from staff_session where seen_at < :before
""")
_BEGIN: Final = text(
    "insert into staff_session (session_hash, name, began_at, seen_at) values (:hash, :name, :now, :now)"
)
_SESSION: Final = text("""
    select s.name, s.seen_at, m.roles
    from staff_session s join staff_member m using (name)
    where s.session_hash = :hash and s.ended_at is null and m.disabled_at is null
      and s.seen_at > :idle and s.began_at > :longest
""")
_SEEN: Final = text("update staff_session set seen_at = :now where session_hash = :hash and seen_at < :now")
_LEAVE_NOTICE: Final = text("update staff_session set notice = cast(:notice as jsonb) where session_hash = :hash")
_TAKE_NOTICE: Final = text("""
    update staff_session s set notice = null
    from (select session_hash, notice from staff_session where session_hash = :hash for update) before
    where s.session_hash = before.session_hash and before.notice is not null returning before.notice
""")
