"""Authorizes the holder of a card at the gate: looks up, decides, keeps the answer. One transaction, the caller's.

Idempotent by `gateAuthenticationEvent.id`: the answer, the card's token and the trip are kept, and the answer is
repeated byte for byte, also to copies that arrive at once. They own the trip's debts. A call without an event id but
with a trip is known by its content.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from backroom.amazon import exact_json
from backroom.card_numbers import REMOVED
from backroom.entry.authorization_decision import (
    CONFIGURED,
    Amount,
    Authorization,
    AuthorizationRules,
    CardRisk,
    Recommendation,
    authorize,
)
from backroom.entry.decision import OUTSTANDING_HERE
from backroom.entry.gate import UnknownStore
from backroom.reviews.cases import open_case


class NoConnector(LookupError):
    """The store's strategy has no shopper authorization: Amazon decides, or nobody."""


@dataclass(frozen=True)
class AuthorizationQuestion:
    """A card at a gate. `shopper_identity` is Amazon's token for it."""

    store_id: str
    shopper_identity: str
    amount: Amount | None
    shopping_trip_id: str | None
    event_id: str | None
    recommendation: Recommendation | None

    def meaning(self) -> str:
        """A hash of what was asked: equal for copies, whatever else they carry."""
        asked: list[Any] = [self.store_id, self.shopper_identity, self.shopping_trip_id, _amount(self.amount)]
        if self.recommendation:
            asked += [self.recommendation.authorized, list(self.recommendation.risks)]
            asked += [[one.type, _amount(one.amount)] for one in self.recommendation.conditions]
        return hashlib.sha256(exact_json.dumps(asked).encode()).hexdigest()

    @property
    def idempotency_key(self) -> str | None:
        """The event's id; without one, the call's content, where it names a trip."""
        return self.event_id or (self.meaning() if self.shopping_trip_id else None)


@dataclass(frozen=True)
class AuthorizationAnswer:
    """The exact body of the 200; `outcome` is for the log."""

    body: bytes
    outcome: str


def authorize_shopper(
    connection: Connection,
    asked: AuthorizationQuestion,
    raw_body: str,
    *,
    rules: AuthorizationRules,
    now: datetime,
) -> AuthorizationAnswer:
    """Decides, or repeats the answer that the event got. `raw_body` is the call's JSON text.

    Raises UnknownStore, and NoConnector where the store's strategy has none; neither is remembered.
    """
    known = _look_up(connection, asked)
    if known.prior_body is not None:
        return _repeat(connection, asked, known, now)
    if not known.active:
        raise UnknownStore(asked.store_id)
    if known.risk_strategy not in CONFIGURED:
        raise NoConnector(asked.store_id)
    decision = authorize(
        strategy=known.risk_strategy,
        store_currency=known.currency,
        amount=asked.amount,
        recommendation=asked.recommendation,
        card=CardRisk(
            flagged=known.standing == "FLAGGED" or known.shopper_flagged,
            trusted=known.standing == "TRUSTED",
            owes=known.owes,
            debts=known.debts,
        ),
        rules=rules,
    )
    answer = AuthorizationAnswer(answer_body(decision), decision.because.value)
    if asked.idempotency_key is None or _keep(connection, asked, decision, answer, known, raw_body, now):
        return answer
    return _repeat(connection, asked, _look_up(connection, asked), now)  # a copy was faster: its answer stands


def answer_body(decision: Authorization) -> bytes:
    """The body of the 200; amounts are JSON numbers, to the digit."""
    conditions: list[dict[str, Any]] = []
    for condition in decision.conditions:
        written: dict[str, Any] = {"type": condition.type}
        if condition.amount is not None:
            written["amount"] = {"value": condition.amount.value, "currencyCode": condition.amount.currency}
        conditions.append(written)
    return exact_json.dumps(
        {
            "shopperAuthorized": decision.authorized,
            "authorizationConditions": conditions,
            "shopperRisks": list(decision.risks),
        }
    ).encode()


# A flagged shopper's card is one that was sent with a trip of theirs.
_KNOWN = text(f"""
    select store.active, store.risk_strategy, store.currency,
           prior.response_body as prior_body, prior.body_hash as prior_hash,
           (select standing from card_standing where shopper_identity = :token) as standing,
           exists (select from purchase join shopper on shopper.shopper_id = purchase.shopper_id
                   where purchase.shopper_identity = :token and purchase.shopper_id is not null
                   and shopper.flagged) as shopper_flagged,
           exists (select from debt where debt.shopper_identity = :token and {OUTSTANDING_HERE}) as owes,
           (select count(*) from debt where debt.shopper_identity = :token and debt.amount > 0) as debts
    from (select) as always
    left join store on store.store_id = :store_id
    left join shopper_authorization as prior on prior.gate_authentication_event_id = :key
""")  # noqa: S608 - a constant of the code


def _look_up(connection: Connection, asked: AuthorizationQuestion) -> Row:
    """What looked like a card number was taken out of the call: such a token ties to nothing."""
    token = None if asked.shopper_identity == REMOVED else asked.shopper_identity
    return connection.execute(_KNOWN, {"token": token, "store_id": asked.store_id, "key": asked.idempotency_key}).one()


def _keep(
    connection: Connection,
    asked: AuthorizationQuestion,
    decision: Authorization,
    answer: AuthorizationAnswer,
    known: Row,
    raw_body: str,
    now: datetime,
) -> bool:
    """False where a copy of the event has been answered already. Waits for a copy that is about to be."""
    adjusted = decision.adjusted
    made = connection.execute(
        _KEEP,
        {
            "key": asked.idempotency_key,
            "trip": asked.shopping_trip_id,
            "store_id": asked.store_id,
            "token": asked.shopper_identity,
            "strategy": known.risk_strategy,
            "recommended": asked.recommendation.authorized if asked.recommendation else None,
            "authorized": decision.authorized,
            "reason": decision.because.value,
            "amount": adjusted.value if adjusted else None,
            "currency": adjusted.currency if adjusted else None,
            "risks": exact_json.dumps(list(decision.risks)),
            "body_hash": asked.meaning(),
            "body": answer.body,
            "raw_body": raw_body,
            "now": now,
        },
    ).one_or_none()
    return made is not None


_KEEP = text(
    "insert into shopper_authorization (gate_authentication_event_id, shopping_trip_id, store_id, shopper_identity,"
    " risk_strategy, recommended, authorized, reason, amount, currency, risks, body_hash, response_body, raw_body,"
    " received_at) values (:key, :trip, :store_id, :token, :strategy, :recommended, :authorized, :reason,"
    " :amount, :currency, cast(:risks as jsonb), :body_hash, :body, cast(:raw_body as jsonb), :now)"
    " on conflict do nothing returning store_id"
)


def _repeat(connection: Connection, asked: AuthorizationQuestion, known: Row, now: datetime) -> AuthorizationAnswer:
    if known.prior_hash != asked.meaning():
        open_case(
            connection,
            kind="DIFFERENT_AUTHORIZATION",
            subject=asked.idempotency_key or "",
            store_id=asked.store_id,
            asked_by="entry",
            question="A card's gate event came again with other content; the first answer was given again. Why?",
            known={"shopping_trip_id": asked.shopping_trip_id},
            choices=[("seen", "nothing changes: the first answer stands")],
            now=now,
        )
    return AuthorizationAnswer(bytes(known.prior_body), "REPEATED")


def _amount(amount: Amount | None) -> list[Any] | None:
    return None if amount is None else [f"{amount.value.normalize():f}", amount.currency]
