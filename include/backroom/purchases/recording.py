"""Records a finished cart: what it costs, whose it is, and that it is stored once. Idempotent by its trip.

Nearly every cart is priced from the shelf in memory and stored at once, together with others that come at the same
moment; the statement that stores it makes sure that nothing speaks against it. Any other (a copy, an item that is not
known, a store that another prices, …) is looked up first. A copy of the call waits for the first and repeats its
answer; another cart under the same trip gets that answer too, and a person is asked. Source: inbound.md, 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog
from psycopg import Error as DriverError
from sqlalchemy import Connection, Engine

from backroom.db.serving import is_lost, transaction
from backroom.db.together import Together
from backroom.purchases.cart import Cart, Owner, owner_of
from backroom.purchases.cart_cases import (
    ask_about_another_cart,
    ask_about_bad_cart,
    ask_about_payer,
    ask_about_unpayable_trip,
    doubt_about_payer,
)
from backroom.purchases.cart_facts import CartFacts, look_up
from backroom.purchases.loyalty_cards import kept_body
from backroom.purchases.payer_proof import known_payer
from backroom.purchases.pricing import PricedCart, Problem, price_cart
from backroom.purchases.shelf import Shelves
from backroom.purchases.storing import Purchase, state_of, store

log = structlog.get_logger("purchases")

REPEATS = frozenset({"REPEATED", "DIFFERENT_CART"})


class UnknownStore(LookupError):
    """The call names a store that is not one of ours."""


class PriceElsewhere(Protocol):
    """Asks whoever prices the store's carts, outside of any transaction."""

    def __call__(self, cart: Cart, facts: CartFacts, owner: Owner) -> PricedCart | list[Problem] | None:
        """The price or what stands in its way; None where no good answer came: then the price book counts."""


@dataclass(frozen=True)
class Recorded:
    """The exact body of the 201, and what became of the cart (for the log)."""

    body: bytes
    outcome: str


@dataclass(slots=True)
class Taken:
    """A cart on its way: how it is read, then what was read, its price from the shelf, and whether that was stored."""

    read: Callable[[], tuple[Cart, str]]
    now: datetime
    new_id: Callable[[], str]
    cart: Cart | None = None
    raw_body: str = ""
    purchase: Purchase | None = None
    stored: bool = False
    error: Exception | None = None

    @property
    def read_cart(self) -> Cart:
        """The cart. Raises ValueError before it was read."""
        if self.cart is None:
            raise ValueError("the cart was not read yet")
        return self.cart


class Recorder:
    """Records the carts of a process that serves them: keeps the shelves, and works on several carts together."""

    def __init__(
        self, engine: Engine, *, price_elsewhere: PriceElsewhere | None = None, most: int = 16, seconds: float = 5.0
    ) -> None:
        """`most` carts are stored by one statement; one waits `seconds` for its turn."""
        self._engine = engine
        self._price_elsewhere = price_elsewhere
        self._shelves = Shelves()
        self._together = Together(self._work, most=most, seconds=seconds)

    def record(self, cart: Cart, raw_body: str, *, now: datetime, new_id: Callable[[], str]) -> Recorded:
        """As `record_purchase`, which it falls back to. Raises UnknownStore, TookTooLong and the driver's errors."""
        return self.settle(self.take(lambda: (cart, raw_body), now=now, new_id=new_id))

    def take(self, read: Callable[[], tuple[Cart, str]], *, now: datetime, new_id: Callable[[], str]) -> Taken:
        """Reads the cart (and the JSON text that is kept of it), and stores it where the shelf has its price.

        Carts that come at the same moment are read and priced one after the other by one thread, which costs half of
        what it does in turns. Raises what `read` raises, TookTooLong and the driver's errors.
        """
        taken = Taken(read, now, new_id)
        self._together.run(taken)
        if taken.error is not None:
            raise taken.error
        return taken

    def settle(self, taken: Taken) -> Recorded:
        """What became of a cart that was taken; one that was not stored is looked at by itself. Raises UnknownStore."""
        cart, purchase = taken.read_cart, taken.purchase
        if purchase is not None and taken.stored:
            return Recorded(purchase.answer.encode(), purchase.state)
        recorded = record_purchase(
            self._engine,
            cart,
            taken.raw_body,
            now=taken.now,
            new_id=taken.new_id,
            price_elsewhere=self._price_elsewhere,
        )
        if purchase is not None and recorded.outcome not in REPEATS:
            self._shelves.drop(cart.store_id, purchase.shelf_version)  # it may be what spoke against the cart
        return recorded

    def _work(self, carts: Sequence[Taken]) -> Sequence[None]:
        for taken in carts:
            try:
                taken.cart, taken.raw_body = taken.read()
                taken.purchase = self._from_the_shelf(taken.cart, taken.raw_body, taken.now, taken.new_id)
            except Exception as error:  # noqa: BLE001 - it is this cart's alone: its own thread raises it
                taken.error = error
        priced = [(taken, taken.purchase) for taken in carts if taken.purchase is not None]
        if priced:
            for (taken, _), stored in zip(priced, self._store([purchase for _, purchase in priced]), strict=True):
                taken.stored = stored
        return [None] * len(carts)

    def _from_the_shelf(self, cart: Cart, raw_body: str, now: datetime, new_id: Callable[[], str]) -> Purchase | None:
        """The cart with its price from memory; None where it needs a closer look."""
        owner = owner_of(cart, {})
        doubtful = owner.entry_method == "APP" and (
            None in (owner.shopper_id, owner.shopper_type) or not owner.pays_by_card
        )
        if not cart.items or not cart.payable or doubtful:
            return None
        shelf = self._shelves.of(self._engine, cart)
        if shelf is None or shelf.pricing_provider != "PRICE_BOOK":
            return None
        products = shelf.products(cart)
        promotions = shelf.promotions(cart, loyalty_possible=bool(cart.loyalty_ids or owner.shopper_id))
        if products is None or promotions is None:
            return None
        priced = price_cart(
            cart.items, products, promotions, shelf.currency, prices_include_tax=shelf.prices_include_tax
        )
        if isinstance(priced, list):
            return None
        return Purchase(
            cart,
            owner,
            products,
            priced,
            "PRICE_BOOK",
            shelf.currency,
            shelf.time_zone,
            state_of(cart, owner, priced),
            new_id(),
            kept_body(cart, raw_body),
            now,
            shelf.version,
        )

    def _store(self, purchases: Sequence[Purchase]) -> list[bool]:
        """Whether each was stored. Of copies the first goes; where the statement fails, each is looked at by itself."""
        firsts = {purchase.cart.shopping_trip_id: purchase for purchase in reversed(purchases)}
        try:
            # in one order everywhere, so that two processes with the same trips do not wait for each other
            stored = store(self._engine, [firsts[trip_id] for trip_id in sorted(firsts)])
        except DriverError as error:
            if is_lost(error):
                raise
            log.warning("carts are stored one by one", carts=len(purchases), error=type(error).__name__)
            stored = set()
        return [
            purchase.cart.shopping_trip_id in stored and firsts[purchase.cart.shopping_trip_id] is purchase
            for purchase in purchases
        ]


