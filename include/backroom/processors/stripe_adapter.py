"""Stripe: PaymentIntents with manual capture, by the `stripe` package, one attempt a call.

The package's own retries are off, its time-out is ours. A key for a live account has to be allowed by a setting.
What Stripe says of idempotency keys is made use of, never relied on (calls.py looks before it repeats).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx
import stripe

from backroom.amazon.transport import is_loopback, parsed
from backroom.errors import ConfigurationError
from backroom.money import Money, places
from backroom.processors.port import Instrument, Outcome, Payment, PaymentState, Problem, Result
from backroom.processors.stripe_answers import (
    REFERENCE,
    SUBJECT,
    Nothing,
    TooMany,
    attempt,
    field,
    found,
    from_minor,
    held_or_declined,
    payment_of,
    refund_of,
)
from backroom.settings import Settings

CONNECT_SECONDS: Final = 3.0
PAGE: Final = 100
MOST_PAGES: Final = 20  # of one customer's payments, to find one in; beyond, the answer is "unknown"


class StripeProcessor:
    """Thread-safe; one per process."""

    name = "STRIPE"

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError where there is no key, or a live one that no setting allows."""
        key = require_deliberate_key(config)
        base = parsed(config.stripe_url)
        self._incremental = config.stripe_incremental
        # a stand-in on this machine filters no list of payments
        self._filters = not is_loopback(base.host)
        timeout = config.processor_timeout_seconds
        self._http = stripe.HTTPXClient(
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)), allow_sync_methods=True
        )
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": str(base).rstrip("/")},
            max_network_retries=0,
            http_client=self._http,
        )

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def authorize(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """A PaymentIntent that is confirmed at once and captured later."""
        return self._create("manual", reference, amount, instrument, subject)

    def pay(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """A PaymentIntent that takes the money at once."""
        return self._create("automatic", reference, amount, instrument, subject)

    def _create(self, method: str, reference: str, amount: Money, instrument: Instrument, subject: str) -> Result:
        asked: Any = {
            "amount": to_minor(amount),
            "currency": amount.currency.lower(),
            "customer": instrument.customer_token,
            "payment_method": instrument.method_token,
            "payment_method_types": ["card"],
            "capture_method": method,
            "confirm": True,
            "off_session": True,
            "metadata": {REFERENCE: reference, SUBJECT: subject},
        }
        if self._incremental and method == "manual":
            asked["payment_method_options"] = {"card": {"request_incremental_authorization": "if_available"}}
        return held_or_declined(
            attempt(lambda: self._client.v1.payment_intents.create(asked, _once(reference)), self._payment)
        )

    def adjust(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Raises the hold where Stripe has marked it as one that can be raised; it sets a total, so a repeat is good.

        A decline leaves the hold as it was.
        """
        if not self._incremental:
            return Result(Outcome.REFUSED, Problem.CANNOT_RAISE, message="holds that can be raised are not asked for")
        raisable: list[bool] = []

        def look() -> Any:
            intent = self._retrieve(processor_reference)
            raisable.append(_can_be_raised(intent))
            return intent

        seen = attempt(look, self._payment)
        if seen.outcome is not Outcome.SUCCEEDED:
            return found(seen)
        if not raisable[0]:
            return Result(Outcome.REFUSED, Problem.CANNOT_RAISE, message="Stripe can't raise this hold")
        asked: Any = {"amount": to_minor(amount), "metadata": {REFERENCE: reference}}
        return attempt(
            lambda: self._client.v1.payment_intents.increment_authorization(
                processor_reference, asked, _once(reference)
            ),
            self._payment,
        )

    def capture(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Takes so much of the hold; Stripe frees the rest."""
        asked: Any = {"amount_to_capture": to_minor(amount)}
        return attempt(
            lambda: self._client.v1.payment_intents.capture(processor_reference, asked, _once(reference)), self._payment
        )

    def void(self, reference: str, processor_reference: str) -> Result:
        """Cancels the PaymentIntent, which ends its hold."""
        return attempt(
            lambda: self._client.v1.payment_intents.cancel(processor_reference, {}, _once(reference)), self._payment
        )

    def refund(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Gives back so much of a captured PaymentIntent."""
        asked: Any = {
            "payment_intent": processor_reference,
            "amount": to_minor(amount),
            "metadata": {REFERENCE: reference},
        }
        return attempt(lambda: self._client.v1.refunds.create(asked, _once(reference)), refunded=refund_of)

    def lookup(self, reference: str, instrument: Instrument) -> Result:
        """Looks through the customer's payments: Stripe's search would find a new one only after a minute."""

        def find() -> Any:
            asked = {"customer": instrument.customer_token} if self._filters else {}
            return _first(self._pages(self._client.v1.payment_intents, asked), reference)

        return found(attempt(find, self._payment))

    def look_at(self, processor_reference: str) -> Result:
        """Retrieves the PaymentIntent."""
        return attempt(lambda: self._retrieve(processor_reference), self._payment)

    def lookup_refund(self, reference: str, processor_reference: str) -> Result:
        """Looks through the payment's refunds."""

        def find() -> Any:
            return _first(self._pages(self._client.v1.refunds, {"payment_intent": processor_reference}), reference)

        return found(attempt(find, refunded=refund_of))

    def _retrieve(self, processor_reference: str) -> Any:
        return self._client.v1.payment_intents.retrieve(processor_reference, {"expand": ["latest_charge"]})

    def _pages(self, kind: Any, asked: Mapping[str, Any]) -> Iterator[Any]:
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = kind.list({"limit": PAGE, **asked, **after})
            yield from page.data
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}
        raise TooMany

    def _payment(self, intent: Any) -> Payment:
        payment = payment_of(intent)
        if payment.state is PaymentState.CAPTURED and field(intent, "amount_received") is None:
            return self._as_a_stand_in_tells(payment, intent)
        return payment

    def _as_a_stand_in_tells(self, payment: Payment, intent: Any) -> Payment:
        """localstripe has no `amount_received`; what was not captured of a hold it shows as a refund of nobody's."""
        refunds = self._pages(self._client.v1.refunds, {"payment_intent": payment.processor_reference})
        freed = sum(item.amount for item in refunds if not field(field(item, "metadata") or {}, REFERENCE))
        captured = from_minor(intent.amount - freed, payment.currency)
        return replace(payment, captured=captured)


def require_deliberate_key(config: Settings) -> str:
    """The key. Raises ConfigurationError where it is missing, or live without the setting that says so."""
    if config.stripe_secret_key is None:
        raise ConfigurationError("a store charges through Stripe; set BACKROOM_STRIPE_SECRET_KEY")
    key = config.stripe_secret_key.get_secret_value()
    if not key.startswith(("sk_", "rk_")):
        raise ConfigurationError("BACKROOM_STRIPE_SECRET_KEY is not a secret (sk_…) or restricted (rk_…) key")
    url = parsed(config.stripe_url)
    if "_test_" not in key[:8]:
        if not config.stripe_live:
            raise ConfigurationError(
                "BACKROOM_STRIPE_SECRET_KEY is a live key, and calls with it move real money; "
                "set BACKROOM_STRIPE_LIVE=true if that is meant"
            )
        if is_loopback(url.host):
            raise ConfigurationError("BACKROOM_STRIPE_URL is a stand-in on this machine; it gets no live key")
    if not is_loopback(url.host) and url.scheme != "https":
        raise ConfigurationError("BACKROOM_STRIPE_URL needs https")
    return key


def to_minor(money: Money) -> int:
    """Stripe counts in the currency's smallest unit."""
    return int(money.amount.scaleb(places(money.currency)))


def _first(items: Iterator[Any], reference: str) -> Any:
    for item in items:
        if field(field(item, "metadata") or {}, REFERENCE) == reference:
            return item
    raise Nothing


def _can_be_raised(intent: Any) -> bool:
    where: Any = intent
    for name in ("latest_charge", "payment_method_details", "card", "incremental_authorization", "status"):
        where = field(where, name) if not isinstance(where, str) else None
        if where is None:
            return False
    return bool(where == "available")


def _once(reference: str) -> Any:
    return {"idempotency_key": reference}
