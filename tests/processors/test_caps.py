"""The card networks' limits on tries: as rules, and shared by any number of tries at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from backroom.db.engine import make_engine
from backroom.money import Money
from backroom.processors.calls import Calls
from backroom.processors.caps import Limit, Tries, capped_by, limits_of
from backroom.processors.port import Problem
from tests.processors.conftest import DECLINED, NOON, Shop, hours

AT_ONCE = 16
TEN = Money.of("10", "USD")


@pytest.mark.parametrize(
    ("brand", "tries", "limit"),
    [
        ("VISA", Tries(0, 19, 19), None),
        ("VISA", Tries(0, 20, 0), Limit("VISA", 20, timedelta(days=30))),
        ("visa", Tries(0, 20, 0), Limit("VISA", 20, timedelta(days=30))),
        ("MASTERCARD", Tries(9, 60, 34), None),
        ("MASTERCARD", Tries(10, 10, 0), Limit("MASTERCARD", 10, timedelta(days=1))),
        ("MASTERCARD", Tries(0, 60, 35), Limit("MASTERCARD", 35, timedelta(days=30), of_one_amount=True)),
        ("UNHEARD OF", Tries(10, 10, 0), Limit("MASTERCARD", 10, timedelta(days=1))),
        ("UNHEARD OF", Tries(0, 20, 0), Limit("VISA", 20, timedelta(days=30))),
    ],
)
def test_the_networks_limits(brand: str, tries: Tries, limit: Limit | None) -> None:
    assert capped_by(brand, tries, below=0) == limit


def test_ours_stay_below_them_and_an_unknown_brand_has_all() -> None:
    assert capped_by("VISA", Tries(0, 18, 0), below=2) is not None
    assert capped_by("VISA", Tries(0, 17, 0), below=2) is None
    assert len(limits_of("UNHEARD OF")) == 3


@pytest.fixture
def connections(database: Engine) -> Iterator[Engine]:
    made = make_engine(database.url, pool_size=AT_ONCE)
    yield made
    made.dispose()


def test_tries_at_once_share_the_limit_over_every_name_of_one_card(sandbox_shop: Shop, connections: Engine) -> None:
    shop = sandbox_shop
    card = shop.card(DECLINED, brand="MASTERCARD")
    calls = Calls(connections, shop.processor, now=NOON)
    ready = threading.Barrier(AT_ONCE)

    def try_the_card(number: int) -> Problem | None:
        ready.wait()
        return calls.authorize(f"{shop.store_id} {number}", TEN, card).problem

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = Counter(pool.map(try_the_card, range(AT_ONCE)))
    assert ended == {Problem.DECLINED: 9, Problem.CAPPED: 7}, "one below Mastercard's ten in a day"
    assert len(shop.books()["payments"]) == 9, "what is capped is never sent"
    asked = shop.rows("select distinct kind from review_case where subject like :s", s=f"{shop.store_id}%")
    assert [row["kind"] for row in asked] == ["CARD_TRIES_CAPPED"]


def test_a_day_later_the_card_is_tried_again_until_the_month_is_full(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    card = shop.card(DECLINED, brand="VISA")
    problems = [
        shop.calls(NOON + hours(25 * day)).authorize(f"{shop.store_id} {day}", TEN, card).problem for day in range(21)
    ]
    assert problems == [Problem.DECLINED] * 19 + [Problem.CAPPED] * 2
    month_later = shop.calls(NOON + timedelta(days=31))
    assert month_later.authorize(f"{shop.store_id} later", TEN, card).is_no(Problem.DECLINED)


def test_what_is_approved_counts_for_nothing(sandbox_shop: Shop) -> None:
    card = sandbox_shop.card(brand="MASTERCARD")
    for number in range(12):
        held = sandbox_shop.calls().authorize(f"{sandbox_shop.store_id} {number}", TEN, card)
        assert held.payment is not None
        assert held.payment.held == Decimal(10)
