"""Shopper authorization: one pure function over Amazon's recommendation and what we know of the card.

Source: inbound.md, 6 and the table of strategies. AMAZON_RECOMMENDATION: Amazon suggests and keeps the balances; we
override by denying a flagged card, by letting a trusted one in, or by reducing the amount. RETAILER_MANAGED: ours; an
outstanding balance denies, and of Amazon's denials those are followed that name a risk which we heed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from backroom.money import places

CONFIGURED = frozenset({"AMAZON_RECOMMENDATION", "RETAILER_MANAGED"})  # strategies with a connector
INVALID_CARD, FRAUD, BAD_DEBT = "InvalidCard", "CustomerFraud", "BadDebt"


class Because(StrEnum):
    """Why a shopper was authorized or not. Kept with the answer, never sent."""

    LOW_RISK = "LOW_RISK"
    AS_RECOMMENDED = "AS_RECOMMENDED"
    TRUSTED_CARD = "TRUSTED_CARD"
    OVERRIDDEN = "OVERRIDDEN"
    DENIAL_RECOMMENDED = "DENIAL_RECOMMENDED"
    CARD_FLAGGED = "CARD_FLAGGED"
    BALANCE_OUTSTANDING = "BALANCE_OUTSTANDING"
    RISK_DATA_UNAVAILABLE = "RISK_DATA_UNAVAILABLE"


@dataclass(frozen=True)
class Amount:
    """As it came, to the digit. `currency` is an ISO 4217 code."""

    value: Decimal
    currency: str


@dataclass(frozen=True)
class Condition:
    """A condition of the authorization; ADJUST: authorize this amount instead."""

    type: str
    amount: Amount | None = None


@dataclass(frozen=True)
class Recommendation:
    """What Amazon suggests."""

    authorized: bool
    conditions: tuple[Condition, ...] = ()
    risks: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardRisk:
    """What we know of a card's token: `debts` counts all that it ever left, `owes` those that count at this store."""

    flagged: bool = False
    trusted: bool = False
    owes: bool = False
    debts: int = 0


@dataclass(frozen=True)
class AuthorizationRules:
    """What the retailer has set. `repeat_offender_amount` is in the store's currency."""

    heeded_risks: frozenset[str]
    repeat_offender_debts: int
    repeat_offender_amount: Decimal | None


@dataclass(frozen=True)
class Authorization:
    """The answer, and why."""

    authorized: bool
    because: Because
    conditions: tuple[Condition, ...] = ()
    risks: tuple[str, ...] = ()

    @property
    def adjusted(self) -> Amount | None:
        """The amount that is authorized instead of the one asked for, where there is one."""
        amounts = [condition.amount for condition in self.conditions if condition.type == "ADJUST"]
        return next((amount for amount in amounts if amount is not None), None)


def authorize(
    *,
    strategy: str,
    store_currency: str,
    amount: Amount | None,
    recommendation: Recommendation | None,
    card: CardRisk,
    rules: AuthorizationRules,
) -> Authorization:
    """Decides for a store with a connector (`strategy` in CONFIGURED).

    Amazon's risks are passed on, ours are added. A denial has no conditions.
    """
    because = _because(strategy, recommendation, card, rules)
    risks = recommendation.risks if recommendation else ()
    if because is Because.CARD_FLAGGED:
        return Authorization(False, because, risks=_with(risks, FRAUD))
    if because is Because.BALANCE_OUTSTANDING:
        return Authorization(False, because, risks=_with(risks, BAD_DEBT))
    if because is Because.DENIAL_RECOMMENDED:
        return Authorization(False, because, risks=risks)
    suggested = recommendation.conditions if recommendation else ()
    limit = _limit(amount, store_currency, card, rules)
    return Authorization(True, because, suggested if limit is None else _reduced(suggested, limit), risks)


def without_risk_data(fallback: str, recommendation: Recommendation | None) -> Authorization | None:
    """The answer while our risk data does not answer: `recommendation`, `deny`, or None (`unavailable`: a 503)."""
    if fallback == "deny":
        risks = recommendation.risks if recommendation else ()
        return Authorization(False, Because.RISK_DATA_UNAVAILABLE, risks=risks)
    if fallback == "unavailable" or recommendation is None:
        return None
    conditions = recommendation.conditions if recommendation.authorized else ()
    return Authorization(recommendation.authorized, Because.RISK_DATA_UNAVAILABLE, conditions, recommendation.risks)


def _because(
    strategy: str, recommendation: Recommendation | None, card: CardRisk, rules: AuthorizationRules
) -> Because:
    ours = strategy == "RETAILER_MANAGED"
    if card.flagged:
        return Because.CARD_FLAGGED
    if ours and card.owes:
        return Because.BALANCE_OUTSTANDING
    if recommendation is None or recommendation.authorized:
        return Because.LOW_RISK if ours or recommendation is None else Because.AS_RECOMMENDED
    if card.trusted and INVALID_CARD not in recommendation.risks:  # no trust makes an invalid card pay
        return Because.TRUSTED_CARD
    heeded = not ours or rules.heeded_risks.intersection(recommendation.risks)
    return Because.DENIAL_RECOMMENDED if heeded else Because.OVERRIDDEN


def _limit(amount: Amount | None, store_currency: str, card: CardRisk, rules: AuthorizationRules) -> Amount | None:
    """What a repeat offender gets at most; None where nothing is reduced."""
    most = rules.repeat_offender_amount
    if most is None or amount is None or amount.currency != store_currency or card.debts < rules.repeat_offender_debts:
        return None
    if most >= amount.value:
        return None
    return Amount(most.quantize(Decimal(1).scaleb(-places(store_currency)), rounding=ROUND_DOWN), store_currency)


def _reduced(suggested: Sequence[Condition], limit: Amount) -> tuple[Condition, ...]:
    """One ADJUST: the smaller of ours and Amazon's. Its other conditions stay."""
    others = tuple(condition for condition in suggested if condition.type != "ADJUST")
    theirs = [
        condition.amount
        for condition in suggested
        if condition.type == "ADJUST" and condition.amount is not None and condition.amount.currency == limit.currency
    ]
    return (Condition("ADJUST", min([limit, *theirs], key=lambda amount: amount.value)), *others)


def _with(risks: tuple[str, ...], ours: str) -> tuple[str, ...]:
    return risks if ours in risks else (*risks, ours)
