"""Breaks planted in an order's rows: exactly one thing is bent, and the truth says which."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jwo_sandbox import planting
from jwo_sandbox.faults import make_plan
from jwo_sandbox.planting import COLUMNS, KINDS, plant

ROW = dict.fromkeys(COLUMNS, "") | {
    "orderId": "O", "shoppingTripId": "T", "storeId": "S", "orderStatus": "SETTLED", "entryMethod": "APP",
    "quantityValue": "1", "priceValue": "4.00", "taxValue": "0.32", "listPriceValue": "4.00", "promotionValue": "0.00",
    "currency": "USD", "orderTotal": "8.64", "capturedAmount": "8.64", "refundedAmount": "0.00",
}  # fmt: skip
ORDER = [[(ROW | {"lineNumber": str(number)})[name] for name in COLUMNS] for number in (1, 2)]


def _rows(rows: list[list[str]]) -> list[dict[str, str]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


@pytest.mark.parametrize("kind", sorted(KINDS - {"INCOMPLETE_ORDER", "MISSING_ORDER"}))
def test_whatever_is_planted_the_lines_of_each_order_still_add_up(kind: str) -> None:
    rows, [truth] = plant(ORDER, [kind], day="2026-03-02")
    assert (truth.kind, truth.store, truth.day) == (kind, "S", "2026-03-02")
    assert rows != ORDER
    for order in {row["orderId"] for row in _rows(rows)}:
        lines = [row for row in _rows(rows) if row["orderId"] == order]
        assert sum(Decimal(row["priceValue"]) + Decimal(row["taxValue"]) for row in lines) == Decimal(
            lines[0]["orderTotal"]
        )


def test_a_lines_break_tells_its_line_and_what_it_changes() -> None:
    rows, [truth] = plant(ORDER, ["PROMOTION"], day="2026-03-02")
    assert truth == planting.Planted("PROMOTION", "T", 1, "S", "2026-03-02", "-0.01")
    assert [_rows(rows)[0][name] for name in ("promotionValue", "priceValue", "orderTotal")] == ["0.01", "3.99", "8.63"]


def test_what_is_not_settled_or_has_one_line_is_left_alone() -> None:
    is_open = [[value.replace("SETTLED", "OPEN") for value in row] for row in ORDER]
    assert plant(is_open, ["OVER_CAPTURED"], day="2026-03-02") == (is_open, [])
    assert plant(ORDER[:1], ["INCOMPLETE_ORDER"], day="2026-03-02") == (ORDER[:1], [])
    assert plant(is_open, ["MISSING_ORDER"], day="2026-03-02")[0] == []


def test_breaks_of_several_lines_are_each_in_a_line_of_their_own_and_one_of_the_order_beside_them() -> None:
    rows, truths = plant(ORDER, ["TAX", "OVER_CAPTURED", "PRICE"], day="2026-03-02")
    assert [(truth.kind, truth.line, truth.amount) for truth in truths] == [
        ("TAX", 1, "0.01"), ("OVER_CAPTURED", 0, "1"), ("PRICE", 2, "0.01"),
    ]  # fmt: skip
    changed = [
        {name: after[name] for name in COLUMNS if after[name] != before[name]}
        for before, after in zip(_rows(ORDER), _rows(rows), strict=True)
    ]
    of_both = {"orderTotal": "8.66", "capturedAmount": "9.64"}
    assert changed == [{"taxValue": "0.33"} | of_both, {"priceValue": "4.01"} | of_both]


def test_the_same_kind_twice_is_in_two_lines_and_a_third_has_none_to_be_in() -> None:
    rows, truths = plant(ORDER, ["TAX", "TAX"], day="2026-03-02")
    assert [row["taxValue"] for row in _rows(rows)] == ["0.33", "0.33"]
    assert [truth.line for truth in truths] == [1, 2]
    assert plant(ORDER, ["TAX"] * 3, day="2026-03-02") == (ORDER, [])


@pytest.mark.parametrize("kinds", [["TAX", "MISSING_ORDER"], ["STATUS", "REFUND"], ["STATUS", "STATUS"]])
def test_what_would_hide_each_other_is_not_planted_in_one_trip(kinds: list[str]) -> None:
    with pytest.raises(ValueError, match="together there may be"):
        make_plan({"trips": {"T": {"report": kinds}}}, 1)
    assert make_plan({"trips": {"T": {"report": ["TAX", "", "STATUS"]}}}, 1).reports("T") == ["TAX", "STATUS"]
