"""What is owed, as arithmetic: over any sequence of what may happen the amounts add up, and the state follows."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.debts.standing import DebtState, Entry, Happened, Standing, give_up, owe, pay, reduce_by

TOTAL = Decimal(20)
amounts = st.decimals("0.01", "20", places=2)
owed_amounts = st.decimals("0", "20", places=2)
happenings = st.one_of(
    st.tuples(st.just("pay"), amounts),
    st.tuples(st.just("reduce"), amounts),
    st.tuples(st.just("write off"), st.just(Decimal(0))),
    st.tuples(st.just("owe"), owed_amounts),
    st.tuples(st.just("rule out"), owed_amounts),
)


def happen(debt: Standing, what: str, amount: Decimal) -> tuple[Standing, tuple[Entry, ...]]:
    match what:
        case "pay":
            return pay(debt, amount)
        case "reduce":
            return reduce_by(debt, amount)
        case "write off":
            return give_up(debt)
        case "owe":  # the rest of the total was captured for good
            return owe(debt, amount, captured=TOTAL - amount)
        case _:  # nothing was captured: the capture will be asked for again
            return owe(debt, amount, captured=Decimal(0))


def total_of(entries: list[Entry], *kinds: Happened) -> Decimal:
    return sum((entry.amount for entry in entries if entry.kind in kinds), Decimal(0))


@settings(deadline=None, max_examples=100)
@given(owed_amounts.filter(bool), st.lists(happenings, max_size=25))
def test_whatever_happens_the_amounts_add_up_and_the_events_sum_to_them(
    opened: Decimal, steps: list[tuple[str, Decimal]]
) -> None:
    debt, told = Standing(opened), []
    for what, amount in steps:
        debt, entries = happen(debt, what, amount)
        told += entries
        assert min(debt.amount, debt.paid, debt.reduced, debt.written_off, debt.returned, debt.outstanding) >= 0
        assert debt.paid + debt.reduced + debt.written_off + debt.outstanding == debt.amount + debt.returned
        # never paid above the amount, unless that much goes back
        assert debt.paid + debt.reduced - debt.returned <= debt.amount
        assert debt.returned <= debt.paid + debt.reduced
        assert all(entry.amount > 0 for entry in entries)
        assert debt.state is (
            DebtState.OPEN if debt.outstanding else DebtState.WRITTEN_OFF if debt.written_off else DebtState.PAID
        )
        assert total_of(told, Happened.PAID, Happened.RECOVERED) == debt.paid
        assert total_of(told, Happened.REDUCED) == debt.reduced
        assert total_of(told, Happened.PAYOFF_RETURNED) == debt.returned
        given_up = total_of(told, Happened.WRITTEN_OFF)
        assert given_up - total_of(told, Happened.RECOVERED, Happened.WRITE_OFF_UNDONE) == debt.written_off


@settings(deadline=None, max_examples=100)
@given(amounts, st.lists(happenings, max_size=15))
def test_a_payoff_of_all_that_is_due_leaves_nothing_owed(opened: Decimal, steps: list[tuple[str, Decimal]]) -> None:
    debt = Standing(opened)
    for what, amount in steps:
        debt, _ = happen(debt, what, amount)
    due = debt.due
    after, _ = pay(debt, due)
    assert (after.state, after.due, after.returned) == (DebtState.PAID, 0, debt.returned)


def test_money_pays_what_is_open_then_what_was_given_up_and_the_rest_goes_back() -> None:
    debt = Standing(Decimal(10), written_off=Decimal(4))
    after, entries = pay(debt, Decimal(13))
    assert entries == (
        Entry(Happened.PAID, Decimal(9)),  # 6 that were open and 3 too much: so much came in for the receivable
        Entry(Happened.RECOVERED, Decimal(4)),
        Entry(Happened.PAYOFF_RETURNED, Decimal(3)),
    )
    assert (after.state, after.paid, after.returned) == (DebtState.PAID, Decimal(13), Decimal(3))


def test_a_capture_found_after_the_payoff_goes_back_and_the_payoff_stands() -> None:
    paid, _ = pay(Standing(Decimal(10)), Decimal(10))
    after, entries = owe(paid, Decimal(0), captured=Decimal(10))
    assert entries == (Entry(Happened.PAYOFF_RETURNED, Decimal(10)),)
    assert (after.state, after.amount, after.paid, after.returned) == (DebtState.PAID, 0, Decimal(10), Decimal(10))


def test_what_was_refunded_of_an_unpaid_trip_goes_back_when_the_card_has_paid_it_all() -> None:
    reduced, _ = reduce_by(Standing(Decimal(10)), Decimal(3))
    after, entries = owe(reduced, Decimal(0), captured=Decimal(10))
    assert entries == (Entry(Happened.PAYOFF_RETURNED, Decimal(3)),)
    assert after.outstanding == 0


def test_a_write_off_of_what_the_card_has_paid_is_undone() -> None:
    given_up, _ = give_up(Standing(Decimal(10)))
    after, entries = owe(given_up, Decimal(0), captured=Decimal(10))
    assert entries == (Entry(Happened.WRITE_OFF_UNDONE, Decimal(10)),)
    assert after == Standing(Decimal(0))


def test_nothing_goes_back_of_a_capture_that_was_not_made() -> None:
    """Ruled out, it is asked for again: the debt will be there again."""
    paid, _ = pay(Standing(Decimal(2)), Decimal(2))
    after, entries = owe(paid, Decimal(0), captured=Decimal(0))
    assert (entries, after) == ((), paid)


def test_a_debt_that_grows_again_after_money_went_back_is_open() -> None:
    paid, _ = pay(Standing(Decimal(10)), Decimal(10))
    withdrawn, _ = owe(paid, Decimal(0), captured=Decimal(10))
    again, _ = owe(withdrawn, Decimal(10), captured=Decimal(0))
    assert (again.state, again.outstanding) == (DebtState.OPEN, Decimal(10))
