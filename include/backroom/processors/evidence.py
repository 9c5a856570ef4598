"""What became of captures, as the processor tells it: by its answer, by a look, or by a webhook.

All three end in `processor_call`, so that one thing is settled once. `backroom.charges.evidence` takes it from there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, Row, text

from backroom.processors import holds
from backroom.processors.call_records import CAPTURE, latest_call
from backroom.processors.calls import Calls
from backroom.processors.port import PaymentState, Processor
from backroom.settings import settings

_TELLS_OF_CAPTURE: Final = """
    k.to_hear and k.operation in ('CAPTURE', 'LOOKUP') and k.outcome = 'SUCCEEDED'
    and k.answer ->> 'state' = 'CAPTURED' and k.answer ? 'captured'
"""
_SOURCE_ID: Final = "k.processor || ' ' || (k.answer ->> 'processor_reference') || ' ' || (k.answer ->> 'state')"
TOLD: Final = f"""
    select distinct on (c.shopping_trip_id, source_id)
           c.shopping_trip_id, c.currency as our_currency, {_SOURCE_ID} as source_id,
           greatest(k.intended_at, asked.intended_at) as happened_at, k.answer ->> 'currency' as currency,
           (k.answer ->> 'captured')::numeric as amount, asked.amount as asked, asked.intended_at,
           true as approved, false as cancelled, false as ruled_out
    from processor_call k join charge c on c.shopping_trip_id = k.subject {{asked}}
    where {_TELLS_OF_CAPTURE}
      and (c.state in {{open_states}} or (k.answer ->> 'captured')::numeric <> c.captured)
      and not exists (
          select from charge_event e
          where e.shopping_trip_id = c.shopping_trip_id and e.source = 'EVENT' and e.source_id = {_SOURCE_ID})
    union all
    select c.shopping_trip_id, c.currency, 'not made ' || asked.attempt_id, asked.intended_at, c.currency, 0,
           asked.amount, asked.intended_at, false, false, k.answer ->> 'state' = 'HELD'
    from charge c {{asked}}
    join processor_call k on k.subject = c.shopping_trip_id and k.operation = 'LOOKUP'
     and k.answer ->> 'not_made' = asked.attempt_id::text
    where c.state = 'UNKNOWN' and not exists (
        select from charge_event e
        where e.shopping_trip_id = c.shopping_trip_id and e.source = 'EVENT'
          and e.source_id = 'not made ' || asked.attempt_id)
"""  # noqa: S608 - constants of this file only
"""For charges: rows of evidence. `asked` joins the last attempt to capture; `open_states` are SQL's.

`ruled_out`: the hold stands, so that the attempt took nothing, and may be made again. Else, where it is not approved,
the hold has ended without a capture.
"""

HEARD: Final = (
    f"""
    update processor_call k set to_hear = false from charge c
    where {_TELLS_OF_CAPTURE} and c.shopping_trip_id = k.subject
      and (c.state in {{final_states}} and (k.answer ->> 'captured')::numeric = c.captured
           or exists (
               select from charge_event e
               where e.shopping_trip_id = c.shopping_trip_id and e.source = 'EVENT' and e.source_id = {_SOURCE_ID}))
    """,  # noqa: S608 - constants of this file only
    f"""
    update processor_call k set to_hear = false
    where {_TELLS_OF_CAPTURE} and k.intended_at < :before
      and not exists (select from charge c where c.shopping_trip_id = k.subject)
    """,  # noqa: S608 - constants of this file only
)
"""For charges, once they have heard: what they know, and what was looked up of other payments `before` then."""

# Charges whose capture may have been made. Nobody works on them, so that a look now is later than the attempt.
_OPEN: Final = text(
    """
    select c.shopping_trip_id, c.state, asked.attempt_id
    from charge c join store s using (store_id)
    join lateral (
        select a.attempt_id from charge_attempt a
        where a.shopping_trip_id = c.shopping_trip_id and a.operation = 'CAPTURE'
          and (a.outcome is null or a.outcome in ('SUCCEEDED', 'UNKNOWN'))
        order by a.number desc limit 1
    ) asked on true
    where s.payment_processor = :processor and c.state in ('UNKNOWN', 'CAPTURE_INITIATED', 'PARKED')
      and not coalesce(c.lease_until > clock_timestamp(), false)
      and not exists (
          select from processor_call k
          where k.subject = c.shopping_trip_id and k.outcome = 'SUCCEEDED'
            and k.operation in ('CAPTURE', 'LOOKUP') and k.answer ->> 'state' = 'CAPTURED'
            and k.answer ? 'captured')
      and not exists (
          select from processor_call k
          where k.subject = c.shopping_trip_id and k.operation = 'LOOKUP'
            and (k.intended_at > :now - cast(:pause as interval)
                 or k.answer ->> 'not_made' = asked.attempt_id::text))
    order by c.shopping_trip_id limit 1000
    """
)
_PAUSE: Final = timedelta(seconds=30)
_NOT_MADE: Final = text(
    """
    update processor_call set answer = answer || jsonb_build_object('not_made', cast(:attempt as text))
    where call_id = (select max(call_id) from processor_call where subject = :trip and operation = 'LOOKUP')
    """
)
_DROP: Final = text(
    "update processor_call set outcome = 'NOT_SENT', finished_at = :now"
    " where subject = :trip and operation = 'CAPTURE' and (outcome is null or outcome = 'UNKNOWN')"
)


def open_captures(connection: Connection, processor: str, *, now: datetime) -> bool:
    """Whether there is a capture of which the processor has to be asked what became of it."""
    return connection.execute(_OPEN, {"processor": processor, "now": now, "pause": _PAUSE}).first() is not None


def look_up_captures(engine: Engine, processor: Processor, *, now: datetime) -> int:
    """Asks what became of each capture whose outcome is open or was not final; returns how many were asked about.

    What is found is kept for charges. That a payment is only held rules an unknown capture out; the processor itself
    captures a payment once, so that an attempt which comes late finds it captured.
    """
    with engine.connect() as connection:
        rows = connection.execute(_OPEN, {"processor": processor.name, "now": now, "pause": _PAUSE}).all()
    calls = Calls(engine, processor, now=now)
    with ThreadPoolExecutor(settings().processor_concurrency, thread_name_prefix="look-up") as pool:
        for one in [pool.submit(_look_up, engine, calls, row, now) for row in rows]:
            one.result()
    return len(rows)


def _look_up(engine: Engine, calls: Calls, row: Row, now: datetime) -> None:
    trip = row.shopping_trip_id
    with engine.connect() as connection:
        call = latest_call(connection, CAPTURE, trip)
        hold = holds.to_charge(holds.of_trip(connection, trip))
    asked = call.answer.get("processor_reference") if call is not None else None
    name = asked or (hold.processor_reference if hold is not None else None)
    if name is None:
        return
    seen = calls.look_at(name, trip)
    if seen.payment is None or row.state != "UNKNOWN":
        return
    if seen.payment.state in (PaymentState.HELD, PaymentState.VOIDED, PaymentState.DECLINED):
        with engine.begin() as connection:
            connection.execute(_NOT_MADE, {"trip": trip, "attempt": str(row.attempt_id)})
            connection.execute(_DROP, {"trip": trip, "now": now})
