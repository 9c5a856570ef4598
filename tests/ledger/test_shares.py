"""Sharing out to the cent, and what of a refund is tax."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.ledger.shares import Returnable, ReturnedLine, share_out, tax_by_lines, tax_of_part

CENTS = st.integers(0, 100_000).map(lambda cents: Decimal(cents) / 100)
WEIGHTS = st.dictionaries(st.sampled_from(["NY", "NYC", "CA", "WA", ""]), CENTS, min_size=1).filter(
    lambda weights: sum(weights.values()) > 0
)


@settings(deadline=None, max_examples=100)
@given(CENTS, WEIGHTS)
def test_shares_sum_to_the_amount_and_are_within_a_cent_of_the_proportion(
    amount: Decimal, weights: dict[str, Decimal]
) -> None:
    shares = share_out(amount, weights, "USD")
    whole = sum(weights.values())
    assert sum(shares.values()) == amount
    for name, share in shares.items():
        assert share == share.quantize(Decimal("0.01"))
        assert abs(share - amount * weights[name] / whole) < Decimal("0.01")


@settings(deadline=None, max_examples=100)
@given(WEIGHTS, st.data())
def test_no_share_is_above_its_weight(weights: dict[str, Decimal], data: st.DataObject) -> None:
    most = int(sum(weights.values()) * 100)
    amount = Decimal(data.draw(st.integers(0, most))) / 100
    assert all(share <= weights[name] for name, share in share_out(amount, weights, "USD").items())


def test_the_largest_remainders_get_the_cents_that_are_left() -> None:
    weights = {"a": Decimal(1), "b": Decimal(1), "c": Decimal(1)}
    assert share_out(Decimal("0.10"), weights, "USD") == {
        "a": Decimal("0.04"), "b": Decimal("0.03"), "c": Decimal("0.03"),
    }  # fmt: skip
    assert share_out(Decimal(10), weights, "JPY") == {"a": Decimal(4), "b": Decimal(3), "c": Decimal(3)}


def test_nothing_is_shared_out_over_nothing() -> None:
    assert share_out(Decimal(0), {}, "USD") == {}
    with pytest.raises(ValueError, match="over nothing"):
        share_out(Decimal(1), {"a": Decimal(0)}, "USD")
    with pytest.raises(ValueError, match="negative"):
        share_out(Decimal(-1), {"a": Decimal(1)}, "USD")


@settings(deadline=None, max_examples=60)
@given(CENTS, WEIGHTS, st.data())
def test_any_refunds_that_give_back_a_whole_trip_give_back_its_tax_to_the_cent(
    net: Decimal, tax: dict[str, Decimal], data: st.DataObject
) -> None:
    left, given_back = Returnable(net, dict(tax)), {name: Decimal(0) for name in tax}
    while (rest := int((left.net + sum(left.tax.values())) * 100)) > 0:
        amount = Decimal(data.draw(st.integers(max(rest // 5, 1), rest))) / 100
        if data.draw(st.booleans()):  # by lines: whatever they say, it stays within what is left
            of = Returnable(amount, {name: Decimal(data.draw(st.integers(0, 500))) / 100 for name in tax})
        else:
            of = left
        part = tax_of_part(amount, of, left, "USD")
        assert all(Decimal(0) < back <= left.tax[name] for name, back in part.items())
        returned = amount - sum(part.values())
        assert Decimal(0) <= returned <= left.net
        left = Returnable(left.net - returned, {name: most - part.get(name, 0) for name, most in left.tax.items()})
        for name, back in part.items():
            given_back[name] += back
    assert given_back == tax


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 5000), st.integers(1, 5000), st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_a_line_given_back_in_parts_gives_back_its_tax_to_the_cent(tax: int, net: int, parts: list[int]) -> None:
    total, before, given_tax = Decimal(tax + net) / 100, Decimal(0), Decimal(0)
    for cents in [*parts, 10**6]:
        now = min(Decimal(cents) / 100, total - before)
        line = ReturnedLine("NY", Decimal(tax) / 100, total, before, now)
        given_tax += tax_by_lines([line], "USD").get("NY", Decimal(0))
        before += now
    assert given_tax == Decimal(tax) / 100
