"""Issues scan key codes to the retailer's app: a fresh recognition token, in a code that is good from this moment.

None is issued to a shopper who may not enter. A token is kept as a hash only, like every recognition key; it expires
by itself, and `purge_expired_tokens` takes out what has expired. docs/entry.md describes the life of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import insert

from backroom.entry.decision import OUTSTANDING_HERE, Decision, GateRules, KnownShopper, decide
from backroom.entry.scan_code import TOKEN_BITS, make_scan_code
from backroom.shoppers.registry import key_hash
from backroom.shoppers.tables import recognition_key

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""A gate call may come late; until then its answer still says why."""


@dataclass(frozen=True)
class IssuingRules:
    """What the retailer has set: prefix, how long a code is fresh, how long its token lives, how many may live."""

    prefix: str
    freshness: timedelta
    token_life: timedelta
    most_live: int

    @property
    def refresh_after(self) -> timedelta:
        """When the app asks again: the shopper has the other half of the code's life to reach the gate."""
        return self.freshness / 2


@dataclass(frozen=True)
class IssuedCode:
    """A code for the app to show. Gates refuse it from `stale_at` on, and its token from `expires_at` on."""

    scan_key_code: str
    stale_at: datetime
    expires_at: datetime
    refresh_after: timedelta


class StoreUnknown(LookupError):
    """The app names a store that is not one of ours, or one that is closed."""


class MayNotEnter(PermissionError):
    """No code for this shopper. `reason` is for the log; the app is not told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooManyTokens(Exception):
    """The shopper has as many live tokens as the setting allows; `retry_after` until one expires."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(f"again in {retry_after}")
        self.retry_after = retry_after


def issue_scan_code(
    connection: Connection,
    shopper_id: str,
    *,
    store_id: str | None,
    custom_part: str,
    rules: IssuingRules,
    random_bits: Callable[[int], int],
    now: datetime,
) -> IssuedCode:
    """Makes a code that this shopper may show from now on, in the caller's transaction.

    With a store, that store must let the shopper in; without one, any of ours. `random_bits` is `secrets.randbits`
    or its like. Raises StoreUnknown, MayNotEnter, TooManyTokens.
    """
    _check_may_enter(connection, shopper_id, store_id, rules, now)
    _check_live_tokens(connection, shopper_id, rules, now)
    token = f"{random_bits(TOKEN_BITS):021x}"
    expires_at = now + rules.token_life
    connection.execute(
        insert(recognition_key).values(
            key_hash=key_hash(token.encode()), shopper_id=shopper_id, kind="TOKEN", expires_at=expires_at
        )
    )
    return IssuedCode(
        make_scan_code(rules.prefix, now, token, custom_part), now + rules.freshness, expires_at, rules.refresh_after
    )


def purge_expired_tokens(connection: Connection, *, now: datetime) -> int:
    """Deletes the tokens that expired a day ago or earlier, in one statement; how many."""
    return connection.execute(
        text("delete from recognition_key where kind = 'TOKEN' and expires_at <= :until"),
        {"until": now - KEPT_AFTER_EXPIRY},
    ).rowcount


_FACTS = text(f"""
    select shopper.shopper_id, shopper.type, shopper.active, shopper.flagged, store.risk_strategy,
           exists (select from debt where debt.shopper_id = :shopper_id and {OUTSTANDING_HERE}) as owes
    from store left join shopper on shopper.shopper_id = :shopper_id
    where store.active and (cast(:store_id as text) is null or store.store_id = :store_id)
    order by store.store_id
""")  # noqa: S608 - a constant of the code


def _check_may_enter(
    connection: Connection, shopper_id: str, store_id: str | None, rules: IssuingRules, now: datetime
) -> None:
    stores = connection.execute(_FACTS, {"shopper_id": shopper_id, "store_id": store_id}).all()
    if store_id is not None and not stores:
        raise StoreUnknown(store_id)
    decisions = [_decision(facts, rules, now) for facts in stores]
    if not any(decision.admitted for decision in decisions):
        raise MayNotEnter(decisions[0].reason if decisions else "NO_STORE")


def _decision(facts: Row, rules: IssuingRules, now: datetime) -> Decision:
    """The gate's own decision about this shopper, with a key that has nothing wrong with it."""
    shopper = None
    if facts.shopper_id is not None:
        shopper = KnownShopper(
            shopper_id=facts.shopper_id,
            type=facts.type,
            active=facts.active,
            flagged=facts.flagged,
            owes=facts.owes,
            key_revoked=False,
            key_expires_at=None,
        )
    return decide(
        at=now,
        code=None,
        shopper=shopper,
        used_by_another=False,
        balance_denies=facts.risk_strategy == "RETAILER_MANAGED",
        rules=GateRules(rules.prefix, rules.freshness),
    )


def _check_live_tokens(connection: Connection, shopper_id: str, rules: IssuingRules, now: datetime) -> None:
    """One shopper's requests wait for each other, so that none slips past the limit."""
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended('recognition tokens ' || :shopper_id, 0))"),
        {"shopper_id": shopper_id},
    )
    live, first_end = connection.execute(
        text(
            "select count(*), min(expires_at) from recognition_key"
            " where shopper_id = :shopper_id and kind = 'TOKEN' and not revoked and expires_at > :now"
        ),
        {"shopper_id": shopper_id, "now": now},
    ).one()
    if live >= rules.most_live:
        raise TooManyTokens(first_end - now)
