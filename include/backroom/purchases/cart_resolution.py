"""A person says what the lines of a bad cart are: this SKU, or nothing that is to be charged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, text

from backroom.audit import trail
from backroom.card_numbers import remove_card_numbers
from backroom.errors import BackroomError
from backroom.money import Money
from backroom.purchases import stored_cart
from backroom.purchases.cart_cases import ask_about_bad_cart, decided_case
from backroom.purchases.cart_settlement import charge_stored, price_stored
from backroom.purchases.cart_stock import put_back_into_stock
from backroom.purchases.pricing import PricedCart
from backroom.purchases.stored_cart import StoredCart
from backroom.reviews.cases import settle

ACTION: Final = "carts.resolve"

_CART = text(f"""
    select {stored_cart.COLUMNS} from purchase join store using (store_id)
    where shopping_trip_id = :trip for update of purchase
""")  # noqa: S608 - constants only
_KNOWN_SKUS = text("""
    select item_sku from catalog_item where store_id = :store_id and item_sku = any(cast(:skus as text[]))
""")
_MAP = text("""
    update purchase_line set item_sku = :item_sku, mapped_at = :now
    where shopping_trip_id = :trip and line_number = :line
""")
_DROP = text("update purchase_line set dropped_at = :now where shopping_trip_id = :trip and line_number = :line")
_UNBILLED = text("""
    select array_agg(line_number order by line_number) as lines, min(recorded_at) as at
    from unbilled_line where shopping_trip_id = :trip
""")


class CartError(BackroomError):
    """There is no such cart or line, it does not wait any more, or the SKU is not one of its store's."""


@dataclass(frozen=True)
class Resolution:
    """`charged` is the total that is due now; None where `problems` still stand in the way."""

    charged: Money | None
    problems: tuple[str, ...] = ()


def resolve(
    connection: Connection,
    shopping_trip_id: str,
    *,
    mapped: Mapping[int, str],
    dropped: Collection[int],
    by: str,
    reason: str,
    now: datetime,
) -> Resolution:
    """Maps lines (by number) to SKUs of the store's catalog, drops others, and charges the cart once all have a price.

    Priced as of the trip's end; in the caller's transaction. Only lines that stand in the way, or that a person mapped
    before, can be changed. The cart's open case is decided by this; a cart that still lacks a price is asked about
    anew. Raises CartError, also where somebody else's decision came first; nothing is changed then.
    """
    row = connection.execute(_CART, {"trip": shopping_trip_id}).one_or_none()
    if row is None:
        raise CartError(f"there is no cart of trip {shopping_trip_id!r}; `backroom carts list` shows those that wait")
    _check_waits(connection, row)
    before = stored_cart.read_carts(connection, [row])[0]
    _check_lines(connection, before, mapped, dropped)
    reason = remove_card_numbers(reason)
    said = [*(f"line {line} is {sku}" for line, sku in sorted(mapped.items())), *(f"line {n} dropped" for n in dropped)]
    settle(connection, kind="BAD_CART", subject=shopping_trip_id, by=by, reason=f"{', '.join(said)}: {reason}", now=now)
    _store(connection, before, mapped, dropped, now)
    after = stored_cart.read_carts(connection, [row])[0]
    put_back_into_stock(connection, after, _left(before, mapped, dropped), now=now)
    priced = price_stored(connection, after)
    if isinstance(priced, PricedCart):
        charge_stored(connection, after, priced, now=now, reason="RESOLVED_BY_LINE")
        result = Resolution(priced.total)
    else:
        ask_about_bad_cart(connection, after.cart, priced)
        result = Resolution(None, tuple(f"line {found.item.line_number}: {found.reason}" for found in priced))
    trail.record(
        connection,
        at=now,
        actor=by,
        action=ACTION,
        subject=shopping_trip_id,
        reason=reason,
        details={
            "mapped": {str(line): sku for line, sku in sorted(mapped.items())},
            "dropped": sorted(dropped),
            "charged": None if result.charged is None else format(result.charged.amount, "f"),
            "problems": list(result.problems),
        },
    )
    return result


