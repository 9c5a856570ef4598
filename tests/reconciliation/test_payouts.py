"""What the retailer's own processor pays out, against what it captured and refunded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from backroom.reconciliation import merging
from tests.reconciliation.conftest import ENDED, Books


@pytest.fixture
def own(books: Books) -> Books:
    """A store that charges through its own processor, whose captures Amazon's orders do not show."""
    books.connection.execute(
        text("update store set payment_processor = 'SANDBOX' where store_id = :store"), {"store": books.store_id}
    )
    return books


def _trip(books: Books) -> str:
    trip = books.trip()
    books.change("amazon_order", trip, captured=0, status="OPEN")
    return trip


def _of_payouts(books: Books) -> list[tuple[str, str, bool]]:
    """(ours, paid out, whether they tie) of the newest run's checks of captures and refunds."""
    figures = _figures(books)
    merged = merging.merged([figures])
    assert merged["payouts"] == figures["payouts"]
    assert {check["what"] for check in figures["checks"] if check["against"] == "Amazon's orders"} == {
        "Totals of carts paid by card"  # its orders show no money of these trips
    }
    return [(one["amount"], one["other"], one["ties"]) for one in merged["checks"] if one["against"] == "payouts"]


def _figures(books: Books) -> dict[str, Any]:
    """Those of the newest run."""
    found: dict[str, Any] = books.connection.execute(
        text("select figures from reconciliation_run where store_id = :s order by revision desc limit 1"),
        {"s": books.store_id},
    ).scalar_one()
    return found


def test_payouts_are_due_days_after_the_capture_and_then_missing(own: Books) -> None:
    late, paid, short, split = (_trip(own) for _ in range(4))
    own.pay_out(paid, "8.12")
    own.pay_out(short, "8.00")
    own.pay_out(split, "5.00")
    own.pay_out(split, "3.12")
    assert own.reconcile().expected == 1
    assert _of_payouts(own) == [("24.36", "24.24", False), ("0.00", "0.00", True)]  # one is not due yet, one is short
    own.reconcile(now=ENDED + timedelta(days=6))
    assert own.breaks() == [(late, 0, "MISSING_PAYOUT"), (short, 0, "PAYOUT")]
    assert _of_payouts(own)[0] == ("32.48", "24.24", False)
    own.pay_out(late, "8.12")
    own.pay_out(short, "0.12")
    own.reconcile(now=ENDED + timedelta(days=7))
    assert _of_payouts(own)[0] == ("32.48", "32.48", True)


def test_a_payout_that_names_no_trip_is_found_by_its_reference(own: Books) -> None:
    trip = _trip(own)
    own.insert(
        "preauthorization", auth_event_id=f"gate-{trip}", store_id=own.store_id, shopper_id="s", processor="SANDBOX",
        currency="USD", amount=75, state="USED", processor_reference="pay-77", shopping_trip_id=trip,
        intended_at=ENDED,
    )  # fmt: skip
    own.pay_out(None, "5.00", reference="pay-77")
    own.pay_out(trip, "3.12", reference="pay-77")  # this one names both
    own.pay_out(None, "1.00", reference="pay-76")  # nobody's
    assert own.reconcile().matched == 1
    assert _of_payouts(own)[0] == ("8.12", "8.12", True)
    assert _figures(own)["sections"]["clearing"][-1]["paid_out"] == "8.12"


def test_a_day_does_not_read_the_payouts_of_other_days(own: Books) -> None:
    own.pay_out(_trip(own), "8.12")
    own.connection.execute(
        text("""
        insert into processor_payout_line
            (processor, payout_id, line_number, kind, reference, shopping_trip_id, amount, currency, paid_out_on,
             received_at)
        select 'SANDBOX', 'old', n, 'CAPTURE', 'old-' || n, case when n % 2 = 0 then 'OLD-' || n end, 8.12, 'USD',
               date '2026-02-02', timestamptz '2026-02-02 12:00Z'
        from generate_series(1, 20000) n
    """)
    )
    own.connection.execute(text("analyze processor_payout_line"))
    before = _read_row_by_row(own)
    assert own.reconcile().matched == 1
    assert _read_row_by_row(own) == before


def _read_row_by_row(books: Books) -> int:
    """How many lines of payouts were read without an index, by this transaction so far."""
    return int(
        books.connection.execute(
            text("select seq_tup_read from pg_stat_xact_user_tables where relname = 'processor_payout_line'")
        ).scalar_one()
    )


def test_days_frozen_by_older_rules_add_up_with_new_ones() -> None:
    old, new = (
        {"of": "card", "amount": "1.00", "times": 1},
        {"of": "card", "amount": "2.00", "times": 2, "late": "0.50"},
    )
    for rows in ([old, new], [new, old]):
        (row,) = merging.added([dict(one) for one in rows], keys=["of"], money=["amount", "late"], counts=["times"])
        assert (row["amount"], row["times"], row["late"]) == ("3.00", 3, "0.50")
