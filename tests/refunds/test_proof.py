"""What an order row proves about refunds: never one that did not take place, whatever Amazon's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from backroom.refunds.proof import CLOCKS_APART, Begun, proof

NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
ONE = Decimal("1.00")
SECOND = timedelta(seconds=1)


def begun(refund_id: int, *, asked: timedelta = timedelta(), final: bool = False, amount: Decimal = ONE) -> Begun:
    return Begun(refund_id, amount, NOON + asked, final)


def test_a_newer_row_that_covers_all_that_was_begun_proves_all_of_it() -> None:
    found = proof([begun(1), begun(2, final=True)], refunded=Decimal("2.00"), told_at=NOON + SECOND)
    assert (found.made, found.beyond, found.short) == ((1,), 0, 0)


def test_a_lesser_amount_proves_none_as_which_of_them_it_holds_can_not_be_told() -> None:
    assert proof([begun(1), begun(2)], refunded=ONE, told_at=NOON + SECOND).made == ()


def test_a_row_of_the_same_instant_may_hold_the_one_and_proves_not_the_other() -> None:
    """The first was lost on its way; the second, asked for just now, was made. Amazon's clock is not ours."""
    for apart in (timedelta(), CLOCKS_APART):
        both = [begun(1, asked=timedelta(hours=-13)), begun(2, asked=apart)]
        assert proof(both, refunded=ONE, told_at=NOON).made == ()


def test_what_was_begun_long_after_the_row_is_not_in_it() -> None:
    both = [begun(1, asked=timedelta(hours=-1)), begun(2, asked=CLOCKS_APART + SECOND)]
    assert proof(both, refunded=ONE, told_at=NOON).made == (1,)


def test_what_a_person_says_was_given_may_be_in_the_row_and_is_not_missed_in_it() -> None:
    given = Begun(1, ONE, NOON - timedelta(hours=2), final=True, elsewhere=True)
    lost = begun(2, asked=timedelta(hours=-1))
    assert proof([given, lost], refunded=ONE, told_at=NOON).made == ()
    assert proof([given, lost], refunded=Decimal("2.00"), told_at=NOON).made == (2,)
    assert proof([given], refunded=Decimal(0), told_at=NOON).short == 0


def test_what_amazons_staff_had_given_back_before_proves_nothing_of_ours() -> None:
    lost = Begun(1, ONE, NOON - timedelta(hours=1), final=False, others=ONE)
    assert proof([lost], refunded=ONE, told_at=NOON).made == ()
    assert proof([lost], refunded=Decimal("2.00"), told_at=NOON).made == (1,)
    assert proof([lost, begun(2, asked=timedelta(hours=-1))], refunded=Decimal("2.00"), told_at=NOON).made == ()


def test_a_row_that_is_older_than_the_attempt_proves_nothing() -> None:
    assert proof([begun(1)], refunded=ONE, told_at=NOON).made == ()


def test_what_is_told_beyond_and_short_of_what_we_know() -> None:
    assert proof([begun(1)], refunded=Decimal("1.50"), told_at=NOON + SECOND).beyond == Decimal("0.50")
    assert proof([begun(1, final=True)], refunded=Decimal("0.25"), told_at=NOON + SECOND).short == Decimal("0.75")


@given(
    refunds=st.lists(
        st.tuples(
            st.sampled_from(["0.01", "1.00", "2.50"]),
            st.integers(-1200, 1200),
            st.sampled_from(["final", "made", "not made"]),
        ),
        max_size=5,
    ),
    behind=st.integers(0, int(CLOCKS_APART.total_seconds())),
    others=st.sampled_from(["0", "0.01", "1.00", "2.50"]),
)
def test_nothing_that_did_not_take_place_is_ever_proven(
    refunds: list[tuple[str, int, str]], behind: int, others: str
) -> None:
    known = [
        Begun(number, Decimal(amount), NOON + timedelta(seconds=at), became == "final", others=Decimal(others))
        for number, (amount, at, became) in enumerate(refunds)
    ]
    by_then = [
        one
        for one, (_, _, became) in zip(known, refunds, strict=True)
        if became != "not made" and one.asked_at - timedelta(seconds=behind) <= NOON
    ]
    found = proof(known, refunded=sum((one.amount for one in by_then), Decimal(others)), told_at=NOON)
    assert {one.refund_id for one in known if one.refund_id in found.made} <= {one.refund_id for one in by_then}
