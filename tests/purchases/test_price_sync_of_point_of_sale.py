"""Prices of a source that knows only those of today: a change closes a period, and late carts get the old price."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text

from backroom.db.serving import serving_engine
from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.current_prices import sync_store
from backroom.purchases.point_of_sale_client import make_client
from backroom.purchases.price_lookup import products_of
from backroom.purchases.price_sources import SourceResult
from backroom.purchases.price_sync import sync_all
from backroom.purchases.pricing import CartItem
from backroom.purchases.recording import record_purchase
from backroom.settings import Settings
from backroom_airflow import price_sync_tasks
from tests.conftest import forget_configuration
from tests.purchases.price_world import (
    PointOfSale,
    add_store,
    alerts,
    instant,
    iso,
    open_questions,
    overlaps,
    point_of_sale,
    price_at,
    prices_at,
    reply,
    timeline,
    write,
)

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

OLD = "2026-01-01T00:00:00Z"
NINE, TEN, NOON = instant("09:00"), instant("10:00"), instant("12:00")
FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture
def pos() -> Iterator[PointOfSale]:
    with point_of_sale() as running:
        yield running


@pytest.fixture
def book(database: Engine, pos: PointOfSale) -> Engine:
    """An empty price book of a store whose point of sale has the prices, with an apple in its catalog."""
    with database.begin() as connection:
        for table in ("purchase", "charge", "shelf_price", "tax_rate", "promotion", "price_source", "alert",
                      "review_case", "catalog_item", "catalog_run", "store"):  # fmt: skip
            connection.execute(text(f"truncate {table} cascade"))
    add_store(database, "POS-1", point_of_sale_url=f"{pos.url}/")
    with database.begin() as connection:
        connection.execute(text("insert into catalog_run (business_date, source, state, started_at)"
                                " values ('2026-03-01', 'x', 'DONE', now())"))  # fmt: skip
        connection.execute(
            text(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)"
                " select 'POS-1', 'A', '{}', '', 'apple', max(run_id) from catalog_run"
            )
        )
    return database


def row(sku: str, price: str, valid_from: datetime | None = None) -> dict[str, Any]:
    dated = {} if valid_from is None else {"valid_from": iso(valid_from)}
    return {"item_sku": sku, "price": price, "currency": "USD", **dated}


def sync(engine: Engine, now: datetime, *, force: bool = False) -> SourceResult:
    with make_client(Settings()) as client:
        return sync_store(engine, client, "POS-1", now=now, drop_percent=20, force=force)


def test_a_change_closes_the_old_period_and_opens_a_new_one(book: Engine, pos: PointOfSale) -> None:
    pos.has_prices(row("A", "1.00"), row("B", "3.00"))
    assert sync(book, NINE) == SourceResult("point-of-sale:POS-1", "LOADED", 2)
    assert pos.requests[0]["path"] == "/prices"
    assert sync(book, TEN).state == "UNCHANGED"
    pos.has_prices(row("A", "1.20"), row("B", "3.00"))
    assert sync(book, NOON).state == "LOADED"
    assert timeline(book, "POS-1", "A") == [("09:00", "12:00", "1"), ("12:00", "..", "1.2")]
    assert timeline(book, "POS-1", "B") == [("09:00", "..", "3")]


def test_a_change_counts_from_its_date_unless_an_earlier_look_has_seen_the_old_price_then(
    book: Engine, pos: PointOfSale
) -> None:
    early = NINE - timedelta(hours=1)
    pos.has_prices(row("DATED", "1", early), row("COMING", "1", early), row("STALE", "1", early))
    sync(book, NINE)
    sync(book, TEN)
    pos.has_prices(row("DATED", "2", TEN + timedelta(minutes=2)), row("COMING", "2", NOON), row("STALE", "2", early))
    sync(book, TEN + FIVE_MINUTES)
    assert timeline(book, "POS-1", "DATED") == [("08:00", "10:02", "1"), ("10:02", "..", "2")]
    assert timeline(book, "POS-1", "COMING") == [("08:00", "12:00", "1"), ("12:00", "..", "2")]
    assert timeline(book, "POS-1", "STALE") == [("08:00", "10:05", "1"), ("10:05", "..", "2")]


def test_a_coming_price_that_is_taken_back_never_comes(book: Engine, pos: PointOfSale) -> None:
    pos.has_prices(row("A", "1"))
    sync(book, NINE)
    pos.has_prices(row("A", "2", NOON))
    sync(book, TEN)
    pos.has_prices(row("A", "1"))
    sync(book, TEN + FIVE_MINUTES)
    assert timeline(book, "POS-1", "A") == [("09:00", "..", "1")]


def test_a_product_that_is_no_longer_named_has_no_price_from_then_on(book: Engine, pos: PointOfSale) -> None:
    pos.has_prices(*(row(f"P{number}", "1") for number in range(10)))
    sync(book, NINE)
    pos.has_prices(*(row(f"P{number}", "1") for number in range(9)))
    sync(book, TEN)
    assert timeline(book, "POS-1", "P9") == [("09:00", "10:00", "1")]
    pos.has_prices(*(row(f"P{number}", "2") for number in range(10)))
    sync(book, NOON)
    assert timeline(book, "POS-1", "P9") == [("09:00", "10:00", "1"), ("12:00", "..", "2")]


def test_an_answer_that_is_cut_short_waits_for_a_person(book: Engine, pos: PointOfSale) -> None:
    pos.has_prices(*(row(f"P{number}", "1") for number in range(10)))
    sync(book, NINE)
    pos.has_prices(row("P1", "1"))
    for later in (TEN, TEN + FIVE_MINUTES):
        waits = sync(book, later)
        assert waits.state == "WAITS"
        assert "9 of the 10 prices of store POS-1" in waits.reason
    assert len(open_questions(book)) == len(alerts(book)) == 1
    assert price_at(book, "POS-1", "P9", NOON) == 1
    assert sync(book, NOON, force=True).state == "LOADED"
    assert open_questions(book) == []
    assert price_at(book, "POS-1", "P9", NOON) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"item_sku": "A", "price": "1", "currency": "USD"}\n{"item_sku": "B", "pri', "line 2: not JSON"),
        (b'\n{"item_sku": "A", "price": 1.5, "currency": "USD"}', "line 2, field 'price'"),
        (b'{"item_sku": "A", "price": "-1", "currency": "USD"}', "line 1, field 'price'"),
        (b'{"item_sku": "A", "price": "1", "currency": "EUR"}', "line 1, field 'currency': 'EUR'"),
        (b'{"item_sku": "A", "price": "1", "currency": "USD", "valid_from": "today"}', "field 'valid_from'"),
        (b'[{"item_sku": "A", "price": "1", "currency": "USD"}, {"price": "1"}]', "entry 2, field 'item_sku'"),
        (b'[{"item_sku": "A", "price"', "not JSON"),
        (b'{"item_sku": "A", "price": "1", "currency": "USD"}\n' * 2, "line 2, field 'item_sku': 'A' is there twice"),
        (b"[" * 100_000, "not JSON"),
        (b"<html>", "line 1: not JSON"),
        (b'"A"', "line 1"),
    ],
)
def test_a_wrong_answer_leaves_the_prices_in_force_and_names_the_line(
    book: Engine, pos: PointOfSale, body: bytes, reason: str
) -> None:
    pos.has_prices(row("A", "1.00"))
    sync(book, NINE)
    pos.answer = lambda handler, _: reply(handler, 200, body)
    refused = sync(book, TEN)
    assert refused.state == "REFUSED"
    assert reason in refused.reason
    assert reason in alerts(book)[0]
    assert timeline(book, "POS-1", "A") == [("09:00", "..", "1")]


def test_one_that_does_not_answer_is_told_of_once_a_day_and_one_without_prices_is_left_to_the_files(
    book: Engine, pos: PointOfSale
) -> None:
    pos.answer = lambda handler, _: reply(handler, 503)
    for now in (NINE, TEN):
        assert sync(book, now).state == "UNREACHABLE"
    assert len(alerts(book)) == 1
    pos.answer = lambda handler, _: reply(handler, 404)
    assert sync(book, TEN).state == "NOT_OFFERED"
    assert len(alerts(book)) == 1


SNAPSHOTS = st.lists(  # of hours apart, each SKU's price and the hours by which its change is dated off the look
    st.tuples(
        st.integers(1, 5),
        st.dictionaries(
            st.sampled_from("AB"), st.tuples(st.integers(1, 3), st.none() | st.integers(-6, 6)), max_size=2
        ),
    ),
    min_size=2,
    max_size=4,
)


@examples(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(snapshots=SNAPSHOTS)
def test_whatever_it_says_the_past_stays_and_the_present_is_what_it_says(
    book: Engine, pos: PointOfSale, snapshots: list[tuple[int, dict[str, tuple[int, int | None]]]]
) -> None:
    with book.begin() as connection:
        connection.execute(text("truncate shelf_price, price_source"))
    now = instant("00:00")
    hours = [now + timedelta(hours=hour, minutes=30) for hour in range(-6, 36)]
    for apart, prices in snapshots:
        before, seen, now = (
            {sku: prices_at(book, "POS-1", sku, hours) for sku in "AB"},
            now,
            now + timedelta(hours=apart),
        )
        pos.has_prices(
            *(
                row(sku, str(price), None if dated is None else now + timedelta(hours=dated))
                for sku, (price, dated) in prices.items()
            )
        )
        sync(book, now, force=True)
        for sku in "AB":
            after = prices_at(book, "POS-1", sku, [*hours, now])
            price, dated = prices.get(sku, (None, None))
            assert all(after[hour] == before[sku][hour] for hour in hours if hour < seen and before[sku][hour])
            if dated is None or dated <= 0:
                assert after[now] == price
                assert all(after[hour] == price for hour in hours if hour > now)
            else:
                assert all(after[hour] == price for hour in hours if hour >= now + timedelta(hours=dated))
    assert overlaps(book) == 0


def test_a_json_list_is_read_like_lines(book: Engine, pos: PointOfSale) -> None:
    pos.answer = lambda handler, _: reply(handler, 200, b'[{"item_sku": "A", "price": "1.00", "currency": "USD"}]')
    assert sync(book, NINE).rows == 1


def cart(trip: str, ended_at: datetime) -> Cart:
    return Cart(
        request_id=trip,
        shopping_trip_id=trip,
        store_id="POS-1",
        started_at=ended_at - FIVE_MINUTES,
        ended_at=ended_at,
        auth_events=(AuthEvent("11111111-1111-4111-8111-111111111111", False),),
        items=(CartItem(1, "A", "SKU", Decimal(2), "unit"),),
    )


def test_a_trip_that_ended_before_a_change_has_the_old_price_though_its_cart_comes_later(
    book: Engine, pos: PointOfSale
) -> None:
    pos.has_prices(row("A", "1.00"))
    sync(book, NINE)
    pos.has_prices(row("A", "1.20"))
    sync(book, NOON)
    with book.connect() as connection:
        for ended_at, price in ((NOON - timedelta(seconds=1), "1.00"), (NOON, "1.20")):
            (product,) = products_of(connection, cart("t", ended_at)).values()
            assert product.list_price == Decimal(price)
    serving = serving_engine(book.url, connections=1, timeout_seconds=5, application="test")
    for trip, ended_at in (("late", NOON - timedelta(minutes=1)), ("new", NOON + timedelta(minutes=1))):
        record_purchase(serving, cart(trip, ended_at), "{}", now=instant("18:00"), new_id=lambda trip=trip: f"p-{trip}")
    serving.dispose()
    with book.connect() as connection:
        totals = dict(connection.execute(text("select shopping_trip_id, total from purchase")).all())  # type: ignore[arg-type]
    assert totals == {"late": Decimal("2.00"), "new": Decimal("2.40")}


def test_prices_of_files_for_the_same_store_give_way_to_the_point_of_sale_at_its_next_look(
    book: Engine, pos: PointOfSale, tmp_path: Path
) -> None:
    pos.has_prices(row("A", "1.00"))
    config = Settings(price_source=str(tmp_path))
    sync_all(book, config, now=NINE)
    write(tmp_path, "prices.csv", f"POS-1,A,9.00,USD,{OLD},")
    results = sync_all(book, config, now=TEN)
    assert [result.state for result in results] == ["LOADED", "LOADED"]
    assert price_at(book, "POS-1", "A", TEN) == 1


def test_the_dag_brings_a_change_of_files_and_of_the_point_of_sale_into_force_at_its_next_run(
    book: Engine, pos: PointOfSale, home: Path, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKROOM_PRICE_SOURCE", str(home / "prices"))
    forget_configuration()
    add_store(book, "S1")
    first = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    pos.has_prices(row("A", "1.00"))
    write(home / "prices", "prices.csv", f"S1,A,1.50,USD,{OLD},")
    write(home / "prices", "promotions.csv")
    write(home / "prices", "taxes.csv", f"S1,FOOD,NY,0.05,{OLD},")
    sync_all(book, Settings(price_source=str(home / "prices")), now=first)
    pos.has_prices(row("A", "1.10"))
    write(home / "prices", "prices.csv", f"S1,A,1.60,USD,{OLD},")
    assert dag_bag.dags["price_sync"].test(logical_date=first + FIVE_MINUTES).state == "success"
    assert timeline(book, "POS-1", "A") == [("09:00", "09:05", "1"), ("09:05", "..", "1.1")]
    assert timeline(book, "S1", "A") == [("..", "09:05", "1.5"), ("09:05", "..", "1.6")]
    (home / "prices" / "prices.csv").write_text("half a li")
    pos.answer = lambda handler, _: reply(handler, 500)
    run = SimpleNamespace(run_type="manual", logical_date=first + 2 * FIVE_MINUTES, conf={}, run_id="r", run_after=NINE)
    looked = {result["source"]: result["state"] for result in price_sync_tasks.sync_files(dag_run=run)}
    assert looked == {"prices.csv": "REFUSED", "promotions.csv": "UNCHANGED", "taxes.csv": "UNCHANGED"}
    assert price_sync_tasks.sync_store("POS-1", dag_run=run)["state"] == "UNREACHABLE", "and no task fails"
    assert price_at(book, "S1", "A", NOON) == Decimal("1.60")
    assert len(alerts(book)) == 2


def test_a_run_where_no_store_has_a_point_of_sale_succeeds(book: Engine, dag_bag: DagBag) -> None:
    with book.begin() as connection:
        connection.execute(text("update store set pricing_provider = 'PRICE_BOOK'"))
    assert dag_bag.dags["price_sync"].test(logical_date=datetime(2026, 3, 3, 9, 0, tzinfo=UTC)).state == "success"


def test_in_a_scheduled_run_an_undated_change_counts_from_the_look_and_not_from_the_runs_logical_date() -> None:
    from airflow.utils.types import DagRunType

    run = SimpleNamespace(run_type=DagRunType.SCHEDULED, logical_date=NINE, conf={}, run_id="r", run_after=NINE)
    assert price_sync_tasks.looked_at({"dag_run": run}) > NINE + FIVE_MINUTES
    run.run_type = DagRunType.MANUAL
    assert price_sync_tasks.looked_at({"dag_run": run}) == NINE


def test_the_pipelines_role_may_synchronise(book: Engine, pos: PointOfSale, tmp_path: Path) -> None:
    pipeline = create_engine(book.url, connect_args={"options": "-c role=backroom_pipeline -c timezone=UTC"})
    config = Settings(price_source=str(tmp_path))
    for prices in (range(10), range(1)):
        pos.has_prices(*(row(f"P{number}", "1") for number in prices))
        write(tmp_path, "prices.csv", *(f"POS-1,P{number},1.00,USD,{OLD}," for number in prices))
        results = sync_all(pipeline, config, now=NINE)
    assert [result.state for result in results] == ["WAITS", "WAITS"]
    sync_all(pipeline, config, now=NINE, force=True)
    pipeline.dispose()
    assert open_questions(book) == []
