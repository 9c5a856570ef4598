"""A cart that nobody has resolved in time: its known lines are charged while the card still can be, the rest is lost.

In time is `bad_cart_margin_hours` before the payment token ends, which leaves a charge the time that it needs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, text

from backroom.alerts import raise_alert
from backroom.audit import trail
from backroom.purchases import stored_cart
from backroom.purchases.cart_cases import decided_case
from backroom.purchases.cart_settlement import charge_stored, price_known_lines
from backroom.purchases.pricing import Problem
from backroom.purchases.stored_cart import StoredCart
from backroom.purchases.tables import unbilled_line
from backroom.reviews.cases import settle
from backroom.settings import settings

ACTOR: Final = "charge_lifecycle"
AT_ONCE: Final = 500  # carts in one transaction

_OVERDUE = text(f"""
    select {stored_cart.COLUMNS} from purchase join store using (store_id)
    where purchase.state = 'BAD_CART' and purchase.trip_started_at <= :started_by
    order by purchase.trip_started_at, purchase.shopping_trip_id limit :at_once for update of purchase skip locked
""")  # noqa: S608 - constants only


def charge_overdue(connection: Connection, *, now: datetime) -> dict[str, int]:
    """Charges at most AT_ONCE carts for their known lines; returns how many carts, and lines that stay unbilled.

    A cart without a known line is charged nothing, which frees its hold; one that can be priced by now is charged
    whole. Safe to run again and beside itself: a cart is
    settled once. Where a person decides at the same moment, that decision stands.
    """
    config = settings()
    hours = config.token_life_hours - config.bad_cart_margin_hours
    done = {"carts": 0, "lines": 0}
    rows = connection.execute(_OVERDUE, {"started_by": now - timedelta(hours=hours), "at_once": AT_ONCE}).all()
    lost: dict[str, tuple[int, int]] = {}
    for stored in stored_cart.read_carts(connection, rows):
        lines = _charge_in_part(connection, stored, now)
        if lines is None:
            continue
        done["carts"] += 1
        done["lines"] += lines
        if lines:
            carts, so_far = lost.get(stored.cart.store_id, (0, 0))
            lost[stored.cart.store_id] = (carts + 1, so_far + lines)
    for store_id, (carts, lines) in lost.items():
        raise_alert(
            connection,
            key=f"unbilled-lines:{store_id}:{now.date()}",
            severity="critical",
            title=f"{store_id}: {lines} lines of {carts} carts were not charged, because nobody resolved them in time",
            what_to_do="`backroom carts unbilled` lists them; correct the catalog or the price book, so that the next "
            "cart with these items can be priced",
            now=now,
            store_id=store_id,
        )
    return done


def _charge_in_part(connection: Connection, stored: StoredCart, now: datetime) -> int | None:
    """How many lines stay unbilled; None where a person has decided meanwhile."""
    trip_id = stored.cart.shopping_trip_id
    if decided_case(connection, trip_id) is not None:
        return None
    priced, problems = price_known_lines(connection, stored)
    settle(
        connection,
        kind="BAD_CART",
        subject=trip_id,
        by=ACTOR,
        reason=f"nobody resolved it in time: {len(priced.lines)} lines are charged, {len(problems)} stay unbilled",
        now=now,
    )
    in_part = "CHARGED_IN_PART" if priced.lines else "NOTHING_KNOWN"
    charge_stored(connection, stored, priced, now=now, reason=in_part if problems else "PRICED_IN_TIME")
    _keep_unbilled(connection, stored, problems, now)
    trail.record(
        connection,
        at=now,
        actor=ACTOR,
        action="carts.charge_in_part",
        subject=trip_id,
        reason=f"{settings().bad_cart_margin_hours} hours before the payment token ends",
        details={
            "charged": format(priced.total.amount, "f"),
            "unbilled": {str(problem.item.line_number): problem.reason for problem in problems},
        },
    )
    return len(problems)


def _keep_unbilled(connection: Connection, stored: StoredCart, problems: list[Problem], now: datetime) -> None:
    lines = {line.line_number: line for line in stored.lines}
    rows = [
        {
            "shopping_trip_id": stored.cart.shopping_trip_id,
            "line_number": problem.item.line_number,
            "store_id": stored.cart.store_id,
            "item_id": lines[problem.item.line_number].item_id,
            "quantity": problem.item.quantity,
            "unit": problem.item.unit,
            "reason": problem.reason,
            "recorded_at": now,
        }
        for problem in problems
    ]
    if rows:
        connection.execute(insert(unbilled_line), rows)
