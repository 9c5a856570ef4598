"""A cart priced by the store's own point of sale, over HTTP: `POST {point_of_sale_url}/cart-price`.

Must be called outside of any database transaction. Where no good answer comes in time, the price book prices the cart
(`priced_by` PRICE_BOOK_FALLBACK). Asking again for the same trip is harmless: its id goes along as the idempotency key.
No card, token or name of a shopper is sent. docs/prices.md describes request and answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import orjson
import structlog
from sqlalchemy import Engine

from backroom.alerts import raise_alert
from backroom.clock import Clock
from backroom.db.serving import transaction
from backroom.purchases.cart import Cart, Owner
from backroom.purchases.cart_facts import CartFacts
from backroom.purchases.circuit import Circuit, CircuitOpen
from backroom.purchases.point_of_sale_answer import WrongAnswer, read_answer
from backroom.purchases.point_of_sale_client import NoAnswer, Patience, ask, make_client
from backroom.purchases.pricing import PricedCart, Problem
from backroom.settings import Settings

Alert = Callable[[str, str, datetime], None]
"""Tells people that a store's point of sale is left alone: store id, the last failure, when."""

log = structlog.get_logger("point_of_sale")


@dataclass(frozen=True)
class PricingStore:
    """A store that prices by its point of sale. `url` is the base URL, `currency` an ISO 4217 code."""

    store_id: str
    currency: str
    url: str


@dataclass(frozen=True)
class PricedByPointOfSale:
    """The price; every line of it holds to the cent."""

    cart: PricedCart


@dataclass(frozen=True)
class Problems:
    """Lines that the point of sale does not know: a bad cart."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Unavailable:
    """No good answer in time; the price book counts. `reason` is for the log."""

    reason: str


def price(
    cart: Cart,
    *,
    store: PricingStore,
    client: httpx.Client,
    breaker: Circuit,
    patience: Patience,
    shopper_type: str | None = None,
) -> PricedByPointOfSale | Problems | Unavailable:
    """Asks within `patience.total` seconds; a wrong answer is a failure, as none is. Raises nothing of its own."""
    content = request_of(cart, store, shopper_type)

    def asked() -> PricedCart | list[Problem]:
        body = ask(client, f"{store.url.rstrip('/')}/cart-price", content, key=cart.shopping_trip_id, patience=patience)
        return read_answer(body, cart, store.currency)

    try:
        answer = breaker.call(asked)
    except (CircuitOpen, NoAnswer, WrongAnswer) as error:
        return Unavailable(str(error))
    return PricedByPointOfSale(answer) if isinstance(answer, PricedCart) else Problems(tuple(answer))


def request_of(cart: Cart, store: PricingStore, shopper_type: str | None) -> bytes:
    """The request's body; quantities are text, exactly as large as they came."""
    return orjson.dumps(
        {
            "shoppingTripId": cart.shopping_trip_id,
            "storeId": cart.store_id,
            "endTime": cart.ended_at.isoformat().replace("+00:00", "Z"),
            "currency": store.currency,
            "shopperType": shopper_type,
            "loyaltyIds": list(cart.loyalty_ids),
            "lines": [
                {
                    "line": item.line_number,
                    "type": item.item_type,
                    "id": item.item_id,
                    "quantity": f"{item.quantity:f}",
                    "unit": item.unit,
                }
                for item in cart.items
            ],
        }
    )


@dataclass
class PointsOfSale:
    """One per process: the connections and each store's breaker. What `record_purchase` calls as `price_elsewhere`."""

    client: httpx.Client
    patience: Patience
    failures: int
    reset_seconds: float
    alert: Alert
    clock: Clock
    _circuits: dict[str, Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, config: Settings, *, alert: Alert, clock: Clock) -> PointsOfSale:
        """By the settings. Nothing is connected yet."""
        return cls(
            make_client(config),
            Patience.of(config),
            config.point_of_sale_failures,
            config.point_of_sale_reset_seconds,
            alert,
            clock,
        )

    def __call__(self, cart: Cart, facts: CartFacts, owner: Owner) -> PricedCart | list[Problem] | None:
        """The price, or what the point of sale does not know of the cart; None: the price book is to price it."""
        if facts.currency is None or facts.point_of_sale_url is None:
            return None
        answer = price(
            cart,
            store=PricingStore(cart.store_id, facts.currency, facts.point_of_sale_url),
            client=self.client,
            breaker=self.circuit(cart.store_id),
            patience=self.patience,
            shopper_type=owner.shopper_type,
        )
        if isinstance(answer, Unavailable):
            log.warning(
                "priced_by_the_book", store_id=cart.store_id, trip_id=cart.shopping_trip_id, reason=answer.reason
            )
            return None
        return answer.cart if isinstance(answer, PricedByPointOfSale) else list(answer.problems)

    def circuit(self, store_id: str) -> Circuit:
        """The store's breaker, made at its first cart."""
        with self._lock:
            if store_id not in self._circuits:
                self._circuits[store_id] = Circuit(
                    store_id,
                    failures=self.failures,
                    reset_seconds=self.reset_seconds,
                    tell=lambda state, reason: self._changed(store_id, state, reason),
                )
            return self._circuits[store_id]

    def close(self) -> None:
        """Ends the connections."""
        self.client.close()

    def _changed(self, store_id: str, state: str, reason: str) -> None:
        log.warning("point_of_sale", store_id=store_id, circuit=state, reason=reason)
        if state != "open":
            return
        try:
            self.alert(store_id, reason, self.clock())
        except Exception:  # an alert that can't be raised must not cost a cart
            log.exception("alert_not_raised", store_id=store_id)


def alert_in(database: Engine) -> Alert:
    """Raises the alert in that database, in a transaction of its own: once a day and store, counted."""

    def alert(store_id: str, reason: str, now: datetime) -> None:
        with transaction(database) as connection:
            raise_alert(
                connection,
                key=f"point-of-sale:{store_id}:{now.date()}",
                severity="critical",
                title=f"The point of sale of {store_id} does not price carts, the price book does: {reason}",
                what_to_do="have the point of sale looked at; carts are sold at the price book's prices meanwhile "
                "(purchase.priced_by is PRICE_BOOK_FALLBACK)",
                now=now,
                store_id=store_id,
            )

    return alert
