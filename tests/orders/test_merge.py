"""The outcome of merging depends on what the files say, never on the order in which they come."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from backroom.feeds.judging import judge
from backroom.feeds.staging import prepare, stage
from backroom.orders.merge import Merged, merge
from tests.feeds.conftest import STORE, as_csv, order

START = datetime(2026, 3, 1, 15, tzinfo=UTC)


@dataclass(frozen=True)
class File:
    """One file: its window's number, its sequencer, and its rows."""

    window: int
    sequencer: str
    rows: tuple[tuple[str, int, int, int, int], ...]  # order, line, price, minute of updatedAt, total

    @property
    def content(self) -> bytes:
        """As CSV."""
        rows = []
        for order_id, line, price, minute, total in self.rows:
            updated = f"{START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
            rows += order(order_id, (str(price), "0"), total=str(total), updatedAt=updated, lineNumber=str(line))
        return as_csv(rows)


@pytest.fixture(scope="module")
def shop(database: Engine) -> Engine:
    """One store."""
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values (:store, 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50, '{FILES}')"
            ),
            {"store": STORE},
        )
    return database


def bring_in(engine: Engine, files: Sequence[File]) -> list[Merged]:
    """Into empty tables, in that order."""
    merged = []
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text("truncate amazon_order, amazon_order_line"))
            prepare(connection)
        for number, file in enumerate(files, start=1):
            with connection.begin():
                stage(connection, io.BytesIO(file.content), store_id=STORE, currency="USD")
                assert judge(connection, file_id=number, store_id=STORE, currency="USD", keep=False) == 0
                merged.append(
                    merge(
                        connection,
                        file_id=number,
                        window_end=START + timedelta(minutes=15 * file.window),
                        sequencer=file.sequencer,
                        time_zone="UTC",
                    )
                )
    return merged


def state(engine: Engine) -> list[tuple[Any, ...]]:
    """Orders and their lines."""
    with engine.connect() as connection:
        orders = connection.execute(
            text(
                "select order_id, order_total, updated_at, window_end, sequencer, incomplete from amazon_order"
                " order by 1"
            )
        ).all()
        lines = connection.execute(
            text(
                "select order_id, line_number, price, updated_at, window_end, dropped from amazon_order_line"
                " order by 1, 2"
            )
        ).all()
    return [tuple(row) for row in (*orders, *lines)]


rows = st.tuples(
    st.sampled_from(["o-1", "o-2"]), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 6)
)
files = st.lists(
    st.builds(File, st.integers(0, 2), st.just(""), st.lists(rows, min_size=1, max_size=5).map(tuple)),
    min_size=2,
    max_size=5,
).map(lambda made: [File(file.window, f"{number:04d}", file.rows) for number, file in enumerate(made)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_the_same(shop: Engine, made: list[File], random: Random) -> None:
    bring_in(shop, made)
    expected = state(shop)
    shuffled = list(made)
    random.shuffle(shuffled)
    bring_in(shop, [*shuffled, *shuffled[:2]])  # and some of them twice
    assert state(shop) == expected


def test_counts_tell_new_and_newer_rows_from_older_ones(shop: Engine) -> None:
    newer = File(2, "b", (("o-1", 1, 5, 2, 5),))
    older = File(1, "a", (("o-1", 1, 4, 1, 4), ("o-2", 1, 1, 1, 1)))
    assert bring_in(shop, [newer, older, older]) == [Merged(1, 0), Merged(1, 1), Merged(0, 2)]


def test_a_dropped_line_comes_back_with_a_later_version(shop: Engine) -> None:
    both = (("o-1", 1, 5, 0, 7), ("o-1", 2, 2, 0, 7))
    one = (("o-1", 1, 5, 1, 5),)
    again = (("o-1", 1, 5, 2, 7), ("o-1", 2, 2, 2, 7))
    bring_in(shop, [File(0, "a", both), File(1, "b", one)])
    assert [row[-1] for row in state(shop)[1:]] == [False, True]
    bring_in(shop, [File(0, "a", both), File(1, "b", one), File(2, "c", again)])
    assert [row[-1] for row in state(shop)[1:]] == [False, False]


def test_an_order_whose_lines_never_add_up_is_incomplete_and_keeps_them_all(shop: Engine) -> None:
    bring_in(shop, [File(0, "a", (("o-1", 1, 5, 0, 9), ("o-1", 2, 2, 0, 9)))])
    assert [row[-1] for row in state(shop)] == [True, False, False]
