"""A card at the gate: may this shopper come in, and for how much? Asked of the retailer where the store wants it so."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from jwo_sandbox import exact_json, instants
from jwo_sandbox.connector_calls import ConnectorCalls
from jwo_sandbox.minor_amounts import to_decimal, to_minor

PATH = "/v1/fraudandabuse/shopperauthorization"
ASKED = frozenset({"AMAZON_RECOMMENDATION", "RETAILER_MANAGED"})
"""Risk strategies of the stores whose retailer is asked; of the others, Amazon or nobody decides."""
TRIES = 3
"""A shopper waits at the gate: after so many the store's default decision holds, which is to open."""
RETAILER, AMAZON, STORE_DEFAULT = "RETAILER", "AMAZON", "STORE_DEFAULT"


@dataclass(frozen=True)
class CardDecision:
    """Whether the gate opens, who decided, and the amount to hold (whole minor units; None: the store's own)."""

    admitted: bool
    decided_by: str
    amount: int | None = None


async def decide_on_card(
    calls: ConnectorCalls, trip: sqlite3.Row, entry: dict[str, Any], repeat: str | None
) -> CardDecision:
    """Ask the retailer, where the store's strategy says so, and keep the answer in the books.

    An entry of the script may carry Amazon's own `recommendation`: {"authorized", "amount", "risks"}; without one,
    Amazon sees no risk.
    """
    store = calls.sandbox.files.stores[trip["store_id"]]
    recommended = entry.get("recommendation", {})
    by_amazon = CardDecision(bool(recommended.get("authorized", True)), AMAZON)
    if store.risk_strategy not in ASKED:
        return by_amazon
    asked = to_minor(store.preauthorization_amount, store.currency)
    body = _body(trip, entry, recommended, to_decimal(asked, store.currency), store.currency)
    responses = await calls.call(PATH, body, repeat, tries=TRIES)
    calls.check_same(trip["shopping_trip_id"], responses)
    decision = _decision(responses[0], by_amazon, asked, store.currency)
    calls.counts["cards_admitted" if decision.admitted else "cards_refused"] += 1
    calls.sandbox.books.insert(
        "shopper_authorization",
        [
            {
                "gate_event_id": entry["id"],
                "shopping_trip_id": trip["shopping_trip_id"],
                "at": instants.parse(entry["at"]),
                "asked": asked,
                "recommended": int(by_amazon.admitted),
                "statuses": json.dumps([None if one is None else one.status_code for one in responses]),
                "answer": "" if responses[0] is None else responses[0].text,
                "decided_by": decision.decided_by,
                "admitted": int(decision.admitted),
                "amount": decision.amount,
            }
        ],
        replace=True,
    )
    return decision


def _body(
    trip: sqlite3.Row, entry: dict[str, Any], recommended: dict[str, Any], amount: Decimal, currency: str
) -> dict[str, Any]:
    def money(value: Decimal) -> dict[str, Any]:
        return {"value": value, "currencyCode": currency}

    reduced = [{"type": "ADJUST", "amount": money(Decimal(recommended["amount"]))}] if "amount" in recommended else []
    return {
        "storeId": trip["store_id"],
        "shopperIdentity": {"id": trip["identity_id"]},
        "authorizedAmount": money(amount),
        "shopperInteraction": {
            "shoppingTripId": trip["shopping_trip_id"],
            "gateAuthenticationEvent": {
                "id": entry["id"],
                "type": "CREDIT_CARD",
                "interactionType": "TAP",
                "timestamp": entry["at"],
                "location": entry.get("location", "ENTRY"),
                "data": {},
            },
            "recommendation": {
                "shopperAuthorized": bool(recommended.get("authorized", True)),
                "authorizationConditions": reduced,
                "shopperRisks": list(recommended.get("risks", [])),
            },
        },
    }


def _decision(response: httpx.Response | None, by_amazon: CardDecision, asked: int, currency: str) -> CardDecision:
    """404: no connector is configured there, Amazon decides. What can't be understood counts as no answer."""
    if response is not None and response.status_code == 404:
        return by_amazon
    if response is None or response.status_code != 200:
        return CardDecision(True, STORE_DEFAULT)
    try:
        answer = exact_json.loads(response.content)
        admitted = answer["shopperAuthorized"]
        amounts = [_reduced(one["amount"], currency) for one in answer["authorizationConditions"] if _adjusts(one)]
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return CardDecision(True, STORE_DEFAULT)
    if not isinstance(admitted, bool):
        return CardDecision(True, STORE_DEFAULT)
    return CardDecision(admitted, RETAILER, min([asked, *amounts]) if amounts else None)


def _adjusts(condition: dict[str, Any]) -> bool:
    return bool(condition["type"] == "ADJUST")


def _reduced(amount: dict[str, Any], currency: str) -> int:
    value = Decimal(amount["value"])
    if amount["currencyCode"] != currency or not 0 <= value < 10**9:
        raise ValueError(f"{amount} is no amount of this store")
    return to_minor(value, currency)
