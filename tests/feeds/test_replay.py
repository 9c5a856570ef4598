"""What was set aside comes in later; a day is rebuilt from our copies; late data releases a day again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.clock import business_day_bounds
from backroom.feeds import agreement, dead_letters, events, mending
from backroom.feeds.aws import Aws
from backroom.feeds.replay import NotReplayable, replay_day, retry, retryable
from backroom.feeds.watching import watch_gaps, watch_orders
from backroom.orders.landing import key_of, land_changed_days
from tests.feeds.conftest import NOW, STORE, Amazon, as_csv, order
from tests.feeds.test_bad_input import receive_at_once
from tests.feeds.test_completeness import DAY, HOUR, ZONE, cover, release, releases, windows
from tests.feeds.test_events import event
from tests.feeds.test_intraday import ask, take_in

_, END = business_day_bounds(DAY, ZONE)


def add_store(engine: Engine, store: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values (:store, 'A', 'acme', 'America/New_York', 'USD', 'NY', 'NONE',"
                " 75, '{FILES}')"
            ),
            {"store": store},
        )


def set_aside(engine: Engine, store_id: str = "") -> list[int]:
    with engine.connect() as connection:
        return retryable(connection, store_id=store_id)


def test_a_file_of_a_new_store_comes_in_by_a_retry_after_the_store_was_added(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    amazon.write(as_csv(order(storeId="STORE-777")), store="STORE-777")
    assert take_in(clean, aws)[0].state == "FAILED"
    add_store(clean, "STORE-777")
    (file_id,) = set_aside(clean, "STORE-777")
    with clean.begin() as connection:
        mending.ask_retry(connection, file_id, by="olga", reason="the store was added", now=NOW)
    (result,) = mending.retry_asked(clean, aws, now=NOW)
    assert (result.state, result.rows_applied) == ("INGESTED", 2)
    assert mending.retry_asked(clean, aws, now=NOW) == []  # what was done is not wanted any more
    assert ask(clean, "select store_id, order_total from amazon_order") == [("STORE-777", Decimal("8.1000"))]
    assert set_aside(clean) == []


def test_a_retried_row_obeys_the_versions_and_what_still_breaks_a_rule_waits_on(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    amazon.write(
        as_csv(order("o-1", ("5.00", "0.00"), currency="EUR") + order("o-2", ("1.00", "0.00"), priceValue="x")),
        "20260301_1515",
    )
    take_in(clean, aws)
    newer = order("o-1", ("6.00", "0.00"), updatedAt="2026-03-01T15:40:00Z", currency="EUR")
    with clean.begin() as connection:
        connection.execute(text("update store set currency = 'EUR'"))
    amazon.write(as_csv(newer), "20260301_1545")
    take_in(clean, aws)
    (result,) = retry(clean, aws, file_ids=set_aside(clean), now=NOW)
    assert (result.rows_applied, result.rows_stale, result.rows_quarantined) == (0, 1, 1)
    assert ask(clean, "select order_total from amazon_order") == [(Decimal("6.0000"),)]
    assert ask(clean, "select line, state from feed_quarantine order by 1") == [(2, "RETRIED"), (3, "WAITING")]
    with clean.begin() as connection:
        mending.dismiss(connection, result.file_id, 3, by="olga", reason="Amazon's test row", now=NOW)
    retry(clean, aws, file_ids=[result.file_id], now=NOW)  # what a person has dismissed stays so
    assert ask(clean, "select line, state from feed_quarantine order by 1") == [(2, "RETRIED"), (3, "DISMISSED")]


def rows_of(engine: Engine) -> list[tuple[Any, ...]]:
    return ask(engine, "select * from amazon_order order by order_id") + ask(
        engine, "select * from amazon_order_line order by order_id, line_number"
    )


def test_a_replay_of_a_day_gives_the_same_rows_and_mends_what_was_spoilt(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    amazon.write(
        as_csv(order("o-1", ("5.00", "0.40"), ("2.50", "0.20")) + order("o-3", currency="EUR")), "20260301_1515"
    )
    newer = order("o-1", ("5.00", "0.40"), updatedAt="2026-03-01T15:40:00Z", orderStatus="SETTLED")
    other_day = order("o-2", tripEndTime="2026-03-02T15:00:00Z", updatedAt="2026-03-02T15:01:00Z")
    amazon.write(as_csv(newer + other_day), "20260301_1545")
    take_in(clean, aws)
    before = rows_of(clean)
    assert replay_day(clean, aws, store_id=STORE, business_date=DAY).same
    assert rows_of(clean) == before
    with clean.begin() as connection:
        connection.execute(text("update amazon_order set captured = 99 where order_id = 'o-1'"))
    result = replay_day(clean, aws, store_id=STORE, business_date=DAY)
    assert (result.files, result.orders, result.lines, result.same) == (2, 1, 2, False)
    assert rows_of(clean) == before


def test_a_day_without_copies_is_not_touched_by_a_replay(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    with pytest.raises(NotReplayable, match="no file"):
        replay_day(clean, aws, store_id=STORE, business_date=DAY)
    amazon.write(as_csv(order()))
    take_in(clean, aws)
    before = rows_of(clean)
    with clean.begin() as connection:
        connection.execute(text("update feed_file set copy_key = null"))
    with pytest.raises(NotReplayable, match="there is no copy"):
        replay_day(clean, aws, store_id=STORE, business_date=DAY)
    assert rows_of(clean) == before


def test_late_data_releases_a_released_day_again_as_a_correction_and_repeats_do_not(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    amazon.write(as_csv(order()), f"{needed[-1]:%Y%m%d_%H%M}")
    cover(clean, needed[:-1])
    take_in(clean, aws)
    assert release(clean, END + 2 * HOUR) == [(STORE, DAY)]
    amazon.write(as_csv(order()), f"{END + 2 * HOUR:%Y%m%d_%H%M}")  # the windows overlap: the same order once more
    take_in(clean, aws)
    assert release(clean, END + 3 * HOUR) == []
    amazon.write(
        as_csv(order(orderStatus="SETTLED", updatedAt="2026-03-02T08:00:00Z")), f"{END + 3 * HOUR:%Y%m%d_%H%M}"
    )
    take_in(clean, aws)
    assert release(clean, END + 4 * HOUR) == [(STORE, DAY)]
    assert release(clean, END + 5 * HOUR) == []
    assert releases(clean) == [(DAY, 1, True, 0), (DAY, 2, True, 0)]
    assert ask(clean, "select correction from day_release order by revision") == [(False,), (True,)]


def test_an_unsound_day_is_held_in_every_run_and_the_others_are_released(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed)
    amazon.write(as_csv(order("o-1", shoppingTripId="t-1") + order("o-2", shoppingTripId="t-1")), "20260301_1515")
    take_in(clean, aws)
    with clean.begin() as connection:  # a trip in two orders is for reconciliation to name; a row that is lost is not
        connection.execute(text("update feed_file set rows_read = rows_read + 1 where rows_read > 0"))
    cover(clean, windows(DAY + timedelta(days=1), ZONE, margin=HOUR)[4:])
    later = END + timedelta(days=1, hours=2)
    assert release(clean, later) == [(STORE, DAY + timedelta(days=1))]
    assert release(clean, later) == []
    assert ask(clean, "select deduplication_key from alert") == [(f"feeds:held:{STORE}:{DAY}",)]
    with clean.begin() as connection:
        connection.execute(text("update feed_file set rows_read = rows_read - 1 where rows_read > 0"))
    assert release(clean, later) == [(STORE, DAY)]


def test_an_overdue_window_alerts_after_the_delay(clean: Engine) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, [*needed[:10], *needed[11:20]])
    with clean.begin() as connection:
        assert watch_gaps(connection, now=needed[10] + timedelta(minutes=59)) == 0
        assert watch_gaps(connection, now=needed[10] + timedelta(minutes=60)) == 1
    assert ask(clean, "select deduplication_key, store_id from alert") == [(f"feeds:gap:{STORE}:{DAY}", STORE)]


def test_a_trip_of_amazons_without_a_purchase_alerts_within_the_hour(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order("o-1")))
    take_in(clean, aws)
    amazon.send(event("e-1", "CART", None, shoppingTripId="trip-9"), aws.events_queue)
    events.drain(clean, aws, now=NOW)
    ended = NOW.replace(day=1, hour=15, minute=10)
    with clean.begin() as connection:
        assert watch_orders(connection, now=ended.replace(hour=10, minute=29)) == 0
        assert watch_orders(connection, now=ended + timedelta(minutes=30)) == 2
    assert ask(clean, "select severity, subject from alert") == [("critical", "trip-9")]


def test_where_both_feeds_run_their_disagreements_are_shown(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order("o-1") + order("o-2") + order("o-3", capturedAmount="8.10")))
    take_in(clean, aws)

    def cart(number: int, price: str) -> str:
        items = [{"priceValue": price, "taxValue": "0.60"}]
        return event(f"c-{number}", "CART", None, shoppingTripId=f"trip-o-{number}", items=items)

    captured = event("p-3", shoppingTripId="trip-o-3", amount={"amount": 8.0, "code": "USD"})
    for body in (cart(1, "7.50"), cart(2, "7.00"), cart(3, "7.50"), cart(4, "1.00"), captured):
        amazon.send(body, aws.events_queue)
    events.drain(clean, aws, now=NOW)
    with clean.connect() as connection:
        rows = agreement.disagreements(connection, store_id=STORE, business_date=DAY, zone=ZONE)
    assert [(row.shopping_trip_id, row.difference) for row in rows] == [
        ("trip-o-2", "TOTAL"), ("trip-o-3", "CAPTURED"), ("trip-o-4", "NOT_IN_FILES"),
    ]  # fmt: skip


def test_an_event_that_fails_too_often_becomes_a_dead_letter_and_comes_in_by_a_replay(
    clean: Engine, aws: Aws, amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_at_once(aws)
    body = json.dumps({**json.loads(event("e-1")), "note": "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=secret"})
    amazon.send(body, aws.events_queue)

    def fail(*_: object) -> None:
        raise RuntimeError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(events, "_keep", fail)
        for _ in range(5):
            with pytest.raises(RuntimeError, match="is gone"):
                events.drain(clean, aws, now=NOW)
    assert events.drain(clean, aws, now=NOW) == events.Counts()
    (letter,) = dead_letters.look(aws, aws.events_queue)
    assert letter.reason is None
    assert "secret" not in letter.body
    assert dead_letters.replay(aws, aws.events_queue) == 1
    assert events.drain(clean, aws, now=NOW).new == 1
    assert amazon.waiting("backroom-events-dead") == 0


def test_orders_land_as_parquet_by_day_and_store_and_again_when_they_change(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    import io

    import pyarrow.parquet as pq

    def land() -> list[int]:
        landed = land_changed_days(clean, aws.s3, bucket=aws.feeds_bucket, prefix="orders")
        return [one.rows for one in landed]

    other = order("o-2", tripEndTime="2026-03-02T15:00:00Z", updatedAt="2026-03-02T15:01:00Z")
    amazon.write(as_csv(order("o-1") + other), "20260301_1515")
    take_in(clean, aws)
    assert land() == [2, 2]
    assert land() == []
    key = key_of("orders", STORE, date(2026, 3, 1))
    assert key == "orders/business_date=2026-03-01/store_id=STORE-001/orders.parquet"
    table = pq.read_table(io.BytesIO(aws.s3.get_object(Bucket=aws.feeds_bucket, Key=key)["Body"].read()))
    rows = table.to_pylist()
    assert [(row["order_id"], row["line_number"], row["price"]) for row in rows] == [
        ("o-1", 1, Decimal("5.0000")), ("o-1", 2, Decimal("2.5000")),
    ]  # fmt: skip
    amazon.write(as_csv(order("o-1", ("5.00", "0.40"), updatedAt="2026-03-01T16:00:00Z")), "20260301_1615")
    take_in(clean, aws)
    assert land() == [1]
