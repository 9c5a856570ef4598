"""The chart of accounts, and what each kind of transaction moves. Debits are positive, credits negative."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal


class Account(StrEnum):
    """Where money can stand. docs/money.md explains each to an accountant."""

    SALES = "sales"  # income: list prices of what was sold
    PROMOTIONS = "promotions"  # contra income: what was taken off
    REFUNDS = "refunds"  # contra income: what was given back of sales, without its tax
    TAX_PAYABLE = "tax_payable"  # liability, per jurisdiction
    SHOPPER_RECEIVABLE = "shopper_receivable"  # asset: sold, nothing begun yet
    RECEIVABLE_WRITTEN_OFF = "receivable_written_off"  # contra asset: of it, given up
    SETTLED_OTHERWISE = "settled_otherwise"  # asset: associates' and cash shoppers' carts, which no card pays
    CARD_CLEARING_INITIATED = "card_clearing_initiated"  # asset, per processor: a capture has begun
    CARD_CLEARING = "card_clearing"  # asset, per processor: captured for good, not yet paid out to the bank
    CARD_CLEARING_WRITTEN_OFF = "card_clearing_written_off"  # contra asset, per processor: of it, given up
    REFUND_CLEARING_INITIATED = "refund_clearing_initiated"  # liability, per instrument: a refund has begun
    REFUND_CLEARING = "refund_clearing"  # liability, per instrument: refunded, not yet taken off what is paid out
    BAD_DEBT_RECEIVABLE = "bad_debt_receivable"  # asset: what shoppers owe and the books expect
    PAYOFF_RECEIPTS = "payoff_receipts"  # asset, per method: what payoffs brought in, not yet at the bank
    OWED_TO_SHOPPERS = "owed_to_shoppers"  # liability: came although nothing was owed, goes back by itself
    WRITE_OFF = "write_off"  # expense: debts, and money of breaks, that were given up
    RECOVERY = "recovery"  # income: came for debts that had been given up
    UNBILLED = "unbilled"  # memo: list prices of what was taken and could not be billed, where one is known
    UNBILLED_OFFSET = "unbilled_offset"  # memo: the other side of `unbilled`


class Booking(StrEnum):
    """Kinds of transactions."""

    SALE = "SALE"
    UNBILLED = "UNBILLED"
    CAPTURE_INITIATED = "CAPTURE_INITIATED"
    CAPTURE_FINAL = "CAPTURE_FINAL"
    CAPTURE_REVERSED = "CAPTURE_REVERSED"
    DEBT_OPENED = "DEBT_OPENED"
    DEBT_WITHDRAWN = "DEBT_WITHDRAWN"
    DEBT_PAID = "DEBT_PAID"
    DEBT_REDUCED = "DEBT_REDUCED"
    DEBT_WRITTEN_OFF = "DEBT_WRITTEN_OFF"
    WRITE_OFF_UNDONE = "WRITE_OFF_UNDONE"
    DEBT_RECOVERED = "DEBT_RECOVERED"
    BREAK_WRITTEN_OFF = "BREAK_WRITTEN_OFF"
    BREAK_WRITE_OFF_UNDONE = "BREAK_WRITE_OFF_UNDONE"
    PAYOFF_RETURNED = "PAYOFF_RETURNED"
    REFUND_INITIATED = "REFUND_INITIATED"
    REFUND_FINAL = "REFUND_FINAL"
    REFUND_REVERSED = "REFUND_REVERSED"


NORMAL_SIDE: Final[dict[Account, Literal["credit", "debit"]]] = {
    Account.SALES: "credit",
    Account.PROMOTIONS: "debit",
    Account.REFUNDS: "debit",
    Account.TAX_PAYABLE: "credit",
    Account.SHOPPER_RECEIVABLE: "debit",
    Account.RECEIVABLE_WRITTEN_OFF: "credit",
    Account.SETTLED_OTHERWISE: "debit",
    Account.CARD_CLEARING_INITIATED: "debit",
    Account.CARD_CLEARING: "debit",
    Account.CARD_CLEARING_WRITTEN_OFF: "credit",
    Account.REFUND_CLEARING_INITIATED: "credit",
    Account.REFUND_CLEARING: "credit",
    Account.BAD_DEBT_RECEIVABLE: "debit",
    Account.PAYOFF_RECEIPTS: "debit",
    Account.OWED_TO_SHOPPERS: "credit",
    Account.WRITE_OFF: "debit",
    Account.RECOVERY: "credit",
    Account.UNBILLED: "debit",
    Account.UNBILLED_OFFSET: "credit",
}

AMAZONS: Final = ""
"""Sub-account of what Amazon's payment service moved; a store's own processor has its name instead."""
