"""The chart of accounts, and what each kind of transaction moves. Debits are positive, credits negative."""

from __future__ import annotations

from enum import StrEnum


class Account(StrEnum):
    """Where money can stand. docs/money.md explains each to an accountant."""

    SALES = "sales"  # income: list prices of what was sold
    PROMOTIONS = "promotions"  # contra income: what was taken off
    TAX_PAYABLE = "tax_payable"  # liability, per jurisdiction
    SHOPPER_RECEIVABLE = "shopper_receivable"  # asset: sold, nothing begun yet
    SETTLED_OTHERWISE = "settled_otherwise"  # asset: associates' and cash shoppers' carts, which no card pays
    CARD_CLEARING_INITIATED = "card_clearing_initiated"  # asset: a capture has begun
    CARD_CLEARING = "card_clearing"  # asset: captured for good, not yet paid out to the bank
    BAD_DEBT_RECEIVABLE = "bad_debt_receivable"  # asset: what shoppers owe


class Booking(StrEnum):
    """Kinds of transactions."""

    SALE = "SALE"
    CAPTURE_INITIATED = "CAPTURE_INITIATED"
    CAPTURE_FINAL = "CAPTURE_FINAL"
    CAPTURE_REVERSED = "CAPTURE_REVERSED"
    DEBT_OPENED = "DEBT_OPENED"
    DEBT_WITHDRAWN = "DEBT_WITHDRAWN"


NORMAL_SIDE = {
    Account.SALES: "credit",
    Account.PROMOTIONS: "debit",
    Account.TAX_PAYABLE: "credit",
    Account.SHOPPER_RECEIVABLE: "debit",
    Account.SETTLED_OTHERWISE: "debit",
    Account.CARD_CLEARING_INITIATED: "debit",
    Account.CARD_CLEARING: "debit",
    Account.BAD_DEBT_RECEIVABLE: "debit",
}
