"""The gathered day as the rules want it: trips that are not plainly matched, streamed, and lines that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.reconciliation.sides import (
    ZERO,
    Booked,
    Charge,
    Heard,
    Line,
    LineSide,
    Order,
    PaidOut,
    Purchase,
    Refunded,
    Trip,
)

FETCHED_AT_ONCE = 2_000

# When a trip was last heard of: looked up for those that the rules judge, since for the others time does not matter.
_NEWS: Final = """
    select shopping_trip_id, max(last_at) as last_at from (
        select e.shopping_trip_id, max(e.happened_at) as last_at
        from charge_event e join asked using (shopping_trip_id) group by 1
        union all
        select a.shopping_trip_id, max(a.intended_at)
        from charge_attempt a join asked using (shopping_trip_id) group by 1
        union all
        select e.shopping_trip_id, max(e.happened_at)
        from refund_event e join asked using (shopping_trip_id) group by 1
        union all
        select e.shopping_trip_id, max(e.happened_at)
        from debt_event e join asked using (shopping_trip_id) group by 1
    ) news group by shopping_trip_id
"""
_TRIPS: Final = text(f"""
    with asked as materialized (select shopping_trip_id from trip_side where not plain),
         news as materialized ({_NEWS})
    select s.*, greatest(news.last_at, s.charge_updated_at) as changed_at
    from trip_side s left join news using (shopping_trip_id)
    where not s.plain order by s.shopping_trip_id
""")  # noqa: S608 - constants of this file only


def trips(connection: Connection, *, token_life: timedelta) -> Iterator[list[Trip]]:
    """The gathered trips that are not plainly matched, in batches; between two the connection is free."""
    result = connection.execute(
        _TRIPS,
        execution_options={"stream_results": True, "yield_per": FETCHED_AT_ONCE},
    )
    for batch in result.mappings().partitions(FETCHED_AT_ONCE):
        yield [_trip(row, token_life) for row in batch]


def differing_lines(connection: Connection) -> dict[str, list[Line]]:
    """By trip id, the gathered lines that are not the same on both sides."""
    found: dict[str, list[Line]] = defaultdict(list)
    rows = connection.execute(text("select * from differing_line order by shopping_trip_id, line_number"))
    for row in rows.mappings():
        left_out = row["left_out"]
        ours = _side(row, "") if row["have_ours"] and left_out is None else None
        theirs = _side(row, "their_") if row["have_theirs"] else None
        found[row["shopping_trip_id"]].append(Line(row["line_number"], ours, theirs, left_out))
    return found


def _trip(row: RowMapping, token_life: timedelta) -> Trip:
    return Trip(
        row["shopping_trip_id"],
        row["store_currency"],
        _purchase(row, token_life) if row["purchase_state"] is not None else None,
        _charge(row) if row["charge_state"] is not None else None,
        _order(row),
        None if row["test"] else _booked(row),
        has_files=row["has_files"],
        has_events=row["has_events"],
        own_processor=row["own_processor"],
        heard=Heard(row["heard_captured"], row["heard_total"], row["heard_currency"]) if row["heard_at"] else None,
        refunded=Refunded(
            of_sale=row["refunded_of_sale"],
            paid_back=row["paid_back"],
            card=row["card_refunded"],
            card_begun=row["card_refund_begun"],
            card_on_its_way=row["card_refund_on_its_way"],
            returned=row["returned"],
            last_at=row["refunded_at"],
            begun_at=row["card_refund_begun_at"],
        ),
        paid_out=_paid_out(row),
        matched_by=row["matched_by"],
        confidence=row["confidence"],
        their_trip_id=row["their_trip_id"],
    )


def _purchase(row: RowMapping, token_life: timedelta) -> Purchase:
    return Purchase(
        state=row["purchase_state"],
        entry_method=row["entry_method"],
        currency=row["purchase_currency"],
        list_total=row["list_total"],
        promotion_total=row["promotion_total"],
        tax_total=row["tax_total"],
        tax_included_total=row["tax_included_total"],
        total=row["total"],
        token_ends_at=row["trip_started_at"] + token_life,
        case_open=row["case_open"],
        unbilled=row["unbilled"],
    )


def _charge(row: RowMapping) -> Charge:
    return Charge(
        state=row["charge_state"],
        currency=row["charge_currency"],
        total=row["charge_total"],
        captured=row["captured"],
        initiated=row["capture_initiated"],
        expires_at=row["expires_at"],
        changed_at=row["changed_at"],
        debt=row["debt"],
        debt_open=row["debt_open"],
        debt_returned=row["debt_returned"],
    )


def _order(row: RowMapping) -> Order | None:
    """Amazon's order as its files show it; without a row of theirs, as its events do."""
    if row["order_id"] is not None:
        return Order(
            order_id=row["order_id"],
            status=row["order_status"],
            entry_method=row["order_entry_method"],
            currency=row["order_currency"],
            total=row["order_total"],
            captured=row["captured_all"],
            refunded=row["refunded_all"],
            updated_at=row["order_updated_at"],
            incomplete=row["any_incomplete"],
            orders=row["orders"],
            superseded=row["superseded"],
        )
    if row["has_files"] or row["heard_at"] is None or (row["heard_total"] is None and row["heard_captured"] is None):
        return None
    return Order(
        order_id="events",
        status={"CaptureApproved": "SETTLED", "CaptureDeclined": "CANCELLED"}.get(row["heard_said"], "OPEN"),
        entry_method=None,
        currency=row["heard_currency"] or row["store_currency"],
        total=row["heard_total"],
        captured=row["heard_captured"] if row["heard_captured"] is not None else ZERO,
        refunded=None,
        updated_at=row["heard_at"],
        from_events=True,
    )


def _paid_out(row: RowMapping) -> PaidOut | None:
    if not row["paid_out_currencies"]:
        return None
    currency = row["paid_out_currency"] if row["paid_out_currencies"] == 1 else "several currencies"
    return PaidOut(row["paid_out"] or ZERO, row["paid_out_refunds"], currency)


def _booked(row: RowMapping) -> Booked:
    return Booked(
        sales=row["booked_sales"],
        promotions=row["booked_promotions"],
        tax=row["booked_tax"],
        initiated=row["booked_initiated"],
        captured=row["booked_captured"],
        debt_open=row["booked_debt_open"],
        refunds_net=row["booked_refunds_net"],
        refunded=row["booked_refunded"],
    )


def _side(row: RowMapping, prefix: str) -> LineSide:
    return LineSide(
        item_sku=row[prefix + "item_sku"],
        quantity=row[prefix + "quantity"],
        unit=row[prefix + "unit"],
        list_price=row[prefix + "list_price"],
        promotion=row[prefix + "promotion"],
        price=row[prefix + "price"],
        tax=row[prefix + "tax"],
    )
