"""Stripe Checkout: a session per payoff. Source: docs.stripe.com/api/checkout/sessions.

The stand-in for Stripe serves no such page, so that this is tried against scripted answers only (docs/portal.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx
import stripe

from backroom.amazon.outcomes import Outcome
from backroom.amazon.transport import parsed
from backroom.checkout.pages import Page, PageState, Told
from backroom.money import Money
from backroom.processors.stripe_adapter import require_deliberate_key, to_minor
from backroom.processors.stripe_answers import REFERENCE, SUBJECT, attempt
from backroom.settings import Settings

_PAID: Final = "paid"
_EXPANDED: Final[Any] = {"expand": ["payment_intent"]}


class StripePages:
    """Thread-safe."""

    name = "STRIPE"

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError where there is no key, or a live one that no setting allows."""
        key = require_deliberate_key(config)
        timeout = config.processor_timeout_seconds
        self._http = stripe.HTTPXClient(timeout=httpx.Timeout(timeout, connect=3.0), allow_sync_methods=True)
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": str(parsed(config.stripe_url)).rstrip("/")},
            max_network_retries=0,
            http_client=self._http,
        )

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def make(self, reference: str, amount: Money, *, subject: str, return_url: str, language: str) -> Told:
        """A session in `payment` mode; its PaymentIntent carries our reference, so that webhooks are understood."""
        item = {
            "quantity": 1,
            "price_data": {
                "currency": amount.currency.lower(),
                "unit_amount": to_minor(amount),
                "product_data": {"name": subject},
            },
        }
        asked: Any = {
            "mode": "payment",
            "client_reference_id": reference,
            "line_items": [item],
            "payment_method_types": ["card"],
            "payment_intent_data": {"metadata": {REFERENCE: reference, SUBJECT: subject}},
            "success_url": return_url,
            "cancel_url": return_url,
            "locale": language,
        }
        options: Any = {"idempotency_key": f"page-{reference}"}
        return self._ask(lambda: self._client.v1.checkout.sessions.create(asked, options))

    def look(self, page_id: str) -> Told:
        """The session as it stands."""
        return self._ask(lambda: self._client.v1.checkout.sessions.retrieve(page_id, _EXPANDED))

    def end(self, page_id: str) -> Told:
        """Expires it. One that can't be expired any more is looked at: it was paid, or has ended."""
        told = self._ask(lambda: self._client.v1.checkout.sessions.expire(page_id))
        return self.look(page_id) if told.outcome is Outcome.REFUSED else told

    def _ask(self, call: Callable[[], Any]) -> Told:
        answers: list[Page] = []

        def read() -> None:
            answers.append(_page(call()))

        result = attempt(read)
        return Told(result.outcome, answers[0] if answers else None, result.message)


def _page(session: Any) -> Page:
    """Complete is not yet paid: some ways of paying take days. Only `paid` is."""
    if session["payment_status"] == _PAID:
        state = PageState.PAID
    else:
        state = PageState.ENDED if session["status"] == "expired" else PageState.OPEN
    intent = session["payment_intent"]
    payment = intent if isinstance(intent, str) or intent is None else intent["id"]
    return Page(str(session["id"]), str(session["url"] or ""), state, payment)
