"""What happened to refunds, as the books hear it, and the state that follows in the refund's row and its request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.refunds import states
from backroom.refunds.tables import refund, refund_event
from backroom.reviews import cases


class Happened(StrEnum):
    """Events that the ledger books."""

    DEBT_REDUCED = "DEBT_REDUCED"
    INITIATED = "INITIATED"
    FINAL = "FINAL"
    REVERSED = "REVERSED"


class ParkedFor(StrEnum):
    """Why a person is asked about a refund; also the kind of the review case."""

    REFUND_REFUSED = "REFUND_REFUSED"
    UNKNOWN_REFUND = "UNKNOWN_REFUND"
    UNCONFIRMED_REFUND = "UNCONFIRMED_REFUND"
    PAY_BACK_BY_HAND = "PAY_BACK_BY_HAND"


def subject_of(refund_id: int) -> str:
    """What a review case calls the refund that it is about."""
    return f"refund:{refund_id}"


# a request is open while a part is; DONE where anything went back, FAILED where nothing did
_CLOSE: Final = text(
    """
    update refund_request q
    set state = case when parts.open > 0 then 'APPROVED' when parts.final > 0 then 'DONE' else 'FAILED' end
    from (
        select count(*) filter (where state in ('WAITING', 'DUE', 'UNKNOWN', 'INITIATED', 'PARKED')) as open,
               count(*) filter (where state = 'FINAL') as final
        from refund where request_id = :request
    ) parts
    where q.request_id = :request and q.state in ('APPROVED', 'DONE', 'FAILED')
    """
)


def tell(
    connection: Connection,
    one: RowMapping,
    kind: Happened,
    *,
    source: str,
    happened_at: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Adds the event, once per refund, kind and source: the ledger finds it by its mark."""
    connection.execute(
        upsert(refund_event)
        .values(
            refund_id=one["refund_id"],
            shopping_trip_id=one["shopping_trip_id"],
            store_id=one["store_id"],
            kind=kind,
            amount=one["amount"],
            currency=one["currency"],
            happened_at=happened_at,
            source=source,
            details=dict(details or {}),
        )
        .on_conflict_do_nothing()
    )


def move(connection: Connection, one: RowMapping, state: str, **values: Any) -> RowMapping:
    """The refund's new state (and columns), and the end of its lease; its request follows. Returns the new row.

    Raises RuntimeError for a move that `states.MOVES` does not have.
    """
    states.check(one["state"], state)
    row = (
        connection.execute(
            update(refund)
            .where(refund.c.refund_id == one["refund_id"])
            .values(state=state, **{"next_attempt_at": None, "lease_until": None, **values})
            .returning(refund)
        )
        .mappings()
        .one()
    )
    if one["state"] == "PARKED" and state != "PARKED":
        _settle_cases(connection, row, values)
    connection.execute(_CLOSE, {"request": one["request_id"]})
    return row


def keep(connection: Connection, one: RowMapping, **values: Any) -> RowMapping:
    """Changes columns, leaves lease and next date alone. Returns the new row. Raises as `move`."""
    if "state" in values:
        states.check(one["state"], values["state"])
    query = update(refund).where(refund.c.refund_id == one["refund_id"]).values(**values).returning(refund)
    return connection.execute(query).mappings().one()


def make_final(connection: Connection, one: RowMapping, *, source: str, happened_at: datetime) -> RowMapping:
    """The money is back: the event, once, and the state."""
    if one["state"] == "FINAL":
        return one
    tell(connection, one, Happened.FINAL, source=source, happened_at=happened_at)
    return move(connection, one, "FINAL", final_at=happened_at)


def make_refused(connection: Connection, one: RowMapping, *, source: str, happened_at: datetime) -> RowMapping:
    """No money went back: what was booked of it is undone, and the instrument may give it again."""
    booked = connection.execute(
        select(refund_event.c.event_id).where(
            refund_event.c.refund_id == one["refund_id"], refund_event.c.kind.in_(["INITIATED", "FINAL"])
        )
    ).first()
    if booked is not None:
        tell(connection, one, Happened.REVERSED, source=source, happened_at=happened_at)
    return move(connection, one, "REFUSED")


def close_request(connection: Connection, request_id: int) -> None:
    """The request's state follows its parts."""
    connection.execute(_CLOSE, {"request": request_id})


def _settle_cases(connection: Connection, row: RowMapping, values: Mapping[str, Any]) -> None:
    at = values.get("final_at") or values.get("next_attempt_at") or row["initiated_at"]
    for kind in ParkedFor:
        if at is not None:
            cases.settle(
                connection,
                kind=kind.value,
                subject=subject_of(row["refund_id"]),
                by="refunds",
                reason=f"later news settled it: the refund is {row['state']}",
                now=at,
            )