def _check_waits(connection: Connection, row: Row) -> None:
    trip_id = row.shopping_trip_id
    if row.state != "BAD_CART":
        unbilled = connection.execute(_UNBILLED, {"trip": trip_id}).one()
        if unbilled.lines:
            raise CartError(
                f"too late for trip {trip_id}: it was charged for its known lines at {unbilled.at:%Y-%m-%d %H:%M} UTC, "
                f"shortly before its pre-authorization ended, and a trip is charged once; unbilled for good: "
                f"{_named(unbilled.lines)} (`backroom carts unbilled`)"
            )
        raise CartError(f"the cart of trip {trip_id} does not wait: it is {row.state}; `backroom carts show {trip_id}`")
    case = decided_case(connection, trip_id)
    if case is not None:
        raise CartError(
            f"case {case.case_id} of trip {trip_id} was decided already: {case.decision} by {case.decided_by} at "
            f"{case.decided_at:%Y-%m-%d %H:%M} UTC; the first decision stands and is acted on by charge_lifecycle"
        )


def _check_lines(
    connection: Connection, stored: StoredCart, mapped: Mapping[int, str], dropped: Collection[int]
) -> None:
    trip_id = stored.cart.shopping_trip_id
    lines = {line.line_number: line for line in stored.lines}
    if not mapped and not dropped:
        raise CartError("say what is to be done: --map LINE=SKU or --drop LINE, each as often as needed")
    if both := set(mapped) & set(dropped):
        raise CartError(f"{_named(both)} can't be both mapped and dropped")
    asked = sorted({*mapped, *dropped})
    if strange := [line for line in asked if line not in lines]:
        raise CartError(f"trip {trip_id} has no {_named(strange)}; its lines are 1 to {len(lines)}")
    if gone := [line for line in asked if lines[line].dropped_at is not None]:
        raise CartError(f"{_named(gone)} of trip {trip_id}: dropped already")
    found = price_stored(connection, stored)
    wrong = set() if isinstance(found, PricedCart) else {problem.item.line_number for problem in found}
    if fine := [line for line in asked if line not in wrong and lines[line].mapped_at is None]:
        raise CartError(
            f"{_named(fine)} of trip {trip_id} can be priced as it came, and is left as it is; what stands in the way: "
            f"{_named(wrong) if wrong else 'nothing any more, decide its case with price_again'}"
        )
    asked_skus = {"store_id": stored.cart.store_id, "skus": sorted(set(mapped.values()))}
    known = set(connection.execute(_KNOWN_SKUS, asked_skus).scalars())
    for line, sku in sorted(mapped.items()):
        if sku not in known:
            raise CartError(
                f"line {line}: {sku!r} is no SKU of {stored.cart.store_id}'s catalog; "
                f"`backroom catalog skus --store {stored.cart.store_id}` prints them"
            )


def _store(
    connection: Connection, stored: StoredCart, mapped: Mapping[int, str], dropped: Collection[int], now: datetime
) -> None:
    trip = {"trip": stored.cart.shopping_trip_id, "now": now}
    if mapped:
        connection.execute(_MAP, [{**trip, "line": line, "item_sku": sku} for line, sku in sorted(mapped.items())])
    if dropped:
        connection.execute(_DROP, [{**trip, "line": line} for line in sorted(dropped)])


def _left(before: StoredCart, mapped: Mapping[int, str], dropped: Collection[int]) -> dict[str, int]:
    """Products that the connector had posted for lines which are now of another product, or of none."""
    return {
        line.item_sku: line.line_number
        for line in before.lines
        if line.item_sku is not None and line.mapped_at is None and line.line_number in {*mapped, *dropped}
    }


def _named(lines: Collection[int]) -> str:
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, sorted(lines)))}"
