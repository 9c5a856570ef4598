"""What a list is asked for: filters and the page's mark, from the address, each bounded."""

from __future__ import annotations

from datetime import date

from flask import request

from connector_app.console.errors import Refused

LONGEST = 255


def text(name: str) -> str | None:
    """A filter; None where it is not given or blank."""
    value = request.args.get(name, "").strip()
    if len(value) > LONGEST or not value.isprintable():
        raise Refused(400, f"The filter “{name}” is too long, or holds what can't be shown.")
    return value or None


def choice(name: str, known: tuple[str, ...], unset: str = "") -> str:
    """One of a few; the first where none is given and none is named for that."""
    value = request.args.get(name, "") or unset or known[0]
    if value not in known:
        raise Refused(400, f"The filter “{name}” is one of {', '.join(known)}.")
    return value


def day(name: str) -> date | None:
    """A day, as 2026-03-01."""
    value = text(name)
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError as error:
        raise Refused(400, f"“{name}” is a day, such as 2026-03-01.") from error


def number(name: str, most: int = 2**62) -> int | None:
    """A whole number from 0 on."""
    value = text(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 19 or int(value) > most:
        raise Refused(400, f"“{name}” is a whole number.")
    return int(value)


def after() -> str:
    """The mark of the page that is asked for; the list itself checks it."""
    return request.args.get("after", "")[:2_000]


def said(name: str = "reason") -> str:
    """What was written into a form's field."""
    return request.form.get(name, "").strip()[:2_000]
