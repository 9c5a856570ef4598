"""What may be asked for, and what it comes to: rules, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.amazon.refund_client import REASONS
from backroom.refunds.eligibility import Ask, Eligible, RefundRefused, SoldLine, TripFacts, eligible
from backroom.refunds.line_shares import share_of_line
from backroom.refunds.splitting import Part, Source, room, split

D = Decimal
ENDED = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CENT = D("0.01")
cents = st.integers(0, 100_000).map(lambda value: D(value).scaleb(-2))


def asked(ask: Ask, *, reason: str = "OTHER", at: datetime = ENDED, **facts: Any) -> Eligible:
    known: dict[str, Any] = {
        "shopping_trip_id": "trip-1", "currency": "USD", "total": D("20.00"), "ended_at": ENDED,
        "window": timedelta(days=30), "approval_above": D(50), "asked_before": D(0), "asked_alone": D(0),
        "room": D("20.00"), "lines": {1: SoldLine(1, D(3), D("12.00")), 2: SoldLine(2, D("0.500"), D("8.00"))},
        **facts,
    }  # fmt: skip
    return eligible(TripFacts(**known), ask, reason=reason, requested_at=at)


@pytest.mark.parametrize("reason", REASONS)
def test_each_of_the_five_reasons_is_one(reason: str) -> None:
    assert asked(Ask(D(1)), reason=reason).amount == 1


@pytest.mark.parametrize(
    ("ask", "facts", "told"),
    [
        (Ask(D(1)), {"reason": "BORED"}, "'BORED' is not a reason"),
        (Ask(D(1)), {"reason": "other"}, "is not a reason"),
        (Ask(D(1), [(1, None)]), {}, "by amount or by line, not both"),
        (Ask(D(1)), {"at": ENDED + timedelta(days=30, seconds=1)}, "takes requests for 30 days"),
        (Ask(D(1)), {"at": ENDED + timedelta(hours=1), "window": timedelta(0)}, "takes requests for 0 days"),
        (Ask(D("20.01")), {}, "can give back 20.00 USD more, not 20.01"),
        (Ask(D("5.01")), {"asked_before": D(15)}, "can give back 5.00 USD more"),
        (Ask(D("3.01")), {"room": D(3)}, "can give back 3.00 USD more"),
        (Ask(D(1)), {"room": D(0)}, "nothing of trip trip-1 is left"),
        (Ask(D(1)), {"asked_before": D(20)}, "nothing of trip trip-1 is left"),
        (Ask(), {"asked_before": D(20)}, "nothing of trip trip-1 is left"),
        (Ask(D(0)), {}, "above zero"),
        (Ask(D("0.001")), {}, "more places than USD has"),
        (Ask(D("1.5")), {"currency": "JPY"}, "more places than JPY has"),
        (Ask(None, [(9, None)]), {}, "no line 9 that was charged; it has 1, 2"),
        (Ask(None, [(1, D(4))]), {}, "line 1 of trip trip-1: 3 of 3 can go back, not 4"),
        (Ask(None, [(1, D(0))]), {}, "not 0"),
        (Ask(None, [(1, D(1)), (1, D(1))]), {}, "named twice"),
        (Ask(None, [(1, None)]), {"room": D(5)}, "can give back 5.00 USD more, not 12.00"),
    ],
)
def test_what_is_refused_says_why(ask: Ask, facts: dict[str, Any], told: str) -> None:
    with pytest.raises(RefundRefused, match=told):
        asked(ask, **facts)


def test_the_last_moment_of_the_window_is_inside() -> None:
    assert asked(Ask(D(1)), at=ENDED + timedelta(days=30)).amount == 1


def test_all_that_is_left_is_its_lines_where_these_come_to_it_and_an_amount_where_not() -> None:
    whole = asked(Ask())
    assert (whole.amount, [line.number for line in whole.lines]) == (D(20), [1, 2])
    after_an_amount = asked(Ask(), asked_before=D(5), room=D(15))
    assert (after_an_amount.amount, after_an_amount.lines) == (D(15), ())


@pytest.mark.parametrize(("alone", "amount", "needs"), [(0, 50, False), (0, "50.01", True), ("49", "1.01", True)])
def test_a_second_person_is_needed_beyond_the_limit_over_all_requests(alone: Any, amount: Any, needs: bool) -> None:
    facts: dict[str, Any] = {"total": D(200), "room": D(200), "asked_before": D(alone), "asked_alone": D(alone)}
    assert asked(Ask(D(amount)), **facts).needs_approval is needs


def test_what_a_second_person_has_seen_leaves_the_limit_alone() -> None:
    facts: dict[str, Any] = {"total": D(200), "room": D(200), "asked_before": D(100), "asked_alone": D(0)}
    assert not asked(Ask(D(50)), **facts).needs_approval


@settings(deadline=None, max_examples=100)
@given(total=cents, pieces=st.lists(st.integers(1, 9), min_size=1, max_size=8), by_weight=st.booleans())
def test_a_line_given_back_piece_by_piece_comes_to_its_total(total: D, pieces: Sequence[int], by_weight: bool) -> None:
    quantities = [D(piece) / 7 if by_weight else D(piece) for piece in pieces]
    quantities = [quantity.quantize(D("0.001")) if by_weight else quantity for quantity in quantities]
    of_quantity, given_quantity, given_back = sum(quantities, D(0)), D(0), D(0)
    for quantity in quantities:
        share = share_of_line(
            total, of_quantity, "USD", quantity=quantity, given_quantity=given_quantity, given=given_back
        )
        assert share >= 0
        assert share == share.quantize(CENT)
        given_quantity, given_back = given_quantity + quantity, given_back + share
        assert given_back <= total
    assert given_back == total


@settings(deadline=None, max_examples=100)
@given(amount=cents, frees=st.lists(st.integers(-500, 50_000).map(lambda value: D(value).scaleb(-2)), max_size=5))
def test_a_split_takes_all_from_the_first_that_can_give_and_loses_no_cent(amount: D, frees: Sequence[D]) -> None:
    sources = [Source(f"PAYOFF:{number}", free) for number, free in enumerate(frees)]
    parts, rest = split(amount, sources)
    by_name = {part.instrument: part.amount for part in parts}
    assert sum(by_name.values(), D(0)) + rest == amount
    assert rest == max(amount - room(sources), D(0))
    assert all(part.amount > 0 for part in parts)
    left = amount
    for source in sources:
        taken = by_name.get(source.instrument, D(0))
        assert taken == min(left, max(source.free, D(0)))
        left -= taken


def test_a_part_of_what_is_not_ready_waits() -> None:
    parts, rest = split(D(5), [Source("DEBT", D(2)), Source("CAPTURE", D(9), ready=False)])
    assert parts == [Part("DEBT", D(2), ready=True), Part("CAPTURE", D(3), ready=False)]
    assert rest == 0
