"""Breaks that are planted in what the retailer is told, as a rule one to a trip, and the truth about each.

Bends the rows of one order as `reporting` writes them, or the cart as `events` tell it. Pure: rows in, rows and truth
out. The names of the kinds are those of the retailer's reconciliation; a difference is Amazon's amount minus the
retailer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

COLUMNS = [
    "orderId", "shoppingTripId", "storeId", "orderStatus", "entryMethod", "tripStartTime", "tripEndTime", "lineNumber",
    "merchantSku", "quantityValue", "quantityUnit", "priceValue", "taxValue", "listPriceValue", "promotionValue",
    "currency", "orderTotal", "authorizedAmount", "capturedAmount", "refundedAmount", "cardBrand", "cardLastFourDigits",
    "reconciliationId", "updatedAt",
]  # fmt: skip
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Planted:
    """One line of the truth file. `line` 0 is the whole trip; `amount` None: the kind has no amount."""

    kind: str
    trip: str
    line: int
    store: str
    day: str
    amount: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the truth file."""
        return asdict(self)


def plant(rows: list[list[str]], kinds: Sequence[str], *, day: str) -> tuple[list[list[str]], list[Planted]]:
    """The order's rows with these breaks in them, and the truth; as they were, and nothing, where one can't be planted.

    Each break of a line is in a line of its own: the first in the first. All are planted only once Amazon has settled
    the trip, since the retailer takes what it reads before that as evidence of its capture; only what is missing, an
    order or a line, has never been shown.
    """
    given = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    lines = sum(kind in OF_A_LINE for kind in kinds)
    if not given or lines > len(given) or not all(_fits(given, kind) for kind in kinds):
        return rows, []
    planted, line = list[Planted](), 0
    for kind in kinds:
        bend = _BENDS.get(kind, _as_it_is)
        truth = Planted(kind, given[0]["shoppingTripId"], 0, given[0]["storeId"], day)
        if kind in OF_A_LINE:
            # the bent line comes first for whoever bends it
            (bent, *others), truth = bend([given[line], *given[:line], *given[line + 1 :]], truth)
            given = [*others[:line], bent, *others[line:]]
            line += 1
        else:
            given, truth = bend(given, truth)
        planted.append(truth)
    return [[row[name] for name in COLUMNS] for row in given], planted


def check_together(kinds: Sequence[str]) -> None:
    """Raises ValueError for kinds that can't all be planted in one trip."""
    whole = [kind for kind in kinds if kind not in OF_A_LINE]
    if len(kinds) > 1 and (len(whole) > 1 or not BESIDE_LINES.issuperset(whole)):
        raise ValueError(
            f"faults: report with {list(kinds)}: together there may be {sorted(OF_A_LINE)}, each in a line of its own,"
            f" and one of {sorted(BESIDE_LINES)}"
        )


def _fits(rows: Rows, kind: str) -> bool:
    if kind == "MISSING_ORDER":
        return True
    if kind == "INCOMPLETE_ORDER":  # a line that was told once stays known
        return len(rows) > 1
    if kind == "FOUND_AFTER_PAYOFF":
        return _amount(rows[0], "capturedAmount") > 0
    if kind == "UNBILLED" and all(_amount(row, "listPriceValue") for row in rows):
        return False
    if kind == "LINE" and len(rows) < 2:
        return False
    return rows[0]["orderStatus"] == "SETTLED" and _amount(rows[0], "capturedAmount") > 2


