"""Laws that hold for every cart: docs/pricing.md, "What always holds"."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.money import places
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.pricing import PricedLine
from backroom.purchases.promotions import KINDS, Promotion
from tests.purchases.carts import Till, amounts, applied, promotions, tills
from tests.purchases.plain_reading import read_plainly

EXAMPLES = settings(deadline=None, max_examples=40)
MANY = settings(deadline=None, max_examples=80)


@given(tills())
@MANY
def test_the_total_is_the_sum_of_what_is_printed(till: Till) -> None:
    cart = till.cart()
    for line in cart.lines:
        off = sum((Decimal(amount) for _, amount in applied(line)), Decimal(0))
        on_top = Decimal(0) if line.tax_included else line.tax_amount.amount
        assert line.promotion_amount.amount == off
        assert line.total.amount == line.list_amount.amount - off + on_top
        printed = [one.rpartition(" = ")[2] if number == 0 else one.rpartition(": ")[2]
                   for number, one in enumerate(line.explain().split("; ")[:-1])]  # fmt: skip
        if line.tax_included:
            printed.pop()  # told, not added
        assert line.total.amount == sum(Decimal(one.split(" ")[0]) for one in printed)
        assert line.explain().endswith(f"total {line.total}")
    for total, part in (
        ("list_total", "list_amount"),
        ("promotion_total", "promotion_amount"),
        ("tax_total", "tax_amount"),
        ("total", "total"),
    ):
        assert getattr(cart, total).amount == sum(getattr(line, part).amount for line in cart.lines)
    assert cart.tax_included_total == (cart.tax_total if till.prices_include_tax else cart.tax_total - cart.tax_total)
    assert cart.total == cart.list_total - cart.promotion_total + cart.tax_total - cart.tax_included_total


@given(tills(most_expensive="3.00", most_off="20"))
@MANY
def test_the_page_read_literally_gives_the_same_line_by_line(till: Till) -> None:
    found = [
        (line.list_minor, [(one.promotion_id, amount) for one, amount in line.taken], line.tax_minor, line.total_minor)
        for line in till.cart().lines
    ]
    assert found == read_plainly(till)


@given(tills())
@EXAMPLES
def test_what_is_stored_adds_up_as_the_database_wants_it(till: Till) -> None:
    cart = till.cart()
    rows = [line_amounts(line) for line in cart.lines]
    for row in rows:
        assert row["promotion_amount"] == sum((Decimal(one["amount"]) for one in row["promotions"]), Decimal(0))
        tax = 0 if row["tax_included"] else row["tax_amount"]
        assert row["total"] == row["list_amount"] - row["promotion_amount"] + tax
    stored = totals(cart)
    assert stored["total"] == sum(row["total"] for row in rows)
    assert stored["tax_included_total"] == sum(row["tax_amount"] for row in rows if row["tax_included"])


@given(tills())
@EXAMPLES
def test_nothing_is_negative_and_every_amount_exists_in_its_currency(till: Till) -> None:
    for line in till.cart().lines:
        parts = [one.amount for one in line.promotions]
        for amount in (line.list_amount, line.promotion_amount, line.tax_amount, line.total, *parts):
            assert amount.amount >= 0
            assert -amount.amount.as_tuple().exponent == places(till.currency)
        assert all(part.amount > 0 for part in parts)
        assert line.promotion_amount <= line.list_amount


@given(tills(), st.randoms())
@MANY
def test_the_order_of_lines_and_of_promotions_does_not_matter(till: Till, random: st.DataObject) -> None:
    first = till.cart()
    random.shuffle(till.items)  # type: ignore[attr-defined]
    random.shuffle(till.promotions)  # type: ignore[attr-defined]
    again = till.cart()
    assert again.total == first.total
    assert Counter(map(_seen, again.lines)) == Counter(map(_seen, first.lines))


@given(tills(), st.data())
@MANY
def test_one_more_promotion_without_a_threshold_never_costs_more(till: Till, data: st.DataObject) -> None:
    before = till.cart()
    extra = data.draw(promotions("EXTRA", minimum_amount=None))  # stacking or exclusive, whatever the others are
    assert replace(till, promotions=[*till.promotions, extra]).cart().total <= before.total


@given(tills(stacks=False), st.lists(promotions("S", stacks=True), max_size=3))
@MANY
def test_the_chosen_combination_costs_no_more_than_any_single_exclusive_promotion(
    till: Till, stacking: list[Promotion]
) -> None:
    stacking = [replace(one, promotion_id=f"S{number}") for number, one in enumerate(stacking)]
    together = replace(till, promotions=[*till.promotions, *stacking]).cart()
    assert together.total <= replace(till, promotions=stacking).cart().total
    for single in till.promotions:
        assert together.total <= replace(till, promotions=[single, *stacking]).cart().total


@given(tills(stacks=False))
@EXAMPLES
def test_a_line_gets_at_most_one_of_the_promotions_that_exclude_each_other(till: Till) -> None:
    cart = till.cart()
    assert all(len(line.promotions) <= 1 for line in cart.lines)
    kinds = {one.promotion.kind for line in cart.lines for one in line.promotions}
    assert kinds == {"BASKET_AMOUNT"} or "BASKET_AMOUNT" not in kinds


@given(tills(stacks=True))
@EXAMPLES
def test_promotions_that_stack_are_applied_in_their_order(till: Till) -> None:
    for line in till.cart().lines:
        order = [
            (one.promotion.stacking_order, KINDS.index(one.promotion.kind), one.promotion.promotion_id)
            for one in line.promotions
        ]
        assert order == sorted(order)


@given(tills(), amounts)
@EXAMPLES
def test_a_promotion_whose_threshold_is_not_reached_changes_nothing(till: Till, more: Decimal) -> None:
    before = till.cart()
    beyond = before.list_total.amount + more + Decimal("0.0001")
    out_of_reach = Promotion("OUT", "BASKET_PERCENTAGE", Decimal(1), minimum_amount=beyond)
    after = replace(till, promotions=[*till.promotions, out_of_reach]).cart()
    assert [_seen(line) for line in after.lines] == [_seen(line) for line in before.lines]


@given(tills(), st.integers(1, 4))
@EXAMPLES
def test_a_cart_with_each_line_several_times_lists_at_as_many_times_the_amount(till: Till, times: int) -> None:
    once = till.cart()
    items = [
        msgspec.structs.replace(one, line_number=len(till.items) * round_ + one.line_number)
        for round_ in range(times)
        for one in till.items
    ]
    assert replace(till, items=items).cart().list_total.amount == times * once.list_total.amount


@given(tills(kind="BASKET_AMOUNT", minimum_amount=None))
@EXAMPLES
def test_amounts_off_the_basket_are_taken_whole_while_there_is_something_left(till: Till) -> None:
    till.promotions = [replace(one, stacks=True) for one in till.promotions]
    cart = till.cart()
    unit = Decimal(1).scaleb(-places(till.currency))
    due = sum((one.amount.quantize(unit, "ROUND_HALF_UP") for one in till.promotions if one.amount), Decimal(0))
    assert cart.promotion_total.amount == min(due, cart.list_total.amount)


def _seen(line: PricedLine) -> tuple[object, ...]:
    return (
        line.item.item_id, line.item.quantity, line.item.unit, str(line.list_amount), tuple(applied(line)),
        str(line.tax_amount), str(line.total),
    )  # fmt: skip