def record_purchase(
    database: Engine | Connection,
    cart: Cart,
    raw_body: str,
    *,
    now: datetime,
    new_id: Callable[[], str],
    price_elsewhere: PriceElsewhere | None = None,
) -> Recorded:
    """Records the cart or repeats the answer that it got. `raw_body` is the call's JSON text, `now` when it came.

    On an Engine it commits by itself; on a Connection it is part of that transaction. The charge and the cases are
    opened as of the trip's end, which is business time. Raises UnknownStore.
    """
    facts = look_up(database, cart)
    if facts.body_hash is not None:
        return _repeat(database, cart, raw_body, facts)
    if facts.currency is None:
        raise UnknownStore(cart.store_id)
    claimed = owner_of(cart, facts.gate)
    known = known_payer(database, claimed)
    owner = known or replace(claimed, shopper_type=None)
    priced, priced_by = _price(cart, facts, owner, price_elsewhere)
    doubt = "" if known or not cart.items else doubt_about_payer(claimed)
    if doubt:  # a person says first whether a card is to pay
        priced = [Problem(cart.items[0], doubt), *(priced if isinstance(priced, list) else ())]
    purchase = Purchase(
        cart,
        owner,
        facts.products,
        priced,
        priced_by,
        facts.currency,
        facts.time_zone,
        state_of(cart, owner, priced),
        new_id(),
        kept_body(cart, raw_body),
        now,
    )
    if _store_and_ask(database, purchase, doubt):
        return Recorded(purchase.answer.encode(), purchase.state)
    return _repeat(database, cart, raw_body, look_up(database, cart))


def _price(
    cart: Cart, facts: CartFacts, owner: Owner, price_elsewhere: PriceElsewhere | None
) -> tuple[PricedCart | list[Problem], str]:
    if facts.pricing_provider == "POINT_OF_SALE" and cart.items:
        priced = price_elsewhere(cart, facts, owner) if price_elsewhere else None
        if priced is not None:
            return priced, "POINT_OF_SALE"
    by_book = price_cart(
        cart.items,
        facts.products,
        facts.promotions(cart, owner.shopper_id),
        facts.currency or "",
        prices_include_tax=facts.prices_include_tax,
    )
    return by_book, "PRICE_BOOK" if facts.pricing_provider == "PRICE_BOOK" else "PRICE_BOOK_FALLBACK"


def _store_and_ask(database: Engine | Connection, purchase: Purchase, doubt: str) -> bool:
    """False where a copy of the call has stored the trip already. A question goes in with the cart it is about."""
    if purchase.state not in ("NOT_CHARGEABLE", "BAD_CART"):
        return bool(store(database, [purchase]))
    if isinstance(database, Engine):
        with transaction(database) as connection:
            return _store_and_ask(connection, purchase, doubt)
    if not store(database, [purchase]):
        return False
    if purchase.state == "NOT_CHARGEABLE":
        ask_about_unpayable_trip(database, purchase.cart)
    elif doubt:
        ask_about_payer(database, purchase.cart, doubt)
    elif isinstance(purchase.priced, list):
        ask_about_bad_cart(database, purchase.cart, purchase.priced)
    return True


def _repeat(database: Engine | Connection, cart: Cart, raw_body: str, facts: CartFacts) -> Recorded:
    if facts.body_hash == cart.meaning():
        return Recorded(facts.response_body, "REPEATED")
    if isinstance(database, Engine):
        with transaction(database) as connection:
            ask_about_another_cart(connection, cart, kept_body(cart, raw_body))
    else:
        ask_about_another_cart(database, cart, kept_body(cart, raw_body))
    return Recorded(facts.response_body, "DIFFERENT_CART")
