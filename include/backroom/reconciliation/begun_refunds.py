"""Which refunds stand in the books as begun: by their state, or, while one is asked for again, by what was booked."""

from __future__ import annotations

from typing import Final

BEGUN: Final = """
    (r.state = 'INITIATED' or r.state in ('DUE', 'UNKNOWN', 'PARKED') and exists (
        select from refund_event yes where yes.refund_id = r.refund_id and yes.kind = 'INITIATED' and not exists (
            select from refund_event back
            where back.refund_id = yes.refund_id and back.kind = 'REVERSED' and back.event_id > yes.event_id)))
"""
"""A condition on a row `r` of refund: it has begun, is not final, and was not reversed."""
STANDS: Final = f"(r.state = 'FINAL' or {BEGUN})"
"""The same, or final: what the books have of it."""
