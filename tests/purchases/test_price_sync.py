"""What changes at the retailer's price files is in force at the next look; what was in force before stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text
from typer.testing import CliRunner

from backroom.db.embedded import free_port
from backroom.purchases import price_files
from backroom.purchases.commands import app
from backroom.purchases.price_sources import SourceResult
from backroom.purchases.price_sync import sync_files
from backroom.reviews.cases import decide
from tests.purchases.price_world import (
    add_store,
    alerts,
    instant,
    iso,
    open_questions,
    overlaps,
    price_at,
    prices_at,
    timeline,
    write,
)

OLD = "2026-01-01T00:00:00Z"
NINE, TEN, NOON = instant("09:00"), instant("10:00"), instant("12:00")


@pytest.fixture(scope="module")
def stores(database: Engine) -> Engine:
    add_store(database, "S1")
    add_store(database, "S2", currency="JPY")
    return database


@pytest.fixture
def book(stores: Engine) -> Iterator[Engine]:
    """An empty price book."""
    with stores.begin() as connection:
        for table in ("shelf_price", "tax_rate", "promotion", "price_source", "alert", "review_case"):
            connection.execute(text(f"delete from {table}"))
    return stores  # type: ignore[return-value]


def sync(engine: Engine, folder: Path, now: datetime, *, force: bool = False) -> dict[str, SourceResult]:
    results = sync_files(engine, str(folder), now=now, drop_percent=20, force=force)
    return {result.source: result for result in results}


def states(results: dict[str, SourceResult]) -> dict[str, str]:
    return {source: result.state for source, result in results.items()}


def test_a_new_file_is_loaded_and_the_same_again_is_only_looked_at(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},", f"S2,A,100,JPY,{OLD},")
    write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.05,{OLD},")
    assert states(sync(book, tmp_path, NINE)) == {"prices.csv": "LOADED", "taxes.csv": "LOADED"}
    assert states(sync(book, tmp_path, TEN)) == {"prices.csv": "UNCHANGED", "taxes.csv": "UNCHANGED"}
    with book.connect() as connection:
        rows = connection.execute(text("select source, rows, loaded_at, checked_at from price_source order by 1")).all()
    assert [tuple(row) for row in rows] == [("prices.csv", 2, NINE, TEN), ("taxes.csv", 1, NINE, TEN)]


def test_a_dated_change_counts_from_its_date_and_an_undated_one_from_the_look_that_found_it(
    book: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "prices.csv", *(f"S1,{sku},1.00,USD,{OLD}," for sku in ("DATED", "UNDATED", "SAME", "COMING")))
    sync(book, tmp_path, NINE)
    dated, coming = iso(NINE + timedelta(minutes=2)), iso(NOON)
    write(
        tmp_path,
        "prices.csv",
        f"S1,DATED,2.00,USD,{dated},",
        f"S1,UNDATED,2.00,USD,{OLD},",
        f"S1,SAME,1.00,USD,{OLD},",
        f"S1,COMING,2.00,USD,{coming},",
    )
    sync(book, tmp_path, NINE + timedelta(minutes=5))
    assert timeline(book, "S1", "DATED") == [("..", "09:02", "1"), ("09:02", "..", "2")]
    assert timeline(book, "S1", "UNDATED") == [("..", "09:05", "1"), ("09:05", "..", "2")]
    assert timeline(book, "S1", "SAME") == [("..", "..", "1")]
    assert timeline(book, "S1", "COMING") == [("..", "12:00", "1"), ("12:00", "..", "2")]


def test_a_file_that_closes_its_periods_is_loaded_as_it_is(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},{iso(TEN)}", f"S1,A,2.00,USD,{iso(TEN)},")
    sync(book, tmp_path, NINE + timedelta(minutes=5))
    assert timeline(book, "S1", "A") == [("..", "10:00", "1"), ("10:00", "..", "2")]


def test_the_past_is_not_rewritten_by_a_change_that_is_dated_back(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, NINE)
    sync(book, tmp_path, TEN)  # the old price was in force until then at least
    write(tmp_path, "prices.csv", f"S1,A,2.00,USD,{iso(NINE)},")
    sync(book, tmp_path, TEN + timedelta(minutes=5))
    assert timeline(book, "S1", "A") == [("..", "10:05", "1"), ("10:05", "..", "2")]


def test_a_price_that_was_missing_in_the_past_is_filled_in(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},", f"S1,NEW,3.00,USD,{OLD},")
    sync(book, tmp_path, TEN)
    assert timeline(book, "S1", "NEW") == [("..", "..", "3")]


def test_a_product_that_the_file_drops_keeps_its_price_until_then(book: Engine, tmp_path: Path) -> None:
    skus = [f"P{number}" for number in range(10)]
    write(tmp_path, "prices.csv", *(f"S1,{sku},1.00,USD,{OLD}," for sku in skus))
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", *(f"S1,{sku},1.00,USD,{OLD}," for sku in skus[1:]))
    assert states(sync(book, tmp_path, TEN)) == {"prices.csv": "LOADED"}
    assert timeline(book, "S1", "P0") == [("..", "10:00", "1")]


def test_a_store_that_the_file_no_longer_names_keeps_its_prices(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},", f"S2,A,100,JPY,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, TEN)
    assert timeline(book, "S2", "A") == [("..", "..", "100")]


def test_a_wrong_file_leaves_every_price_in_force_names_the_line_and_is_tried_again(
    book: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.05,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", f"S1,A,2.00,USD,{OLD},")
    taxes = write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.06,{OLD},", f"S1,DRINK,NY,six,{OLD},")
    results = sync(book, tmp_path, TEN)
    assert states(results) == {"taxes.csv": "REFUSED", "prices.csv": "WAITS"}
    assert f"{taxes}: line 3, column 'rate'" in results["taxes.csv"].reason
    assert timeline(book, "S1", "A") == [("..", "..", "1")]
    assert [title for title in alerts(book) if f"{taxes}: line 3, column 'rate'" in title]
    sync(book, tmp_path, TEN + timedelta(minutes=5))
    assert len(alerts(book)) == 1
    write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.06,{OLD},")
    assert states(sync(book, tmp_path, NOON)) == {"taxes.csv": "LOADED", "prices.csv": "LOADED"}
    assert price_at(book, "S1", "A", NOON) == Decimal(2)


@pytest.mark.parametrize("content", [b"", b"store_id,item_sku\n", b'"', b"\xff\xfe\x00", b"S1,A,1.00,USD\n"])
def test_a_broken_file_changes_nothing(book: Engine, tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, NINE)
    (tmp_path / "prices.csv").write_bytes(content)
    assert states(sync(book, tmp_path, TEN)) == {"prices.csv": "REFUSED"}
    assert timeline(book, "S1", "A") == [("..", "..", "1")]


def test_a_truncated_file_waits_for_a_person_who_may_say_that_it_is_meant(book: Engine, tmp_path: Path) -> None:
    lines = [f"S1,P{number},1.00,USD,{OLD}," for number in range(10)]
    write(tmp_path, "prices.csv", *lines)
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", *lines[:7])
    results = sync(book, tmp_path, TEN)
    assert results["prices.csv"].state == "WAITS"
    assert "3 of the 10 prices of store S1" in results["prices.csv"].reason
    sync(book, tmp_path, TEN + timedelta(minutes=5))
    ((case, question),) = open_questions(book)
    assert "3 of the 10 prices of store S1" in question
    assert len(alerts(book)) == 1
    assert price_at(book, "S1", "P9", NOON) == 1
    with book.begin() as connection:
        decide(connection, case, "load", by="ann", reason="delisted", now=TEN)
    assert states(sync(book, tmp_path, NOON)) == {"prices.csv": "LOADED"}
    assert timeline(book, "S1", "P9") == [("..", "12:00", "1")]


def test_what_a_person_has_refused_is_not_asked_again_and_other_content_is_judged_anew(
    book: Engine, tmp_path: Path
) -> None:
    lines = [f"S1,P{number},1.00,USD,{OLD}," for number in range(10)]
    write(tmp_path, "prices.csv", *lines)
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", *lines[:5])
    sync(book, tmp_path, TEN)
    with book.begin() as connection:
        decide(connection, open_questions(book)[0][0], "keep", by="ann", reason="cut short", now=TEN)
    assert states(sync(book, tmp_path, NOON)) == {"prices.csv": "WAITS"}
    assert open_questions(book) == []
    write(tmp_path, "prices.csv", *lines[:9])
    assert states(sync(book, tmp_path, NOON)) == {"prices.csv": "LOADED"}


def test_by_force_a_short_file_is_loaded_and_its_question_settled(book: Engine, tmp_path: Path) -> None:
    lines = [f"S1,P{number},1.00,USD,{OLD}," for number in range(10)]
    write(tmp_path, "prices.csv", *lines)
    sync(book, tmp_path, NINE)
    write(tmp_path, "prices.csv", lines[0])
    sync(book, tmp_path, TEN)
    assert states(sync(book, tmp_path, NOON, force=True)) == {"prices.csv": "LOADED"}
    assert open_questions(book) == []


def test_a_file_that_is_gone_is_missed_and_its_prices_stay(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    sync(book, tmp_path, NINE)
    (tmp_path / "prices.csv").unlink()
    assert states(sync(book, tmp_path, TEN)) == {"prices.csv": "MISSING"}
    assert "no prices.csv" in alerts(book)[0]
    assert timeline(book, "S1", "A") == [("..", "..", "1")]


def test_a_file_that_is_being_written_is_left_for_the_next_look(
    book: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")
    copy = price_files._copy

    def copy_while_it_grows(original: Path, target: Path) -> str:
        digest = copy(original, target)
        with original.open("a") as file:
            file.write(f"S1,B,2.00,USD,{OLD},\n")
        return digest

    monkeypatch.setattr(price_files, "_copy", copy_while_it_grows)
    assert states(sync(book, tmp_path, NINE)) == {"prices.csv": "BEING_WRITTEN"}
    monkeypatch.undo()
    assert states(sync(book, tmp_path, TEN)) == {"prices.csv": "LOADED"}
    assert price_at(book, "S1", "B", TEN) == 2


def test_the_files_may_lie_under_a_prefix_in_s3(book: Engine, tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3 = boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id="x",
        aws_secret_access_key="x", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    s3.create_bucket(Bucket="retailer")
    s3.upload_file(str(write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},")), "retailer", "book/prices.csv")

    def look() -> list[SourceResult]:
        return sync_files(book, "s3://retailer/book", now=NINE, drop_percent=20, s3=s3)

    assert look() == [SourceResult("prices.csv", "LOADED", 1)]
    s3.upload_file(str(write(tmp_path, "prices.csv", f"S1,A,dear,USD,{OLD},")), "retailer", "book/prices.csv")
    (refused,) = look()
    assert "s3://retailer/book/prices.csv: line 2, column 'price'" in refused.reason
    server.stop()
    (unreadable,) = look()
    assert unreadable.state == "REFUSED"
    assert "s3://retailer/book/prices.csv" in unreadable.reason
    assert price_at(book, "S1", "A", NOON) == 1


def test_two_looks_at_once_load_one_after_the_other(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", *(f"S1,P{number},1.00,USD,{OLD}," for number in range(200)))
    with ThreadPoolExecutor(4) as threads:
        looks = list(threads.map(lambda _: sync(book, tmp_path, NINE)["prices.csv"].state, range(4)))
    assert set(looks) <= {"LOADED", "UNCHANGED"}
    assert timeline(book, "S1", "P7") == [("..", "..", "1")]


def test_the_number_of_statements_does_not_grow_with_the_rows(book: Engine, tmp_path: Path) -> None:
    statements: list[str] = []

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    counts = []
    event.listen(book, "before_cursor_execute", executed)
    try:
        for rows in (10, 1000):
            for price in (1, 2):
                statements.clear()
                write(tmp_path, "prices.csv", *(f"S1,P{number},{price}.00,USD,{OLD}," for number in range(rows)))
                sync(book, tmp_path, NINE + timedelta(minutes=rows + price))
                counts.append(len(statements))
    finally:
        event.remove(book, "before_cursor_execute", executed)
    assert len(set(counts)) == 1


SPANS = st.lists(
    st.tuples(st.integers(0, 23), st.integers(1, 12), st.integers(1, 3)), min_size=0, max_size=3
)  # (begins at hour, lasts hours, price)


def _lines(spans: list[tuple[int, int, int]]) -> list[str]:
    lines, free = [f"S1,KEEP,9.00,USD,{OLD},"], 0
    for begins, lasts, price in sorted(spans):
        start = max(begins, free)
        free = start + lasts
        day = instant("00:00")
        lines.append(f"S1,A,{price}.00,USD,{iso(day + timedelta(hours=start))},{iso(day + timedelta(hours=free))}")
    return lines


@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=SPANS, after=SPANS, seen=st.integers(0, 23), later=st.integers(0, 12))
def test_whatever_the_file_says_no_price_that_a_look_has_seen_in_force_changes_afterwards(
    book: Engine, tmp_path: Path, before: list[tuple[int, int, int]], after: list[tuple[int, int, int]],
    seen: int, later: int,
) -> None:  # fmt: skip
    with book.begin() as connection:
        connection.execute(text("delete from shelf_price"))
        connection.execute(text("delete from price_source"))
    first, now = instant("00:00") + timedelta(hours=seen), instant("00:00") + timedelta(hours=seen + later)
    write(tmp_path, "prices.csv", *_lines(before))
    sync(book, tmp_path, first, force=True)
    hours = [instant("00:30") + timedelta(hours=hour) for hour in range(48)]
    old = prices_at(book, "S1", "A", hours)
    write(tmp_path, "prices.csv", *_lines(after))
    said = {hour: _said(after, hour) for hour in hours}
    sync(book, tmp_path, now, force=True)
    new = prices_at(book, "S1", "A", hours)
    for hour in hours:
        if hour <= first and old[hour] is not None:
            assert new[hour] == old[hour]
        elif hour > now:
            assert new[hour] == said[hour] or (said[hour] is None and new[hour] == old[hour])
    assert overlaps(book) == 0


def _said(spans: list[tuple[int, int, int]], hour: datetime) -> Decimal | None:
    free = 0
    for begins, lasts, price in sorted(spans):
        start = max(begins, free)
        free = start + lasts
        if instant("00:00") + timedelta(hours=start) <= hour < instant("00:00") + timedelta(hours=free):
            return Decimal(price)
    return None


def test_the_commands_synchronise_show_what_is_in_force_and_when_it_changes(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,1.00,USD,{OLD},{iso(NOON)}", f"S1,A,1.25,USD,{iso(NOON)},")
    write(tmp_path, "taxes.csv", f"S1,,NY,0.05,{OLD},{iso(NOON)}")
    write(
        tmp_path,
        "promotions.csv",
        f"SPRING,S1,LINE_PERCENTAGE,A,,0.125,{OLD},{iso(NOON)},spring",
        f"OTHER,S1,LINE_PERCENTAGE,B,,0.5,{OLD},,",
        f"BASKET,S1,BASKET_PERCENTAGE,,,0.1,{OLD},,",
        f"ONE TRIP,S1,BASKET_PERCENTAGE,,t1,0.2,{OLD},,",
    )
    run = CliRunner().invoke(app, ["sync", "--source", str(tmp_path), "--now", iso(NINE), "--json"])
    assert run.exit_code == 0
    assert json.loads(run.output)[0] == {"source": "prices.csv", "state": "LOADED", "rows": 2, "reason": ""}
    shown = json.loads(CliRunner().invoke(app, ["show", "A", "--store", "S1", "--at", iso(TEN), "--json"]).output)
    assert (shown["price"], shown["next_price"], shown["price_changes_at"]) == ("1", "1.25", iso(NOON))
    assert (shown["tax_rate"], shown["tax_jurisdiction"], shown["tax_changes_at"]) == ("0.05", "NY", iso(NOON))
    assert [one["promotion_id"] for one in shown["promotions"]] == ["BASKET", "SPRING"]
    said = CliRunner().invoke(app, ["show", "A", "--store", "S1", "--at", iso(TEN)]).output
    assert f"price: 1 USD since {OLD}; from {iso(NOON)}: 1.25\n" in said
    assert f"promotion: SPRING LINE_PERCENTAGE 0.125 off until {iso(NOON)} spring\n" in said
    assert f"tax (no code): 0.05 NY; from {iso(NOON)}: none\n" in said
    (prices, _, taxes) = json.loads(CliRunner().invoke(app, ["sources", "--json"]).output)
    assert (prices["source"], prices["rows"], prices["loaded_at"]) == ("prices.csv", 2, iso(NINE))
    assert taxes["source"] == "taxes.csv"


def test_the_commands_say_in_one_line_what_is_wrong(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", f"S1,A,dear,USD,{OLD},")
    refused = CliRunner().invoke(app, ["sync", "--source", str(tmp_path), "--now", iso(TEN)])
    assert refused.exit_code == 1
    assert f"prices.csv: REFUSED: {tmp_path}/prices.csv: line 2, column 'price'" in refused.output
    for arguments, complaint in (
        (["show", "NONE", "--store", "S1"], "store S1 has no product 'NONE'"),
        (["show", "A", "--store", "S9"], "there is no store 'S9'"),
        (["show", "A", "--store", "S1", "--at", "noon"], "--at: "),
    ):
        assert complaint in str(CliRunner().invoke(app, arguments).exception)
