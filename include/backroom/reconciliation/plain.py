"""Trips on which all sides agree to the cent are told by one condition; the rules judge the others one by one.

On an ordinary day that is nearly all of them. What the condition lets through, matching.judge would match without a
note, whatever the time is: a test holds the two together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

PLAIN: Final = """
    purchase_state = 'PRICED' and unbilled = 0 and differing = 0
    and matched_by = 'TRIP' and orders = 1 and superseded = 0 and not any_incomplete
    and order_currency = purchase_currency and order_entry_method = entry_method and order_total = total
    and charge_state = 'CAPTURED' and charge_currency = purchase_currency and charge_total = total
    and captured = total and capture_initiated = 0 and debt = 0 and debt_returned = 0
    and not own_processor
    and order_status in ('SETTLED', 'REFUNDED') and captured_all = captured
    and refunded_all = card_refunded and card_refund_on_its_way = 0
    and coalesce(heard_captured, captured_all) = captured_all and coalesce(heard_total, order_total) = order_total
    and (test or booked_sales = list_total - tax_included_total and booked_promotions = promotion_total
         and booked_tax - booked_refunds_net = tax_total - refunded_of_sale and booked_refunded = paid_back
         and booked_initiated = capture_initiated and booked_captured = captured and booked_debt_open = debt_open)
"""
_KEEP: Final = text("""
    insert into judged_trip
        (shopping_trip_id, outcome, note, entry_method, currency, purchase_total, charge_state, charge_captured,
         order_total, order_captured, ledger_captured, matched_by, confidence, waits)
    select shopping_trip_id, 'MATCHED', '', entry_method, store_currency, total, charge_state, captured,
           order_total, captured_all, case when not test then booked_captured end, matched_by, confidence, false
    from trip_side where plain
""")


def keep_plain(connection: Connection) -> int:
    """Puts the gathered trips that are plainly matched into judged_trip; returns how many."""
    return int(connection.execute(_KEEP).rowcount)
