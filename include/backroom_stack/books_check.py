"""Our books against the sandbox's, trip by trip, line by line, to the cent."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import Engine, text

LINE_FIGURES = ("list_price", "list_amount", "promotion_amount", "tax_amount", "total")
TRIP_FIGURES = ("list_total", "promotion_total", "tax_total", "tax_included_total", "total")


@dataclass
class Verdict:
    """What was compared, and each figure that differs."""

    trips: int = 0
    lines: int = 0
    figures: int = 0
    waiting: int = 0
    captured: Decimal = Decimal(0)  # by the sandbox's books
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, ours: object, theirs: object) -> None:
        """Counts one comparison, and keeps it where it fails."""
        self.figures += 1
        if ours != theirs:
            self.differences.append(f"{what}: ours {ours}, the sandbox's {theirs}")


def compare_books(engine: Engine, books: list[dict]) -> Verdict:
    """`books` is the sandbox's answer of all trips it handed over. A cart that can't be priced waits for a person."""
    verdict = Verdict()
    with engine.connect() as connection:
        trips = {row["shopping_trip_id"]: row for row in connection.execute(text(OUR_TRIPS)).mappings()}
        lines: dict[str, dict[int, dict]] = {}
        for row in connection.execute(text(OUR_LINES)).mappings():
            lines.setdefault(row["shopping_trip_id"], {})[row["line_number"]] = dict(row)
    handed_over = {trip["shopping_trip_id"]: trip for trip in books if trip["purchase_answers"]}
    for trip_id in sorted(trips.keys() ^ handed_over.keys()):
        verdict.differences.append(f"trip {trip_id}: {'only ours' if trip_id in trips else 'only the sandbox has it'}")
    for trip_id in sorted(trips.keys() & handed_over.keys()):
        _compare_trip(verdict, dict(trips[trip_id]), lines.get(trip_id, {}), handed_over[trip_id])
    return verdict


def _compare_trip(verdict: Verdict, ours: dict, our_lines: dict[int, dict], theirs: dict) -> None:
    trip_id = theirs["shopping_trip_id"]
    verdict.trips += 1
    verdict.captured += Decimal(theirs["captured"])
    # what was taken is compared for every trip, whatever became of its cart
    verdict.same(f"{trip_id} captured", ours["captured"], Decimal(theirs["captured"]))
    if theirs["capture_count"] > 1:
        verdict.differences.append(f"{trip_id}: captured {theirs['capture_count']} times")
    if not theirs["priceable"]:
        verdict.waiting += 1
        if ours["state"] != "BAD_CART":
            verdict.differences.append(f"{trip_id}: can't be priced, but ours is {ours['state']}")
        return
    for figure in TRIP_FIGURES:
        verdict.same(f"{trip_id} {figure}", ours[figure], Decimal(theirs[figure]))
    for line in theirs["lines"]:
        mine = our_lines.get(line["line_number"], {})
        verdict.lines += 1
        for figure in LINE_FIGURES:
            verdict.same(f"{trip_id} line {line['line_number']} {figure}", mine.get(figure), Decimal(line[figure]))
        verdict.same(
            f"{trip_id} line {line['line_number']} promotions",
            _taken(mine.get("promotions", [])),
            _taken(line["promotions"]),
        )
    if len(our_lines) != len(theirs["lines"]):
        verdict.differences.append(f"{trip_id}: {len(our_lines)} lines, the sandbox has {len(theirs['lines'])}")


def _taken(promotions: list[dict]) -> list[tuple[str, Decimal]]:
    """Which promotion took what off a line, in the order applied."""
    return [(promotion["promotion_id"], Decimal(promotion["amount"])) for promotion in promotions]


OUR_TRIPS = """
    select p.shopping_trip_id, p.state, p.list_total, p.promotion_total, p.tax_total, p.tax_included_total, p.total,
           coalesce(c.captured, 0) as captured
    from purchase p left join charge c using (shopping_trip_id)
"""
OUR_LINES = """
    select shopping_trip_id, line_number, list_price, list_amount, promotion_amount, promotions, tax_amount, total
    from purchase_line
"""
