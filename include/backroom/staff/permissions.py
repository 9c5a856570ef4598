"""What each role may see and do. One table; docs/console.md shows it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A person has one or more."""

    FINANCE = "finance"
    OPERATIONS = "operations"
    SUPPORT = "support"


class Permission(StrEnum):
    """What a page or an action asks for."""

    SEE_TODAY = "see today and the cases that wait"
    SEE_REPORTS = "read reports"
    SEND_REPORTS = "have reports stored and announced"
    CLOSE_MONTHS = "close months"
    SEE_BREAKS = "see breaks"
    DECIDE_BREAKS = "own, force-match and write off breaks"
    SEE_MONEY = "see charges, debts and refunds"
    DECIDE_MONEY = "decide cases about money"
    WRITE_OFF_DEBTS = "write off and forgive debts"
    ASK_REFUNDS = "ask for refunds"
    APPROVE_REFUNDS = "approve and reject refunds that another person asked for"
    SEE_CARTS = "see bad carts"
    RESOLVE_CARTS = "resolve bad carts, retry and dismiss refused ones"
    SEE_FEEDS = "see file gaps and quarantined rows"
    MEND_FEEDS = "retry and dismiss quarantined rows, and release days that lack files"
    SEE_CATALOG = "see what was rejected of the catalog"
    MEND_CATALOG = "let items that Amazon refused go again"
    DECIDE_GOODS = "decide cases about carts, catalog, prices and stock"
    SEE_AUDIT = "read the audit trail"


GRANTED: Final[dict[Role, frozenset[Permission]]] = {
    Role.FINANCE: frozenset(
        {
            Permission.SEE_TODAY,
            Permission.SEE_REPORTS,
            Permission.SEND_REPORTS,
            Permission.CLOSE_MONTHS,
            Permission.SEE_BREAKS,
            Permission.DECIDE_BREAKS,
            Permission.SEE_MONEY,
            Permission.DECIDE_MONEY,
            Permission.WRITE_OFF_DEBTS,
            Permission.ASK_REFUNDS,
            Permission.APPROVE_REFUNDS,
            Permission.SEE_CARTS,
            Permission.SEE_FEEDS,
            Permission.SEE_AUDIT,
        }
    ),
    Role.OPERATIONS: frozenset(
        {
            Permission.SEE_TODAY,
            Permission.SEE_BREAKS,
            Permission.SEE_CARTS,
            Permission.RESOLVE_CARTS,
            Permission.SEE_FEEDS,
            Permission.MEND_FEEDS,
            Permission.SEE_CATALOG,
            Permission.MEND_CATALOG,
            Permission.DECIDE_GOODS,
        }
    ),
    Role.SUPPORT: frozenset({Permission.SEE_TODAY, Permission.SEE_MONEY, Permission.ASK_REFUNDS, Permission.SEE_CARTS}),
}
GOODS_ROOMS: Final = frozenset({"purchases", "catalog", "prices", "inventory", "feeds"})
"""Rooms whose cases are about goods and data; those of every other room are about money."""


_KNOWN: Final = frozenset(role.value for role in Role)


def granted(roles: Iterable[str]) -> frozenset[Permission]:
    """All that a person with these roles may. A role that is not known grants nothing."""
    return frozenset().union(*(GRANTED[Role(role)] for role in roles if role in _KNOWN))


def to_decide(asked_by: str) -> Permission:
    """What it takes to decide a case that this room asked."""
    return Permission.DECIDE_GOODS if asked_by in GOODS_ROOMS else Permission.DECIDE_MONEY