def _by_line(kind: str) -> Callable[[Rows, Planted], tuple[Rows, Planted]]:
    def bend(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
        line, step = rows[0], _step(rows[0], "priceValue")
        if kind == "TAX":
            changed, more = {"taxValue": step}, step
        elif kind == "PRICE":
            changed, more = {"priceValue": step}, step
        elif kind == "PROMOTION":
            changed, more = {"promotionValue": step, "priceValue": -step}, -step
        else:
            price = _amount(line, "listPriceValue")
            changed, more = {"quantityValue": Decimal(1), "priceValue": price}, price
        first = line | {name: _plus(line, name, by) for name, by in changed.items()}
        total = _plus(line, "orderTotal", more)
        bent = [row | {"orderTotal": total} for row in (first, *rows[1:])]
        return bent, replace(truth, line=int(line["lineNumber"]), amount=format(more, "f"))

    return bend


def _other_product(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
    first = rows[0] | {"merchantSku": f"NOT-{rows[0]['merchantSku']}"}
    return [first, *rows[1:]], replace(truth, line=int(first["lineNumber"]), amount="0")


def _every_row(**changes: Callable[[dict[str, str]], str]) -> Callable[[Rows, Planted], tuple[Rows, Planted]]:
    def bend(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
        return [row | {name: change(row) for name, change in changes.items()} for row in rows], truth

    return bend


def _with_amount(
    bend: Callable[[Rows, Planted], tuple[Rows, Planted]], amount: str
) -> Callable[[Rows, Planted], tuple[Rows, Planted]]:
    def both(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
        return bend(rows, replace(truth, amount=amount))

    return both


def _second_order(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
    nothing = _plus(rows[0], "capturedAmount", -_amount(rows[0], "capturedAmount"))
    again = [row | {"orderId": f"{row['orderId']}-2", "capturedAmount": nothing} for row in rows]
    return [*again, *rows], truth


def _superseded_order(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
    again, truth = _second_order(rows, truth)
    return [row | {"orderStatus": "CANCELLED"} if row["orderId"].endswith("-2") else row for row in again], truth


def _unknown_trip(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
    """Beside the order one of a trip that nobody was ever told of."""
    trip = f"{rows[0]['shoppingTripId']}-GHOST"
    ghost = {"shoppingTripId": trip, "reconciliationId": f"{rows[0]['reconciliationId']}-G", "cardLastFourDigits": ""}
    return [*rows, *(row | ghost | {"orderId": f"{row['orderId']}-G"} for row in rows)], replace(truth, trip=trip)


def _as_it_is(rows: Rows, truth: Planted) -> tuple[Rows, Planted]:
    """The trip itself is such a break: nothing is bent."""
    return rows, replace(truth, amount="0") if truth.kind == "UNBILLED" else truth


def bend_cart(detail: dict[str, Any], kind: str, truth: Planted) -> tuple[dict[str, Any], Planted | None]:
    """A cart event with that kind of IN_EVENTS in it, and the truth. The cart has an item."""
    if kind == "UNPRICED":
        return detail, None if _CHARGEABLE.fullmatch(truth.trip) else truth
    if kind == "CURRENCY":
        return {**detail, "currency": "CAD" if detail["currency"] != "CAD" else "USD"}, truth
    first, *others = detail["items"]
    step = Decimal(1).scaleb(Decimal(first["priceValue"]).as_tuple().exponent)  # type: ignore[arg-type]
    dearer = {**first, "priceValue": format(Decimal(first["priceValue"]) + step, "f")}
    known = replace(truth, amount=format(step, "f")) if kind == "TOTAL" else truth
    return {**detail, "items": [dearer, *others]}, known


def is_left_to_files(kinds: Sequence[str], event: str) -> bool:
    """Whether no event of that kind is sent of a trip, since files and events would contradict each other.

    That would be a break of its own. `event` is CART or PAYMENT.
    """
    return not _LEFT_TO_FILES.get(event, frozenset()).isdisjoint(kinds)


def _other_entry(row: dict[str, str]) -> str:
    return "APP" if row["entryMethod"] == "CREDIT_CARD" else "CREDIT_CARD"


_BENDS: dict[str, Callable[[Rows, Planted], tuple[Rows, Planted]]] = {
    **{kind: _by_line(kind) for kind in ("TAX", "PRICE", "PROMOTION", "QUANTITY")},
    "LINE": _other_product,
    "MISSING_ORDER": lambda _, truth: ([], truth),
    "MISSING_PURCHASE": _unknown_trip,
    "INCOMPLETE_ORDER": lambda rows, truth: (rows[:-1], truth),
    "DUPLICATE_ORDER": _second_order,
    "SUPERSEDED": _superseded_order,
    "ENTRY_METHOD": _every_row(entryMethod=_other_entry),
    "STATUS": _every_row(orderStatus=lambda _: "OPEN"),
    "OVER_CAPTURED": _with_amount(_every_row(capturedAmount=lambda row: _plus(row, "capturedAmount", Decimal(1))), "1"),
    "UNDER_CAPTURED": _with_amount(
        _every_row(capturedAmount=lambda row: _plus(row, "capturedAmount", Decimal(-1))), "-1"
    ),
    "REFUND": _with_amount(
        _every_row(
            refundedAmount=lambda row: _plus(row, "refundedAmount", Decimal(1)), orderStatus=lambda _: "REFUNDED"
        ),
        "1",
    ),
}
KINDS = frozenset(_BENDS)
"""Those that bend the rows of a file."""
OF_A_LINE = frozenset({"TAX", "PRICE", "PROMOTION", "QUANTITY", "LINE"})
"""Those that bend a line: an order may have several."""
BESIDE_LINES = frozenset({"ENTRY_METHOD", "STATUS", "OVER_CAPTURED", "UNDER_CAPTURED", "REFUND"})
"""Those of the whole order that leave its lines as they are: it may have one of them beside those of its lines."""
AS_IT_IS = frozenset({"UNBILLED", "FOUND_AFTER_PAYOFF"})
"""Those that a trip is by itself, and the files show: a product of it has no price, its capture settles late."""
IN_EVENTS = frozenset({"FEEDS", "TOTAL", "CURRENCY", "UNPRICED"})
"""Those that the cart event shows. All but FEEDS are for stores without files. UNPRICED is a trip whose id the payment
service does not take."""
IN_PAYOUTS = frozenset({"MISSING_PAYOUT", "PAYOUT"})
"""Those in the payouts of the sandbox's own processor."""
RETAILERS = frozenset({"MISSING_CHARGE", "LEDGER"})
"""Those that only the retailer can make, in books of its own: whoever does tells the sandbox."""
_LEFT_TO_FILES = {
    "CART": frozenset({"TAX", "PRICE", "PROMOTION", "QUANTITY"}),
    "PAYMENT": frozenset({"OVER_CAPTURED", "UNDER_CAPTURED"}),
}
_CHARGEABLE = re.compile(r"[0-9A-Za-z_-]+")
"""Ids of trips that the payment service takes."""


def _amount(row: dict[str, str], name: str) -> Decimal:
    return Decimal(row[name])


def _step(row: dict[str, str], name: str) -> Decimal:
    """The least that the currency knows, as the amount is written."""
    exponent = _amount(row, name).as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)


def _plus(row: dict[str, str], name: str, more: Decimal) -> str:
    return format(_amount(row, name) + more, "f")
