"""Shopper authorization as a pure rule: by strategy, Amazon's recommendation and what we know of the card."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.entry.authorization_decision import (
    Amount,
    Authorization,
    AuthorizationRules,
    Because,
    CardRisk,
    Condition,
    Recommendation,
    authorize,
    without_risk_data,
)

OURS, SUGGESTED = "RETAILER_MANAGED", "AMAZON_RECOMMENDATION"
RULES = AuthorizationRules(frozenset({"InvalidCard", "CustomerFraud"}), 2, Decimal("20"))
UNKNOWN_CARD = CardRisk()
ASKED = Amount(Decimal("75.00"), "USD")
ACCEPT = Recommendation(True)


def adjust(value: str, currency: str = "USD") -> Condition:
    return Condition("ADJUST", Amount(Decimal(value), currency))


def decided(
    strategy: str = OURS,
    recommendation: Recommendation | None = ACCEPT,
    card: CardRisk = UNKNOWN_CARD,
    *,
    amount: Amount | None = ASKED,
    rules: AuthorizationRules = RULES,
) -> Authorization:
    return authorize(
        strategy=strategy,
        store_currency="USD",
        amount=amount,
        recommendation=recommendation,
        card=card,
        rules=rules,
    )


def denied(*risks: str) -> Recommendation:
    return Recommendation(False, (adjust("5"),), risks)


@pytest.mark.parametrize(
    ("strategy", "recommendation", "card", "authorized", "because"),
    [
        # low risk
        (OURS, None, UNKNOWN_CARD, True, Because.LOW_RISK),
        (OURS, ACCEPT, UNKNOWN_CARD, True, Because.LOW_RISK),
        (SUGGESTED, None, UNKNOWN_CARD, True, Because.LOW_RISK),
        (SUGGESTED, ACCEPT, UNKNOWN_CARD, True, Because.AS_RECOMMENDED),
        # Amazon's denial: followed where Amazon suggests; where it is ours, for the risks that we heed
        (SUGGESTED, denied(), UNKNOWN_CARD, False, Because.DENIAL_RECOMMENDED),
        (SUGGESTED, denied("BadDebt"), UNKNOWN_CARD, False, Because.DENIAL_RECOMMENDED),
        (OURS, denied("InvalidCard"), UNKNOWN_CARD, False, Because.DENIAL_RECOMMENDED),
        (OURS, denied("CustomerFraud"), UNKNOWN_CARD, False, Because.DENIAL_RECOMMENDED),
        (OURS, denied("BadDebt"), UNKNOWN_CARD, True, Because.OVERRIDDEN),
        (OURS, denied(), UNKNOWN_CARD, True, Because.OVERRIDDEN),
        # flagged cards are denied by either strategy
        (OURS, ACCEPT, CardRisk(flagged=True), False, Because.CARD_FLAGGED),
        (SUGGESTED, ACCEPT, CardRisk(flagged=True), False, Because.CARD_FLAGGED),
        (OURS, None, CardRisk(flagged=True, owes=True), False, Because.CARD_FLAGGED),
        # the balance is ours, or Amazon's
        (OURS, ACCEPT, CardRisk(owes=True), False, Because.BALANCE_OUTSTANDING),
        (OURS, None, CardRisk(owes=True), False, Because.BALANCE_OUTSTANDING),
        (SUGGESTED, ACCEPT, CardRisk(owes=True), True, Because.AS_RECOMMENDED),
        # trust overrides Amazon's denial, but not an invalid card, nor a balance of ours
        (SUGGESTED, denied("CustomerFraud"), CardRisk(trusted=True), True, Because.TRUSTED_CARD),
        (OURS, denied("CustomerFraud"), CardRisk(trusted=True), True, Because.TRUSTED_CARD),
        (SUGGESTED, denied("CustomerFraud", "InvalidCard"), CardRisk(trusted=True), False, Because.DENIAL_RECOMMENDED),
        (OURS, denied("CustomerFraud"), CardRisk(trusted=True, owes=True), False, Because.BALANCE_OUTSTANDING),
    ],
)
def test_who_is_authorized(
    strategy: str, recommendation: Recommendation | None, card: CardRisk, authorized: bool, because: Because
) -> None:
    decision = decided(strategy, recommendation, card)
    assert (decision.authorized, decision.because) == (authorized, because)


@pytest.mark.parametrize(
    ("card", "recommendation", "risks"),
    [
        (UNKNOWN_CARD, denied("InvalidCard"), ("InvalidCard",)),
        (CardRisk(flagged=True), ACCEPT, ("CustomerFraud",)),
        (CardRisk(flagged=True), denied("CustomerFraud", "BadDebt"), ("CustomerFraud", "BadDebt")),
        (CardRisk(owes=True), denied("InvalidCard"), ("InvalidCard", "BadDebt")),
        (UNKNOWN_CARD, Recommendation(True, risks=("InvalidCard", "New")), ("InvalidCard", "New")),
        (UNKNOWN_CARD, None, ()),
    ],
)
def test_amazons_risks_are_passed_on_and_ours_are_added_once(
    card: CardRisk, recommendation: Recommendation | None, risks: tuple[str, ...]
) -> None:
    assert decided(OURS, recommendation, card).risks == risks


@pytest.mark.parametrize("strategy", [OURS, SUGGESTED])
def test_amazons_conditions_are_passed_on_as_they_came(strategy: str) -> None:
    conditions = (Condition("OTHER"), adjust("12.3400"), adjust("90"))
    decision = decided(strategy, Recommendation(True, conditions))
    assert decision.conditions == conditions
    assert decision.adjusted == Amount(Decimal("12.3400"), "USD")


def test_a_denial_has_no_conditions() -> None:
    assert decided(OURS, Recommendation(True, (adjust("5"),)), CardRisk(owes=True)).conditions == ()


@pytest.mark.parametrize(
    ("debts", "asked", "suggested", "reduced_to"),
    [
        (1, ASKED, (), None),
        (2, ASKED, (), "20.00"),
        (9, ASKED, (adjust("30"),), "20.00"),
        (2, ASKED, (adjust("7.5"),), "7.5"),
        (2, ASKED, (adjust("7.5", "EUR"),), "20.00"),
        (2, Amount(Decimal("19.99"), "USD"), (), None),
        (2, Amount(Decimal("75"), "EUR"), (), None),
        (2, None, (), None),
    ],
)
def test_a_repeat_offender_gets_less(
    debts: int, asked: Amount | None, suggested: tuple[Condition, ...], reduced_to: str | None
) -> None:
    for strategy in (OURS, SUGGESTED):
        decision = decided(strategy, Recommendation(True, suggested), CardRisk(debts=debts), amount=asked)
        adjusted = [condition.amount for condition in decision.conditions if condition.type == "ADJUST"]
        assert adjusted == ([] if reduced_to is None else [Amount(Decimal(reduced_to), "USD")])


def test_without_the_setting_nobody_gets_less() -> None:
    rules = AuthorizationRules(frozenset(), 1, None)
    assert decided(card=CardRisk(debts=5), rules=rules).conditions == ()


def test_another_condition_stays_beside_a_reduced_amount() -> None:
    decision = decided(OURS, Recommendation(True, (Condition("OTHER"), adjust("50"))), CardRisk(debts=2))
    assert decision.conditions == (adjust("20.00"), Condition("OTHER"))


@pytest.mark.parametrize(
    ("fallback", "recommendation", "authorized"),
    [
        ("recommendation", ACCEPT, True),
        ("recommendation", denied("BadDebt"), False),
        ("recommendation", None, None),
        ("deny", ACCEPT, False),
        ("deny", None, False),
        ("unavailable", ACCEPT, None),
    ],
)
def test_without_risk_data_the_fallback_answers(
    fallback: str, recommendation: Recommendation | None, authorized: bool | None
) -> None:
    decision = without_risk_data(fallback, recommendation)
    assert (decision.authorized if decision else None) == authorized
    assert decision is None or decision.authorized or decision.conditions == ()


recommendations = st.none() | st.builds(
    Recommendation,
    st.booleans(),
    st.lists(st.sampled_from([adjust("5"), adjust("80"), Condition("OTHER")])).map(tuple),
    st.lists(st.sampled_from(["InvalidCard", "CustomerFraud", "BadDebt", "New"]), unique=True).map(tuple),
)
cards = st.builds(CardRisk, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 3))


@given(st.sampled_from([OURS, SUGGESTED]), recommendations, cards)
@settings(deadline=None)
def test_what_never_happens(strategy: str, recommendation: Recommendation | None, card: CardRisk) -> None:
    """No flagged card comes in; no card with a balance where the balance is ours; ours never raises an amount."""
    decision = decided(strategy, recommendation, card)
    assert not (decision.authorized and card.flagged)
    assert not (decision.authorized and card.owes and strategy == OURS)
    assert decision.authorized or decision.conditions == ()
    assert set(recommendation.risks if recommendation else ()) <= set(decision.risks)
    if decision.authorized and card.debts >= 2:
        assert decision.adjusted is not None
        assert decision.adjusted.value <= 20
