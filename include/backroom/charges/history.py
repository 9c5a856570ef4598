"""The append-only history of charges: adds news, folds again, and keeps the row, the debt and the next date in step.

Everything that changes a charge after it was opened passes through `add`, in one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import orjson
from sqlalchemy import Connection, RowMapping, text

from backroom.charges.rules import ChargeRules, ParkedFor, due_at
from backroom.charges.states import ChargeState, Event, Kind, Source, State, fold
from backroom.debts.opening import keep_in_step
from backroom.reviews import cases
from backroom.settings import settings

Chance = Callable[[str], Random]  # a seed's own generator: `random.Random` itself


@dataclass(frozen=True)
class News:
    """One event to add. `details` are JSON with amounts as exact text."""

    event: Event
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """A charge's row and the fold of its events."""

    shopping_trip_id: str
    store_id: str
    currency: str
    expires_at: datetime
    fencing: int
    next_attempt_at: datetime | None
    last_at: datetime  # when the last thing of our own happened; nothing of ours may be dated before it
    rules: ChargeRules
    events: tuple[Event, ...]
    folded: ChargeState

    def at(self, now: datetime) -> datetime:
        """The date of what happens now: after all that has happened, also where the business time stands still."""
        return max(now, self.last_at + timedelta(microseconds=1))


_LOCKED: Final = text(
    """
    select c.*, s.after_decline, s.preauthorization_amount, s.trust_capture_answer
    from charge c join store s using (store_id)
    where c.shopping_trip_id = any(:trips)
    order by c.shopping_trip_id
    for update of c
    """
)


_EVENTS: Final = text(
    "select shopping_trip_id, kind, happened_at, source, source_id, amount, cast(details ->> 'number' as int) as number"
    " from charge_event where shopping_trip_id = any(:trips) order by event_id"
)
_KEEP: Final = text(
    """
    insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id,
                              details)
    select shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id, details
    from json_to_recordset(:events) as event (shopping_trip_id text, kind text, amount numeric, currency text,
        happened_at timestamptz, heard_at timestamptz, source text, source_id text, details jsonb)
    on conflict do nothing
    """
)
_FOLLOW: Final = text(
    """
    update charge c
    set state = fold.state, authorized = fold.authorized, captured = fold.captured,
        capture_initiated = fold.capture_initiated, next_attempt_at = fold.next_attempt_at, to_book = true,
        updated_at = :now
    from json_to_recordset(:folds) as fold (trip text, state text, authorized numeric, captured numeric,
        capture_initiated numeric, next_attempt_at timestamptz)
    where c.shopping_trip_id = fold.trip
    """
)


def lock(connection: Connection, trips: Collection[str]) -> dict[str, Charge]:
    """The charges of these trips, locked until the transaction ends (in one order, so that no two lock each other)."""
    return charges_of(connection, connection.execute(_LOCKED, {"trips": list(trips)}).mappings().all())


def charges_of(connection: Connection, rows: Sequence[RowMapping]) -> dict[str, Charge]:
    """The charges of rows that this transaction has locked, with what their stores' rules are made of."""
    events = events_of(connection, [row["shopping_trip_id"] for row in rows])
    rules = {store: _rules(row) for store, row in {row["store_id"]: row for row in rows}.items()}
    return {
        row["shopping_trip_id"]: _charge(row, events[row["shopping_trip_id"]], rules[row["store_id"]]) for row in rows
    }


def events_of(connection: Connection, trips: Collection[str]) -> dict[str, list[Event]]:
    """Each trip's events, as the fold reads them."""
    found: dict[str, list[Event]] = defaultdict(list)
    for trip, kind, happened_at, source, source_id, amount, number in connection.execute(_EVENTS, {"trips": [*trips]}):
        found[trip].append(Event(Kind(kind), happened_at, Source(source), source_id, amount, number or 0))
    return found


def add(
    connection: Connection,
    locked: Mapping[str, Charge],
    news: Mapping[str, Sequence[News]],
    *,
    now: datetime,
    chance: Chance = Random,
) -> dict[str, Charge]:
    """Adds news to charges that this transaction has locked, each item once; row, debt and next date follow the fold.

    Returns the charges as they are then. News that changes nothing is kept and moves no date.
    """
    rows = [_row(locked[trip], item, now) for trip, items in news.items() for item in items]
    if rows:
        connection.execute(_KEEP, {"events": _json(rows)})
    after = {
        trip: _folded(one, [item.event for item in news.get(trip, ())], now, chance) for trip, one in locked.items()
    }
    changed = [trip for trip, one in after.items() if one.folded != locked[trip].folded]
    _update_rows(connection, [after[trip] for trip in changed], now)
    for trip in changed:
        after[trip] = _with_debt(connection, after[trip], now)
        if locked[trip].folded.state is State.PARKED and after[trip].folded.state is not State.PARKED:
            _settle_cases(connection, after[trip], now)
    return after


