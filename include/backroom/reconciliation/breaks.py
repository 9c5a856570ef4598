"""Breaks as work: who has which, what became of each, and what a person may decide about one.

A break is a row that is never deleted. Later data closes it by itself; a person may force the match, or write the
difference off. A decision holds for what it was taken about: where the difference becomes another, it opens again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.reconciliation import giving_up
from backroom.reconciliation.giving_up import GivenUp

Row = dict[str, Any]


class BreakRefused(BackroomError):
    """There is no such break, or it is closed already, or what was decided says nothing."""


class Resolution(StrEnum):
    """What closed a break."""

    LATER_DATA = "LATER_DATA"
    FORCE_MATCHED = "FORCE_MATCHED"
    WRITTEN_OFF = "WRITTEN_OFF"


@dataclass(frozen=True)
class Filter:
    """Which breaks to list: what is None (or empty) does not narrow. Ages are whole days since the break was opened."""

    state: str | None = None  # OPEN, or a Resolution
    store_id: str | None = None
    kinds: Sequence[str] = ()
    first_day: date | None = None
    last_day: date | None = None
    owner: str | None = None  # "" : nobody's
    shopping_trip_id: str | None = None
    older_than_days: int | None = None


LISTED: Final = """
    select b.break_id, b.business_date, b.store_id, b.shopping_trip_id, b.line_number, b.kind, b.ours, b.theirs,
           b.difference, b.currency, b.explanation, b.opened_at, b.last_seen_at, b.closed_at, b.times_opened, b.owner,
           coalesce(b.resolution, 'OPEN') as state, b.resolved_by, b.resolved_reason,
           greatest(0, floor(extract(epoch from
               coalesce(b.closed_at, cast(:now as timestamptz)) - b.opened_at) / 86400))::int as age_days
    from reconciliation_break b
    where (cast(:state as text) is null or coalesce(b.resolution, 'OPEN') = :state)
      and (cast(:store_id as text) is null or b.store_id = :store_id)
      and (cardinality(cast(:kinds as text[])) = 0 or b.kind = any(:kinds))
      and (cast(:first_day as date) is null or b.business_date >= :first_day)
      and (cast(:last_day as date) is null or b.business_date <= :last_day)
      and (cast(:owner as text) is null or coalesce(b.owner, '') = :owner)
      and (cast(:trip as text) is null or b.shopping_trip_id = :trip)
      and (cast(:older as int) is null or b.opened_at <= cast(:now as timestamptz) - make_interval(days => :older))
"""
_ORDER: Final = " order by b.business_date desc, b.store_id, b.shopping_trip_id, b.line_number, b.kind"


def listed(connection: Connection, which: Filter, *, now: datetime, limit: int | None = None) -> list[Row]:
    """The breaks that the filter lets through, the newest day first; `now` (UTC) is what ages are counted to."""
    values = values_of(which, now) | {"limit": limit}
    rows = connection.execute(text(f"{LISTED}{_ORDER} limit :limit"), values)
    return [dict(row) for row in rows.mappings()]


def counted(connection: Connection, which: Filter, *, now: datetime) -> list[Row]:
    """How many the filter lets through, and what their differences come to: one row per kind and currency."""
    rows = connection.execute(
        text(
            "select kind, currency, count(*) as breaks, sum(difference) as difference, min(opened_at) as oldest"  # noqa: S608 - constants of this file only
            f" from ({LISTED}) b group by kind, currency order by breaks desc, kind, currency"
        ),
        values_of(which, now),
    )
    return [dict(row) for row in rows.mappings()]


def one(connection: Connection, break_id: int, *, now: datetime) -> Row:
    """That break. Raises BreakRefused for an id that there is not."""
    found = connection.execute(
        text(f"select * from ({LISTED}) b where break_id = :break_id"),  # noqa: S608 - constants of this file only
        values_of(Filter(), now) | {"break_id": break_id},
    ).mappings()
    row = found.one_or_none()
    if row is None:
        raise BreakRefused(f"there is no break {break_id}; the list of breaks shows those there are")
    return dict(row)


def history(connection: Connection, break_id: int) -> list[Row]:
    """What has happened to the break, the oldest first: at, actor, kind, reason, and the two sides as they were.

    `given_up` is what a write-off gave up of the books; below zero where later data took it back.
    """
    rows = connection.execute(
        text(
            "select event_id, at, actor, kind, reason, ours, theirs, difference, given_up"
            " from reconciliation_break_event where break_id = :break_id order by event_id"
        ),
        {"break_id": break_id},
    )
    return [dict(row) for row in rows.mappings()]


def assign(connection: Connection, break_id: int, *, owner: str | None, by: str, reason: str, now: datetime) -> None:
    """Makes the break somebody's work; None gives it back. Audited. Raises BreakRefused for one that is closed."""
    _open(connection, break_id)
    owner = (owner or "").strip() or None
    connection.execute(
        text("update reconciliation_break set owner = :owner where break_id = :break_id"),
        {"owner": owner, "break_id": break_id},
    )
    _tell(connection, break_id, "ASSIGNED", by=by, reason=f"to {owner or 'nobody'}: {_said(reason)}", now=now)
    _audit(connection, break_id, "assign", by=by, reason=reason, now=now, owner=owner or "")


