"""The gate's decision: one pure function over what is known. Source: inbound.md, 1 and the table of strategies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from backroom.entry.scan_code import ScanCode


class Reason(StrEnum):
    """Why the gate opened or stayed shut. Kept with the decision, never sent."""

    ADMITTED = "ADMITTED"
    WRONG_PREFIX = "WRONG_PREFIX"
    CODE_STALE = "CODE_STALE"
    CODE_FROM_THE_FUTURE = "CODE_FROM_THE_FUTURE"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    KEY_REVOKED = "KEY_REVOKED"
    KEY_EXPIRED = "KEY_EXPIRED"
    CODE_USED = "CODE_USED"
    SHOPPER_INACTIVE = "SHOPPER_INACTIVE"
    SHOPPER_FLAGGED = "SHOPPER_FLAGGED"
    BALANCE_OUTSTANDING = "BALANCE_OUTSTANDING"


@dataclass(frozen=True)
class GateRules:
    """What the retailer has set for its gates."""

    prefix: str
    freshness: timedelta


@dataclass(frozen=True)
class KnownShopper:
    """The shopper behind a recognition key, and the key's own state."""

    shopper_id: str
    type: str
    active: bool
    flagged: bool
    owes: bool
    key_revoked: bool
    key_expires_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """Whether the gate opens, for whom, and why."""

    reason: Reason
    shopper: KnownShopper | None = None

    @property
    def admitted(self) -> bool:
        """Whether the gate opens."""
        return self.reason is Reason.ADMITTED


def decide(
    *,
    at: datetime,
    code: ScanCode | None,
    shopper: KnownShopper | None,
    used_by_another: bool,
    balance_denies: bool,
    rules: GateRules,
) -> Decision:
    """Decides on a key shown at the gate at that time.

    A code may be older than the gate event by `rules.freshness`, and younger by as much (a telephone's clock is not
    ours). `balance_denies`: the store's strategy makes an outstanding balance our business.
    """
    if code is not None and (wrong := wrong_with_code(code, at, rules)):
        return Decision(wrong)
    if shopper is None:
        return Decision(Reason.UNKNOWN_KEY)
    checks = (
        (shopper.key_revoked, Reason.KEY_REVOKED),
        (shopper.key_expires_at is not None and shopper.key_expires_at <= at, Reason.KEY_EXPIRED),
        (code is not None and used_by_another, Reason.CODE_USED),
        (not shopper.active, Reason.SHOPPER_INACTIVE),
        (shopper.flagged, Reason.SHOPPER_FLAGGED),
        (balance_denies and shopper.owes, Reason.BALANCE_OUTSTANDING),
    )
    return Decision(next((reason for denies, reason in checks if denies), Reason.ADMITTED), shopper)


OUTSTANDING_HERE: Final = """
    (debt.state = 'OPEN' and debt.outstanding > 0 or debt.state = 'WRITTEN_OFF' and debt.forgiven_at is null)
    and (store.balance_scope = 'ALL_STORES' or debt.store_id = store.store_id)
"""
"""Which of a debtor's debts deny entry to `store`, as SQL. Source: inbound.md, the table of strategies.

Giving a debt up in the books does not let the debtor in again: that is forgiving it, by name (ours)."""

NOTHING_DENIES: Final = f"""
    not known.revoked and (known.expires_at is null or known.expires_at > event.at)
    and shopper.active and not shopper.flagged
    and not (store.risk_strategy = 'RETAILER_MANAGED' and exists (
        select from debt where debt.shopper_id = shopper.shopper_id and {OUTSTANDING_HERE}))
"""
"""The checks of `decide` on a known shopper as SQL, to admit at once whom nothing speaks against; whoever does not pass
is decided on by `decide`. That a code is fresh, and not used, is for the caller. A test holds the two to each other."""


def wrong_with_code(code: ScanCode, at: datetime, rules: GateRules) -> Reason | None:
    """What speaks against a code by itself: its prefix or its age."""
    if code.prefix != rules.prefix:
        return Reason.WRONG_PREFIX
    if at - code.made_at > rules.freshness:
        return Reason.CODE_STALE
    if code.made_at - at > rules.freshness:
        return Reason.CODE_FROM_THE_FUTURE
    return None
