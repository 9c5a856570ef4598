"""Intra-day files: copied byte for byte, taken in once, the highest version of each row stays."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.feeds import intraday
from backroom.feeds.aws import Aws
from backroom.feeds.intraday import FileResult, collect, ingest, ingest_all, waiting
from tests.feeds.conftest import AMAZON, NOW, Amazon, as_csv, order


def take_in(engine: Engine, aws: Aws) -> list[FileResult]:
    return intraday.take_in(engine, aws, now=NOW)


def ask(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_file_is_copied_byte_for_byte_and_its_orders_come_in(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    content = as_csv(order())
    amazon.write(content)
    (result,) = take_in(clean, aws)
    assert (result.state, result.rows_read, result.rows_applied) == ("INGESTED", 2, 2)
    ((copy_key, sha, window),) = ask(clean, "select copy_key, sha256, window_end from feed_file")
    assert aws.s3.get_object(Bucket=aws.feeds_bucket, Key=copy_key)["Body"].read() == content
    assert len(sha) == 64
    assert window == datetime(2026, 3, 1, 15, 15, tzinfo=UTC)
    assert ask(clean, "select order_total, business_date::text, incomplete from amazon_order") == [
        (Decimal("8.1000"), "2026-03-01", False)
    ]
    assert ask(clean, "select sum(price + tax) from amazon_order_line where not dropped") == [(Decimal("8.1000"),)]
    assert amazon.waiting(aws.intraday_queue) == 0


def test_business_date_is_the_stores_day_of_the_trips_end(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order(tripEndTime="2026-03-02T04:59:59Z")))
    take_in(clean, aws)
    assert ask(clean, "select business_date::text from amazon_order") == [("2026-03-01",)]


def test_a_repeated_announcement_counts_and_changes_nothing(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    record = amazon.write(as_csv(order()))
    amazon.announce(record)
    take_in(clean, aws)
    amazon.announce(record)
    assert take_in(clean, aws) == []
    assert ask(clean, "select announcements, state from feed_file") == [(3, "INGESTED")]
    assert amazon.waiting(aws.intraday_queue) == 0


def test_a_file_taken_in_twice_gives_the_same_result(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order()))
    (first,) = take_in(clean, aws)
    assert ingest(clean, aws, file_id=first.file_id, now=NOW) == first


def test_a_key_rewritten_from_a_to_b_to_a_ends_at_a(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    a = as_csv(order("o-1", ("5.00", "0.40")))
    b = as_csv(order("o-1", ("6.00", "0.48")))
    for content in (a, b, a):
        amazon.write(content)
    results = take_in(clean, aws)
    assert [result.state for result in results] == ["INGESTED"] * 3
    assert ask(clean, "select order_total from amazon_order") == [(Decimal("5.4000"),)]
    assert ask(clean, "select count(distinct version), count(distinct sha256) from feed_file") == [(3, 2)]


def test_the_same_content_under_another_key_is_noted_and_adds_nothing(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    content = as_csv([*order(), *order("o-2", capturedAmount="many")])
    amazon.write(content, "20260301_1515")
    amazon.write(content, "20260301_1530")
    first, second = take_in(clean, aws)
    assert (first.state, second.state) == ("INGESTED", "SAME_CONTENT")
    assert "1515" in str(second.reason)
    assert ask(clean, "select count(*) from amazon_order_line") == [(2,)]
    assert ask(clean, "select count(*) from feed_quarantine") == [(2,)]


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
def test_the_outcome_does_not_depend_on_the_order_of_arrival(
    clean: Engine, aws: Aws, amazon: Amazon, arrival: tuple[int, ...]
) -> None:
    files = [
        (as_csv(order("o-1", ("5.00", "0.40"), ("2.50", "0.20"))), "20260301_1515"),
        (as_csv(order("o-1", ("5.00", "0.40"), ("2.00", "0.16"))), "20260301_1530"),  # rewritten, same updatedAt
        (
            as_csv(order("o-1", ("5.00", "0.40"), updatedAt="2026-03-01T15:40:00Z", orderStatus="SETTLED")),
            "20260301_1545",
        ),
    ]
    for number in arrival:
        amazon.write(*files[number])
        take_in(clean, aws)
    assert ask(clean, "select status, order_total, incomplete from amazon_order") == [
        ("SETTLED", Decimal("5.4000"), False)
    ]
    assert ask(clean, "select line_number, price, dropped from amazon_order_line order by 1") == [
        (1, Decimal("5.0000"), False),
        (2, Decimal("2.0000"), True),
    ]


def test_overlapping_windows_repeat_rows_without_doubling_them(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    for minute in ("1515", "1530", "1545"):
        amazon.write(as_csv(order("o-1") + (order("o-2") if minute != "1515" else [])), f"20260301_{minute}")
    take_in(clean, aws)
    assert ask(clean, "select count(*), sum(order_total) from amazon_order") == [(2, Decimal("16.2000"))]
    assert ask(clean, "select count(*) from amazon_order_line") == [(4,)]


def test_an_order_split_over_files_waits_until_its_lines_add_up(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    rows = order("o-1", ("5.00", "0.40"), ("0.00", "0.00"), ("2.50", "0.20"))
    amazon.write(as_csv(rows[2:]), "20260301_1515")
    take_in(clean, aws)
    assert ask(clean, "select incomplete from amazon_order") == [(True,)]
    amazon.write(as_csv(rows[:2]), "20260301_1530")
    take_in(clean, aws)
    assert ask(clean, "select incomplete from amazon_order") == [(False,)]
    assert ask(clean, "select count(*) from amazon_order_line where not dropped") == [(3,)]


def test_a_line_is_kept_where_dropping_it_would_break_the_total(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order("o-1", ("5.00", "0.40"), ("2.50", "0.20"))), "20260301_1515")
    newer = order("o-1", ("5.00", "0.40"), total="8.10", updatedAt="2026-03-01T15:40:00Z")
    amazon.write(as_csv(newer), "20260301_1545")
    take_in(clean, aws)
    assert ask(clean, "select count(*) from amazon_order_line where not dropped") == [(2,)]
    assert ask(clean, "select incomplete from amazon_order") == [(False,)]


def test_within_one_file_the_last_line_wins(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order("o-1", ("5.00", "0.40")) + order("o-1", ("7.00", "0.56"))))
    take_in(clean, aws)
    assert ask(clean, "select price from amazon_order_line") == [(Decimal("7.0000"),)]


def test_a_quantity_keeps_all_eight_places_of_a_cart(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order("o-1", ("5.00", "0.40"), quantityValue="0.12345678")))
    take_in(clean, aws)
    assert ask(clean, "select quantity from amazon_order_line") == [(Decimal("0.12345678"),)]


BROKEN = [
    ("quantityValue", "0.123456789", "at most eight decimal places"),
    ("orderId", "", "is empty"),
    ("shoppingTripId", "a b", "may hold letters"),
    ("storeId", "STORE-999", "is not a store of ours"),
    ("storeId", "STORE-002", "is another store than the file's"),
    ("orderStatus", "DONE", "is not a known status"),
    ("entryMethod", "PALM", "is not a known entry method"),
    ("tripEndTime", "yesterday", "is not an instant"),
    ("updatedAt", "2026-02-30T10:00:00Z", "is not an instant"),
    ("updatedAt", "2026-03-01T10:00:00", "is not an instant"),
    ("lineNumber", "0", "is not a line number"),
    ("priceValue", "-1.00", "is negative"),
    ("taxValue", "NaN", "is not a number"),
    ("orderTotal", "1e3", "is not a number"),
    ("capturedAmount", "12345678901", "is not a number"),
    ("currency", "EUR", "is not the store's currency"),
    ("cardLastFourDigits", "4111111111111111", "is not four digits"),
]


def test_bad_rows_go_to_quarantine_with_line_and_reason_and_the_rest_goes_in(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    rows = [
        row
        for number, (name, value, _) in enumerate(BROKEN)
        for row in order(f"o-{number}", ("1.00", "0.00"), **{name: value})
    ]
    good = order("good")
    content = as_csv([*rows, *good]) + b"torn,row\n"
    amazon.write(content)
    (result,) = take_in(clean, aws)
    assert (result.rows_read, result.rows_quarantined, result.rows_applied) == (len(BROKEN) + 3, len(BROKEN) + 1, 2)
    kept = ask(clean, "select line, column_name, reason from feed_quarantine order by line")
    for (line, column, reason), (number, (name, _, expected)) in zip(kept, enumerate(BROKEN, start=2), strict=False):
        assert (line, column) == (number, name)
        assert expected in reason
    assert kept[-1][2] == "has 2 fields where the header has 24"
    assert ask(clean, "select order_id from amazon_order") == [("good",)]
    assert ask(clean, "select count(*) from feed_quarantine where raw::text like '%4111111111111111%'") == [(0,)]
    assert ask(clean, "select severity from alert") == [("warning",)]


def test_a_quiet_window_is_a_file_with_a_header_alone(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv([]), "20260301_0315")
    amazon.write(as_csv([]), "20260301_0330")
    assert [result.state for result in take_in(clean, aws)] == ["INGESTED", "INGESTED"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty: not even a header"),
        (as_csv(order(), header=["orderId", "storeId"]), "its header has no column shoppingTripId"),
        (as_csv(order()) + b"\xff\xfe broken", "it is not UTF-8 text"),
        (as_csv(order()) + b'"never closed', "it is not CSV"),
    ],
)
def test_a_file_that_is_no_order_file_fails_alone_with_an_alert(
    clean: Engine, aws: Aws, amazon: Amazon, content: bytes, reason: str
) -> None:
    amazon.write(content, "20260301_1515")
    amazon.write(as_csv(order()), "20260301_1530")
    bad, good = take_in(clean, aws)
    assert (bad.state, good.state) == ("FAILED", "INGESTED")
    assert reason in str(bad.reason)
    assert ask(clean, "select state, reason from feed_file order by file_id")[0] == ("FAILED", bad.reason)
    assert ask(clean, "select severity from alert") == [("critical",)]


def test_a_file_of_a_store_that_is_not_ours_fails(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order()), store="STORE-777")
    (result,) = take_in(clean, aws)
    assert result.state == "FAILED"
    assert "names no store of ours" in str(result.reason)


def test_unknown_columns_and_a_byte_order_mark_do_no_harm(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    content = b"\xef\xbb\xbf" + as_csv(order(), header=["somethingNew", *order()[0]])
    amazon.write(content)
    (result,) = take_in(clean, aws)
    assert (result.state, result.rows_applied) == ("INGESTED", 2)


def test_the_message_of_a_file_that_cannot_be_read_stays_in_the_queue(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    record = amazon.write(as_csv(order()), announce=False)
    aws.s3.delete_object(
        Bucket=AMAZON, Key="acme/STORE-001/orders_20260301_1515.csv", VersionId=record["s3"]["object"]["versionId"]
    )
    amazon.announce(record)
    assert collect(clean, aws, now=NOW) == []
    assert ask(clean, "select state from feed_file") == [("ANNOUNCED",)]
    assert amazon.waiting(aws.intraday_queue) == 1


def test_a_message_that_announces_nothing_goes_to_the_dead_letters(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.send("not json")
    amazon.send('{"Type": "SubscriptionConfirmation"}')
    assert collect(clean, aws, now=NOW) == []
    assert amazon.waiting(aws.intraday_queue) == 0
    assert amazon.waiting("backroom-intraday-dead") == 1
    assert ask(clean, "select deduplication_key from alert") == [("feeds:malformed-announcement",)]


def test_a_rewritten_file_without_versions_is_superseded_by_its_newer_self(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    first = amazon.write(as_csv(order("o-1", ("5.00", "0.40"))), announce=False)
    second = amazon.write(as_csv(order("o-1", ("6.00", "0.48"))), announce=False)
    for record, etag in ((first, "0" * 32), (second, None)):
        entry = record["s3"]["object"]
        del entry["versionId"]
        entry["eTag"] = etag or aws.s3.head_object(Bucket=AMAZON, Key="acme/STORE-001/orders_20260301_1515.csv")["ETag"]
        amazon.announce(record)
    take_in(clean, aws)
    assert ask(clean, "select state from feed_file order by file_id") == [("SUPERSEDED",), ("INGESTED",)]
    assert ask(clean, "select order_total from amazon_order") == [(Decimal("6.4800"),)]


def test_what_was_collected_before_a_crash_still_waits(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.write(as_csv(order()))
    collected = collect(clean, aws, now=NOW)
    with clean.connect() as connection:
        assert waiting(connection) == collected
    amazon.write(as_csv(order("o-2")), "20260301_1530")
    assert [(one.file_id in collected, one.state) for one in take_in(clean, aws)] == [
        (True, "INGESTED"),
        (False, "INGESTED"),
    ]


def test_many_small_files_take_little_work_each(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    start = datetime(2026, 3, 1, 5, 15, tzinfo=UTC)
    with clean.begin() as connection:
        for number in range(60):
            key = f"intraday/{number}"
            rows = [row for n in range(5) for row in order(f"o-{number // 2 + n}")]
            aws.s3.put_object(Bucket=aws.feeds_bucket, Key=key, Body=as_csv(rows))
            connection.execute(
                text(
                    "insert into feed_file (bucket, key, version, announced_at, store_id, window_end, copy_key,"
                    " sha256, state, received_at) values ('b', :key, '1', now(), 'STORE-001', :end, :key,"
                    " :key, 'COPIED', now())"
                ),
                {"key": key, "end": start + timedelta(minutes=15 * number)},
            )
    with clean.connect() as connection:
        ids = waiting(connection)
    import time

    begun = time.process_time()
    ingest_all(clean, aws, file_ids=ids, now=NOW)
    # moto plays S3 in this process, and is slow: a bound that only a change for the worse breaks
    assert (time.process_time() - begun) / len(ids) < 0.05
