"""Verdicts on their way into the tables: staged in temporary ones, compared with what stands, and kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from sqlalchemy import Connection, text

from backroom.reconciliation.sides import Trip
from backroom.reconciliation.verdict import Verdict

_KEPT: Final = (
    "outcome", "note", "entry_method", "currency", "purchase_total", "charge_state", "charge_captured", "order_total",
    "order_captured", "ledger_captured", "matched_by", "confidence", "their_trip_id", "reading", "waits",
)  # fmt: skip
_COLUMNS: Final = ", ".join(_KEPT)
_DIFFERS: Final = text("""
    select exists (
        select from judged_trip j
        left join reconciliation_trip t on t.store_id = :store_id and t.business_date = :day
             and t.shopping_trip_id = j.shopping_trip_id
        where (t.outcome, t.note) is distinct from (j.outcome, j.note))
""")
_KEEP: Final = text(
    f"""
    insert into reconciliation_trip as kept (store_id, business_date, shopping_trip_id, run_id, {_COLUMNS})
    select cast(:store_id as text), cast(:day as date), shopping_trip_id, cast(:run_id as bigint), {_COLUMNS}
    from judged_trip
    on conflict (store_id, business_date, shopping_trip_id) do update set
        run_id = excluded.run_id, {", ".join(f"{name} = excluded.{name}" for name in _KEPT)}
    where ({", ".join(f"kept.{name}" for name in _KEPT)})
          is distinct from ({", ".join(f"excluded.{name}" for name in _KEPT)})
    """  # noqa: S608 - constants of this file only
)
# An order was taken for a trip of this day until its purchase came, with another day. Its breaks are closed, not gone.
_LEAVE: Final = text("""
    delete from reconciliation_trip t
    where t.store_id = :store_id and t.business_date = :day
      and not exists (select from judged_trip j where j.shopping_trip_id = t.shopping_trip_id)
""")


def copy(connection: Connection, judged: Iterable[tuple[Trip, Verdict]]) -> None:
    """Trips and their verdicts into judged_trip and found_break."""
    judged = list(judged)
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy("copy judged_trip from stdin") as rows:
        for trip, verdict in judged:
            purchase, charge, order = trip.purchase, trip.charge, trip.order
            side = purchase or order
            rows.write_row(
                (
                    trip.shopping_trip_id,
                    verdict.outcome.value,
                    verdict.note,
                    side.entry_method if side else None,
                    trip.currency,
                    purchase.total if purchase else None,
                    charge.state if charge else None,
                    charge.captured if charge else None,
                    order.total if order else None,
                    order.captured if order else None,
                    trip.booked.captured if trip.booked else None,
                    trip.matched_by,
                    trip.confidence,
                    trip.their_trip_id,
                    verdict.reading,
                    bool(verdict.waits),
                )
            )
    with driver.cursor() as cursor, cursor.copy("copy found_break from stdin") as rows:
        for trip, verdict in judged:
            for found in verdict.findings.values():
                rows.write_row(
                    (
                        trip.shopping_trip_id,
                        found.line_number,
                        found.kind.value,
                        found.ours,
                        found.theirs,
                        found.difference,
                        trip.currency,
                        found.explanation,
                    )
                )


def differs(connection: Connection, store_id: str, business_date: date) -> bool:
    """Whether the outcome of any trip that was judged is not as it stands."""
    where = {"store_id": store_id, "day": business_date}
    return bool(connection.execute(_DIFFERS, where).scalar_one())


def keep_trips(connection: Connection, run_id: int, store_id: str, business_date: date, *, all_of_them: bool) -> None:
    """The verdicts into reconciliation_trip; `all_of_them`: what was not judged is no trip of this day any more."""
    where = {"store_id": store_id, "day": business_date}
    connection.execute(text("analyze judged_trip"))
    connection.execute(_KEEP, where | {"run_id": run_id})
    if all_of_them:
        connection.execute(_LEAVE, where)
        # the figures and the report read what was just written: PostgreSQL must know how much it is
        connection.execute(text("analyze reconciliation_trip"))
