"""What a trip comes to, and the kinds of break. docs/reconciliation.md is written from the table here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from backroom.money import round_amount


class Outcome(StrEnum):
    """What a trip comes to."""

    MATCHED = "MATCHED"
    EXPECTED = "EXPECTED"
    BREAK = "BREAK"


class Kind(StrEnum):
    """What a break is."""

    MISSING_ORDER = "MISSING_ORDER"
    MISSING_PURCHASE = "MISSING_PURCHASE"
    MISSING_CHARGE = "MISSING_CHARGE"
    INCOMPLETE_ORDER = "INCOMPLETE_ORDER"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    UNPRICED = "UNPRICED"
    UNBILLED = "UNBILLED"
    OVER_CAPTURED = "OVER_CAPTURED"
    UNDER_CAPTURED = "UNDER_CAPTURED"
    REFUND = "REFUND"
    LINE = "LINE"
    QUANTITY = "QUANTITY"
    PRICE = "PRICE"
    PROMOTION = "PROMOTION"
    TAX = "TAX"
    TOTAL = "TOTAL"
    CURRENCY = "CURRENCY"
    ENTRY_METHOD = "ENTRY_METHOD"
    STATUS = "STATUS"
    FEEDS = "FEEDS"
    FOUND_AFTER_PAYOFF = "FOUND_AFTER_PAYOFF"
    MISSING_PAYOUT = "MISSING_PAYOUT"
    PAYOUT = "PAYOUT"
    LEDGER = "LEDGER"


class Reading(StrEnum):
    """How the sides of a trip that agrees came to agree, where that is worth telling."""

    SUPERSEDED = "SUPERSEDED"
    FOUND_AFTER_PAYOFF = "FOUND_AFTER_PAYOFF"


MEANING = {
    Kind.MISSING_ORDER: "We hold a purchase; Amazon shows no order, and it is late.",
    Kind.MISSING_PURCHASE: "Amazon shows an order; we were never handed its cart.",
    Kind.MISSING_CHARGE: "A priced purchase that nothing was opened to charge.",
    Kind.INCOMPLETE_ORDER: "The lines of Amazon's order do not add up to its total, and it is late.",
    Kind.DUPLICATE_ORDER: "Amazon shows more than one order for one trip.",
    Kind.UNPRICED: "A cart that could not be priced or charged, and nobody is working on it or its token has ended.",
    Kind.UNBILLED: "Lines of a cart that were never charged, because nobody said in time what they are.",
    Kind.OVER_CAPTURED: "More was taken from the card than we may keep.",
    Kind.UNDER_CAPTURED: "Less was taken from the card than we booked, and no debt covers the rest.",
    Kind.REFUND: "Amazon has refunded another amount than our refunds have booked.",
    Kind.LINE: "A line on one side only, or for another product.",
    Kind.QUANTITY: "The same line, another quantity or unit.",
    Kind.PRICE: "The same line, another shelf price or line price.",
    Kind.PROMOTION: "The same line, another promotion.",
    Kind.TAX: "The same line, another tax.",
    Kind.TOTAL: "The lines agree; the totals do not.",
    Kind.CURRENCY: "The two sides speak of different currencies.",
    Kind.ENTRY_METHOD: "App for one side, card for the other.",
    Kind.STATUS: "The amounts agree; what has become of the charge does not.",
    Kind.FEEDS: "Amazon's files and its events tell different stories of the trip.",
    Kind.FOUND_AFTER_PAYOFF: "A capture came to light after its debt was paid, and the second payment is not back yet.",
    Kind.MISSING_PAYOUT: "Our processor captured, and its payout of it is late.",
    Kind.PAYOUT: "Our processor paid out another amount than it captured and refunded.",
    Kind.LEDGER: "The books do not say what the purchase and its charge say.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A break. `line_number` 0 is the whole trip; a side that is missing counts as nothing in the difference."""

    kind: Kind
    ours: str
    theirs: str
    explanation: str
    difference: Decimal | None = None
    line_number: int = 0


@dataclass(slots=True)
class Verdict:
    """Findings, what is waited for, and what is worth knowing; the outcome follows from them."""

    currency: str
    findings: dict[tuple[int, Kind], Finding] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reading: Reading | None = None

    @property
    def outcome(self) -> Outcome:
        """A break outweighs a wait; what neither breaks nor waits is matched."""
        return Outcome.BREAK if self.findings else Outcome.EXPECTED if self.waits else Outcome.MATCHED

    @property
    def note(self) -> str:
        """Waits and notes as one text."""
        return "; ".join([*self.waits, *self.notes])

    def add(
        self,
        kind: Kind,
        ours: object,
        theirs: object,
        explanation: str,
        *,
        difference: Decimal | None = None,
        line_number: int = 0,
    ) -> None:
        """Adds a finding; the first of a kind on a line stands."""
        found = Finding(
            kind, self._shown(ours), self._shown(theirs), explanation, difference=difference, line_number=line_number
        )
        self.findings.setdefault((line_number, kind), found)

    def wait_or_add(
        self,
        wait: str | None,
        kind: Kind,
        ours: object,
        theirs: object,
        explanation: str,
        *,
        difference: Decimal | None = None,
    ) -> None:
        """A wait while there is still time for it, a break of that kind afterwards.

        Where both sides are amounts, `difference` is theirs minus ours.
        """
        if wait is not None:
            self.waits.append(wait)
            return
        if isinstance(ours, Decimal) and isinstance(theirs, Decimal):
            difference = theirs - ours
        self.add(kind, ours, theirs, explanation, difference=difference)

    def _shown(self, value: object) -> str:
        return shown(value, self.currency) if isinstance(value, Decimal) else str(value)


def shown(amount: Decimal, currency: str) -> str:
    """With the currency's places, or exactly where that would hide something."""
    rounded = round_amount(amount, currency)
    return f"{rounded if rounded == amount else amount.normalize():f}"


def shown_instant(moment: datetime) -> str:
    """To the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
