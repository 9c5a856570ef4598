"""Lines of payouts by trip: found from the trips, so that the payouts of all other days are not read.

A line names its trip, or only the payment; then the hold that bears this reference names the trip.
"""

from __future__ import annotations


def of_trips(trips: str) -> str:
    """SQL: shopping_trip_id, processor, kind, amount, fee, currency of each line about a trip of the relation `trips`.

    `trips` has each shopping_trip_id once.
    """
    told = "l.processor, l.kind, l.amount, l.fee, l.currency"
    return f"""
        select t.shopping_trip_id, {told}
        from {trips} t join processor_payout_line l on l.shopping_trip_id = t.shopping_trip_id
        union all
        select t.shopping_trip_id, {told}
        from {trips} t join preauthorization a on a.shopping_trip_id = t.shopping_trip_id
        join processor_payout_line l on l.processor = a.processor and l.reference = a.processor_reference
        where l.shopping_trip_id is null
    """  # noqa: S608 - the caller's constants