def _folded(was: Charge, added: Sequence[Event], now: datetime, chance: Chance) -> Charge:
    events = (*was.events, *added)
    folded = fold(events)
    if folded == was.folded:
        return replace(was, events=events)
    seed = f"{was.shopping_trip_id}/{folded.unsettled_asks}"
    due = due_at(folded, now=now, expires_at=was.expires_at, rules=was.rules, chance=chance(seed))
    return replace(was, events=events, folded=folded, next_attempt_at=due, last_at=_last_of_ours(events))


def _last_of_ours(events: Sequence[Event]) -> datetime:
    return max(event.happened_at for event in events if event.source not in (Source.ORDER_ROW, Source.EVENT))


def _update_rows(connection: Connection, charges: Sequence[Charge], now: datetime) -> None:
    if not charges:
        return
    folds = [
        {
            "trip": one.shopping_trip_id,
            "state": one.folded.state.kept_as,
            "authorized": one.folded.authorized,
            "captured": one.folded.captured,
            "capture_initiated": one.folded.capture_initiated,
            "next_attempt_at": one.next_attempt_at,
        }
        for one in charges
    ]
    connection.execute(_FOLLOW, {"folds": _json(folds), "now": now})


def _with_debt(connection: Connection, one: Charge, now: datetime) -> Charge:
    """The debt follows `owed` in the same transaction, and the history tells by how much it changed."""
    folded = one.folded
    change = folded.owed - folded.debt_opened
    if change == 0:
        return one
    kind = Kind.DEBT_OPENED if change > 0 else Kind.DEBT_WITHDRAWN
    told = Event(
        kind, now, Source.CLOCK, f"{folded.debt_opened:f} to {folded.owed:f} at {now.isoformat()}", abs(change)
    )
    details = {"cause": folded.cause.value} if folded.cause is not None and change > 0 else {}
    connection.execute(_KEEP, {"events": _json([_row(one, News(told, details), now)])})
    keep_in_step(
        connection,
        shopping_trip_id=one.shopping_trip_id,
        store_id=one.store_id,
        currency=one.currency,
        owed=folded.owed,
        captured=folded.captured,
        cause=folded.cause.value if folded.cause is not None else None,
        now=now,
    )
    return replace(one, events=(*one.events, told), folded=replace(folded, debt_opened=folded.owed))


def _settle_cases(connection: Connection, one: Charge, now: datetime) -> None:
    for kind in ParkedFor:
        cases.settle(
            connection,
            kind=kind.value,
            subject=one.shopping_trip_id,
            by="charges",
            reason=f"later news settled it: the charge is {one.folded.state.kept_as}",
            now=now,
        )


def _charge(row: RowMapping, events: Sequence[Event], rules: ChargeRules) -> Charge:
    return Charge(
        shopping_trip_id=row["shopping_trip_id"],
        store_id=row["store_id"],
        currency=row["currency"],
        expires_at=row["expires_at"],
        fencing=row["fencing"],
        next_attempt_at=row["next_attempt_at"],
        last_at=_last_of_ours(events),
        rules=rules,
        events=tuple(events),
        folded=fold(events),
    )


def _rules(row: RowMapping) -> ChargeRules:
    return ChargeRules.of(
        settings(),
        after_decline=row["after_decline"],
        preauthorization=row["preauthorization_amount"],
        trusts_capture_answer=row["trust_capture_answer"],
    )


def _row(one: Charge, item: News, now: datetime) -> dict[str, Any]:
    event = item.event
    details = dict(item.details)
    currency = details.get("amazon_currency") or one.currency
    if event.number:
        details["number"] = event.number
    return {
        "shopping_trip_id": one.shopping_trip_id,
        "kind": event.kind,
        "amount": event.amount,
        "currency": currency if event.amount is not None else None,
        "happened_at": event.happened_at,
        "heard_at": now,
        "source": event.source,
        "source_id": event.source_id,
        "details": details,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    """For a statement: amounts as text, which keeps them exact."""
    return orjson.dumps(rows, default=str).decode()
