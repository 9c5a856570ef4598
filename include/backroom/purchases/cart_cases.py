"""What a person is asked about a cart that can't simply be priced and charged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, Row, text

from backroom.purchases.cart import Cart, Owner
from backroom.purchases.pricing import Problem
from backroom.reviews.cases import open_case
from backroom.settings import settings

_NEWEST_CASE = text("""
    select case_id, decision, decided_by, decided_at from review_case
    where kind = 'BAD_CART' and subject = :trip order by case_id desc limit 1 for update
""")


def decided_case(connection: Connection, shopping_trip_id: str) -> Row | None:
    """The bad cart's case, where a person has decided it and the decision still waits to be acted on.

    Waits for who is deciding it at this moment; from then on nobody else can, until the transaction ends.
    """
    case = connection.execute(_NEWEST_CASE, {"trip": shopping_trip_id}).one_or_none()
    return case if case is not None and case.decision in ("price_again", "charge_nothing") else None


def ask_about_bad_cart(connection: Connection, cart: Cart, problems: Sequence[Problem]) -> None:
    """A line has no product, no price or no fitting unit: the cart is stored, not charged.

    The case is due `bad_cart_margin_hours` before the payment token ends: then the known lines are charged.
    """
    reasons = [f"line {problem.item.line_number}: {problem.reason}" for problem in problems]
    _ask(
        connection,
        cart,
        f"The cart of trip {cart.shopping_trip_id} can't be priced: {reasons[0]}. What is to be charged? "
        f"`backroom carts resolve {cart.shopping_trip_id}` says what its lines are.",
        reasons,
        price_again="priced with the catalog and price book as they are now, and charged",
        charge_nothing="nothing is charged; the pre-authorization is cancelled",
        when_overdue="the lines that have a price are charged; the others stay unbilled",
    )


def doubt_about_payer(owner: Owner) -> str:
    """What is wrong with an owner whom only the cart names, as one whose card does not pay."""
    return (
        f"it names {owner.shopper_id or 'nobody'} as {owner.shopper_type}, whom neither our gate nor our register knows"
    )


def ask_about_payer(connection: Connection, cart: Cart, doubt: str) -> None:
    """By the cart's own word alone no card would pay for it: it is stored, and nothing happens until a person says.

    The case is that of a bad cart, and goes its ways (`ask_about_bad_cart`).
    """
    _ask(
        connection,
        cart,
        f"Who pays for the cart of trip {cart.shopping_trip_id}? {doubt[0].upper()}{doubt[1:]}.",
        [doubt],
        price_again="priced and charged, as any other shopper's",
        charge_nothing="they are one of ours, or have paid in the store: the pre-authorization is cancelled",
        when_overdue="it is charged, as any other shopper's",
    )


def _ask(
    connection: Connection,
    cart: Cart,
    question: str,
    problems: Sequence[str],
    *,
    price_again: str,
    charge_nothing: str,
    when_overdue: str,
) -> None:
    """A bad cart's case: what is chosen and what follows. It is due while the trip's card still can be charged."""
    config = settings()
    open_case(
        connection,
        kind="BAD_CART",
        subject=cart.shopping_trip_id,
        store_id=cart.store_id,
        asked_by="purchases",
        question=question,
        known={"problems": list(problems), "lines": len(cart.items), "trip_ended_at": cart.ended_at.isoformat()},
        choices=[("price_again", price_again), ("charge_nothing", charge_nothing)],
        now=cart.ended_at,
        due_at=cart.started_at + timedelta(hours=config.token_life_hours - config.bad_cart_margin_hours),
        when_overdue=when_overdue,
    )


def ask_about_unpayable_trip(connection: Connection, cart: Cart) -> None:
    """The payment service would refuse the trip's id, so that there is nothing to charge or cancel."""
    open_case(
        connection,
        kind="NOT_CHARGEABLE",
        subject=cart.shopping_trip_id,
        store_id=cart.store_id,
        asked_by="purchases",
        question="The payment service takes letters, digits, - and _ in a trip's id; this one has others. "
        "Ask Amazon about the trip.",
        known={"lines": len(cart.items), "trip_ended_at": cart.ended_at.isoformat()},
        choices=[("seen", "nothing is charged here; what Amazon does about it is settled with Amazon")],
        now=cart.ended_at,
    )


def ask_about_another_cart(connection: Connection, cart: Cart, raw_body: str) -> None:
    """A trip that is recorded came again with other contents; the second body is kept with the question."""
    open_case(
        connection,
        kind="DIFFERENT_CART",
        subject=cart.shopping_trip_id,
        store_id=cart.store_id,
        asked_by="purchases",
        question=f"Trip {cart.shopping_trip_id} came again with another cart. The first stands; is it the right one?",
        known={"second_body": json.loads(raw_body)},
        choices=[("keep_first", "nothing changes: the first cart stands")],
        now=cart.ended_at,
    )