def note(connection: Connection, break_id: int, *, by: str, reason: str, now: datetime) -> None:
    """Adds to the break's history what somebody found out; also to one that is closed. Audited. Raises BreakRefused."""
    _locked(connection, break_id)
    _tell(connection, break_id, "NOTED", by=by, reason=_said(reason), now=now)
    _audit(connection, break_id, "note", by=by, reason=reason, now=now)


def force_match(connection: Connection, break_id: int, *, by: str, reason: str, now: datetime) -> None:
    """A person says that the two sides are the same thing after all. Moves no money. Audited. Raises BreakRefused."""
    _resolve(connection, break_id, Resolution.FORCE_MATCHED, by=by, reason=reason, now=now)


def write_off(connection: Connection, break_id: int, *, by: str, reason: str, now: datetime) -> Decimal | None:
    """A person gives the difference up; returns it, in the break's currency. Audited. Raises BreakRefused.

    It ends the search. What of the difference stands in the books and will not come (giving_up.py) is marked to be
    booked as an expense with the ledger's next run. A debt of a shopper is written off by `backroom debts write-off`.
    """
    return _resolve(connection, break_id, Resolution.WRITTEN_OFF, by=by, reason=reason, now=now)


def _resolve(
    connection: Connection, break_id: int, how: Resolution, *, by: str, reason: str, now: datetime
) -> Decimal | None:
    row = _open(connection, break_id)
    reason = _said(reason)
    given_up = None
    if how is Resolution.WRITTEN_OFF:
        about = {name: row[name] for name in ("store_id", "shopping_trip_id", "kind", "difference")}
        given_up = giving_up.of_break(connection, **about)
        if given_up is not None and giving_up.stands(connection, break_id):
            raise BreakRefused(f"what break {break_id} gave up stands in the books already")
    connection.execute(
        text(
            "update reconciliation_break set closed_at = :now, resolution = :how, resolved_by = :by,"
            " resolved_reason = :reason where break_id = :break_id"
        ),
        {"now": now, "how": how.value, "by": by, "reason": reason, "break_id": break_id},
    )
    _tell(connection, break_id, how.value, by=by, reason=reason, now=now, given_up=given_up)
    booked = {"given_up": f"{given_up.amount:f} of {given_up.of}"} if given_up else {}
    _audit(
        connection, break_id, how.value.lower(), by=by, reason=reason, now=now, difference=_shown(row["difference"]),
        **booked,
    )  # fmt: skip
    difference: Decimal | None = row["difference"]
    return difference


def _open(connection: Connection, break_id: int) -> Row:
    row = _locked(connection, break_id)
    if row["resolution"] is not None:
        raise BreakRefused(f"break {break_id} was closed on {row['closed_at']:%Y-%m-%d %H:%M} ({row['resolution']})")
    return row


def _locked(connection: Connection, break_id: int) -> Row:
    row = connection.execute(
        text(
            "select break_id, store_id, shopping_trip_id, kind, ours, theirs, difference, resolution, closed_at"
            " from reconciliation_break where break_id = :break_id for update"
        ),
        {"break_id": break_id},
    ).mappings()
    found = row.one_or_none()
    if found is None:
        raise BreakRefused(f"there is no break {break_id}; the list of breaks shows those there are")
    return dict(found)


def _said(reason: str) -> str:
    if not reason.strip():
        raise BreakRefused("the reason says nothing; write why, it is kept with the break")
    return reason.strip()


def _tell(
    connection: Connection, break_id: int, kind: str, *, by: str, reason: str, now: datetime,
    given_up: GivenUp | None = None,
) -> None:  # fmt: skip
    connection.execute(
        text("""
            insert into reconciliation_break_event
                (break_id, at, actor, kind, reason, ours, theirs, difference, given_up, given_up_of, to_book)
            select break_id, cast(:now as timestamptz), cast(:by as text), cast(:kind as text), cast(:reason as text),
                   ours, theirs, difference, cast(:amount as numeric), cast(:of as text),
                   cast(:amount as numeric) is not null
            from reconciliation_break where break_id = :break_id
        """),
        {
            "break_id": break_id,
            "now": now,
            "by": by,
            "kind": kind,
            "reason": reason,
            "amount": given_up.amount if given_up else None,
            "of": given_up.of if given_up else None,
        },
    )


def _audit(
    connection: Connection, break_id: int, action: str, *, by: str, reason: str, now: datetime, **details: str
) -> None:
    trail.record(
        connection,
        at=now,
        actor=by,
        action=f"break.{action}",
        subject=str(break_id),
        reason=reason,
        details=details,
    )


def values_of(which: Filter, now: datetime) -> Row:
    """What LISTED is asked with."""
    return {
        "state": which.state,
        "store_id": which.store_id,
        "kinds": list(which.kinds),
        "first_day": which.first_day,
        "last_day": which.last_day,
        "owner": which.owner,
        "trip": which.shopping_trip_id,
        "older": which.older_than_days,
        "now": now,
    }


def _shown(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"
