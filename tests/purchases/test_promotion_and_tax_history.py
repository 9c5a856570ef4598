"""A cart that comes late has the promotions and the tax of its trip's end, whatever the files say by then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from backroom.db.serving import serving_engine
from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.cart_facts import look_up
from backroom.purchases.price_lookup import products_of, promotions_for
from backroom.purchases.price_sources import SourceResult
from backroom.purchases.price_sync import sync_files
from backroom.purchases.pricing import CartItem
from backroom.purchases.promotions import Promotion
from backroom.purchases.shelf import Shelves
from backroom.reviews.cases import decide
from backroom.settings import Settings
from tests.purchases.price_world import add_store, alerts, instant, iso, open_questions, write
from tests.shoppers.accounts import add_account

OLD = "2026-01-01T00:00:00Z"
FOOD = f"S1,FOOD,NY,0.05,{OLD},"
NINE, TEN, NOON = instant("09:00"), instant("10:00"), instant("12:00")
LATER = TEN + timedelta(minutes=5)
BY_CARD = AuthEvent("11111111-1111-4111-8111-111111111111", by_app=False)


@pytest.fixture(scope="module")
def stores(database: Engine) -> Engine:
    add_store(database, "S1")
    add_store(database, "S2", currency="JPY")
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_run (run_id, business_date, source, state, started_at)"
                " overriding system value values (1, '2026-03-22', 's', 'DONE', now())"
            )
        )
        for sku in ("A", "B", "C"):
            connection.execute(
                text(
                    "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code,"
                    " unit, seen_in_run) values ('S1', :sku, '{}', 'h', 'an item', 'FOOD', 'unit', 1)"
                ),
                {"sku": sku},
            )
    return database


@pytest.fixture
def book(stores: Engine) -> Iterator[Engine]:
    """An empty price book."""
    empty(stores)
    return stores  # type: ignore[return-value]


@pytest.fixture(scope="module")
def serving(stores: Engine) -> Engine:
    return serving_engine(stores.url, connections=2, timeout_seconds=10, application="a test of late carts")


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in ("shelf_price", "tax_rate", "promotion", "price_source", "alert", "review_case"):
            connection.execute(text(f"delete from {table}"))


def sync(engine: Engine, folder: Path, now: datetime, *, force: bool = False) -> dict[str, SourceResult]:
    results = sync_files(engine, str(folder), now=now, drop_percent=20, force=force)
    return {result.source: result for result in results}


def offer(name: str, off: str, *, sku: str = "A", since: str = OLD, until: str = "", trip: str = "") -> str:
    kind = "BASKET_PERCENTAGE" if trip or not sku else "LINE_PERCENTAGE"
    return f"{name},S1,{kind},{sku if not trip else ''},{trip},{off},{since},{until},"


def cart(ended: datetime, trip: str = "T1") -> Cart:
    items = tuple(CartItem(number, sku, "SKU", Decimal(1), "unit") for number, sku in enumerate("ABC", 1))
    return Cart("r", trip, "S1", ended - timedelta(minutes=9), ended, (BY_CARD,), items)


def offered(engine: Engine, ended: datetime, trip: str = "T1") -> dict[str, tuple[str, str]]:
    """By promotion id, what it takes off and from which products, of a cart that comes at last: by both look-ups."""
    late = cart(ended, trip)
    with engine.connect() as connection:
        alone = promotions_for(connection, late, {"A", "B", "C"})
        at_once = look_up(connection, late).promotions(late, None)
    assert sorted(alone, key=_id) == sorted(at_once, key=_id)
    return {
        one.promotion_id: (f"{(one.percentage or Decimal(0)).normalize():f}", "".join(sorted(one.item_skus)))
        for one in alone
    }


def _id(promotion: Promotion) -> str:
    return promotion.promotion_id


def percentages(engine: Engine, ended: datetime) -> list[str]:
    return sorted(off for off, _ in offered(engine, ended).values())


def tax(engine: Engine, ended: datetime) -> Decimal:
    with engine.connect() as connection:
        return products_of(connection, cart(ended))["SKU", "A"].tax_rate


def test_a_promotion_whose_terms_change_keeps_the_old_ones_for_trips_that_ended_before(
    book: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1"))
    sync(book, tmp_path, NINE)
    sync(book, tmp_path, TEN)
    write(tmp_path, "promotions.csv", offer("SPRING", "0.2"))
    assert sync(book, tmp_path, LATER)["promotions.csv"].state == "LOADED"
    assert offered(book, TEN) == {"SPRING@2026-03-02T10:05:00Z": ("0.1", "A")}
    assert offered(book, LATER) == {"SPRING": ("0.2", "A")}


def test_a_promotion_whose_products_change_keeps_the_old_ones_for_trips_that_ended_before(
    book: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1", sku="A;B"))
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1", sku="B;C"))
    sync(book, tmp_path, TEN)
    assert set(offered(book, NINE).values()) == {("0.1", "AB")}
    assert offered(book, TEN) == {"SPRING": ("0.1", "BC")}


def test_a_promotion_that_the_file_drops_counts_for_trips_that_ended_before(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "promotions.csv", *(offer(f"P{number}", "0.1") for number in range(10)))
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", *(offer(f"P{number}", "0.1") for number in range(9)))
    assert sync(book, tmp_path, TEN)["promotions.csv"].state == "LOADED"
    assert len(offered(book, NINE)) == 10
    assert len(offered(book, TEN)) == 9


def test_a_promotion_that_is_dated_back_does_not_make_earlier_trips_cheaper(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "promotions.csv", offer("OLD", "0.1"))
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", offer("OLD", "0.1"), offer("NEW", "0.5"))
    sync(book, tmp_path, TEN)
    assert percentages(book, NINE) == ["0.1"]
    assert percentages(book, TEN) == ["0.1", "0.5"]


def test_a_change_that_is_dated_after_the_last_look_counts_from_its_date(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1"), offer("ENDS", "0.3"))
    sync(book, tmp_path, NINE)
    two = NINE + timedelta(minutes=2)
    write(tmp_path, "promotions.csv", offer("SPRING", "0.2", since=iso(two)), offer("ENDS", "0.3", until=iso(two)))
    sync(book, tmp_path, NINE + timedelta(minutes=5))
    assert percentages(book, NINE + timedelta(minutes=1)) == ["0.1", "0.3"]
    assert percentages(book, two) == ["0.2"]


def test_terms_that_come_back_are_those_of_each_time(book: Engine, tmp_path: Path) -> None:
    for hour, off in ((9, "0.1"), (10, "0.2"), (11, "0.1"), (12, "0.3")):
        write(tmp_path, "promotions.csv", offer("SPRING", off))
        sync(book, tmp_path, instant(f"{hour:02}:00"))
    hours = [instant(f"{hour:02}:30") for hour in (8, 9, 10, 11, 12)]
    assert [percentages(book, hour) for hour in hours] == [["0.1"], ["0.1"], ["0.2"], ["0.1"], ["0.3"]]


def test_a_baskets_own_promotion_counts_also_where_it_is_given_after_the_trip(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "promotions.csv", offer("OLD", "0.1"))
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", offer("OLD", "0.1"), offer("SORRY", "0.5", trip="T7"))
    sync(book, tmp_path, TEN)
    assert offered(book, NINE, "T7") == {"OLD": ("0.1", "A"), "SORRY": ("0.5", "")}
    assert offered(book, NINE, "T8") == {"OLD": ("0.1", "A")}


def test_promotions_of_a_loyalty_account_keep_their_versions_for_it(book: Engine, tmp_path: Path) -> None:
    with book.begin() as connection:
        add_account(connection, "CLUB-1", "h", "club", None, ["CLUB"])
    header = "promotion_id,store_id,kind,item_sku,shopping_trip_id,percentage,valid_from,valid_to,description,loyalty\n"
    for off, now in (("0.1", NINE), ("0.2", TEN)):
        line = f"CLUB,S1,LINE_PERCENTAGE,A,,{off},{OLD},,,true\n"
        (tmp_path / "promotions.csv").write_text(header + line)
        sync(book, tmp_path, now)
    scanned = AuthEvent("3", by_app=True, shopper_id="CLUB-1", shopper_type="LOYALTY")
    late = cart(NINE)
    member = Cart(*(getattr(late, name) for name in ("request_id", "shopping_trip_id", "store_id", "started_at",
                                                     "ended_at")), (BY_CARD, scanned), late.items)  # fmt: skip
    with book.connect() as connection:
        found = look_up(connection, member).promotions(member, None)
        alone = promotions_for(connection, member, {"A"})
    assert [one.percentage for one in found] == [one.percentage for one in alone] == [Decimal("0.1")]
    assert offered(book, NINE) == {}


def test_a_late_cart_is_priced_from_the_shelf_by_the_same_versions(
    book: Engine, serving: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1", sku="A;B"), offer("ALL", "0.05", sku=""))
    write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.05,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", offer("SPRING", "0.2", sku="B;C"), offer("ALL", "0.15", sku=""))
    write(tmp_path, "taxes.csv", f"S1,FOOD,NY,0.06,{OLD},")
    sync(book, tmp_path, TEN)
    shelves = Shelves()
    for ended in (NINE, LATER):
        late = cart(ended)
        shelf = shelves.of(serving, late)
        assert shelf is not None
        with book.connect() as connection:
            facts = look_up(connection, late)
        found = shelf.promotions(late, loyalty_possible=False)
        assert found is not None
        assert sorted(found, key=_id) == sorted(facts.promotions(late, None), key=_id)
        assert shelf.products(late) == facts.products
    assert (tax(book, NINE), tax(book, LATER)) == (Decimal("0.05"), Decimal("0.06"))


def test_a_tax_rate_that_changes_or_is_dropped_stays_for_trips_that_ended_before(book: Engine, tmp_path: Path) -> None:
    others = [f"S1,T{number},NY,0.01,{OLD}," for number in range(9)]
    write(tmp_path, "taxes.csv", *others, f"S1,FOOD,NY,0.05,{OLD},")
    sync(book, tmp_path, NINE)
    write(tmp_path, "taxes.csv", *others, f"S1,FOOD,NY,0.06,{OLD},")
    sync(book, tmp_path, TEN)
    write(tmp_path, "taxes.csv", *others)
    sync(book, tmp_path, NOON)
    assert [tax(book, ended) for ended in (NINE, TEN, NOON)] == [Decimal("0.05"), Decimal("0.06"), Decimal(0)]


@pytest.mark.parametrize(
    ("name", "lines", "what"),
    [
        ("promotions.csv", [offer(f"P{number}", "0.1") for number in range(10)], "promotions"),
        ("taxes.csv", [*(f"S1,T{number},NY,0.01,{OLD}," for number in range(9)), FOOD], "tax rates"),
    ],
)  # fmt: skip
def test_a_file_that_lacks_many_of_them_waits_for_a_person(
    book: Engine, tmp_path: Path, name: str, lines: list[str], what: str
) -> None:
    write(tmp_path, name, *lines)
    sync(book, tmp_path, NINE)
    write(tmp_path, name, *lines[:7])
    result = sync(book, tmp_path, TEN)[name]
    assert (result.state, f"3 of the 10 {what} of store S1" in result.reason) == ("WAITS", True)
    sync(book, tmp_path, LATER)
    ((case, question),) = open_questions(book)
    assert f"3 of the 10 {what} of store S1" in question
    assert len([title for title in alerts(book) if what in title]) == 1
    assert len(offered(book, LATER)) == (10 if name == "promotions.csv" else 0)
    assert tax(book, LATER) == (Decimal("0.05") if name == "taxes.csv" else 0)
    with book.begin() as connection:
        decide(connection, case, "load", by="ann", reason="they have ended", now=LATER)
    assert sync(book, tmp_path, NOON)[name].state == "LOADED"
    assert len(offered(book, NOON)) == (7 if name == "promotions.csv" else 0)
    assert tax(book, NOON) == 0


def test_promotions_that_end_as_they_were_dated_and_those_of_one_basket_are_not_missed(
    book: Engine, tmp_path: Path
) -> None:
    stays = [offer(f"P{number}", "0.1") for number in range(4)]
    ended = [offer(f"W{number}", "0.1", until=iso(TEN)) for number in range(9)]
    baskets = [offer(f"B{number}", "0.1", trip=f"T{number}") for number in range(9)]
    write(tmp_path, "promotions.csv", *stays, *ended, *baskets)
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", *stays)
    assert sync(book, tmp_path, NOON)["promotions.csv"].state == "LOADED"
    assert len(offered(book, NINE, "T3")) == 14


def test_a_promotion_may_not_have_the_name_of_a_former_version(book: Engine, tmp_path: Path) -> None:
    write(tmp_path, "promotions.csv", offer("SPRING", "0.1"))
    sync(book, tmp_path, NINE)
    write(tmp_path, "promotions.csv", offer("SPRING", "0.2"), offer("SPRING@2026-03-02T10:00:00Z", "0.3"))
    result = sync(book, tmp_path, TEN)["promotions.csv"]
    assert result.state == "REFUSED"
    assert "'SPRING@2026-03-02T10:00:00Z' is the name of a former version" in result.reason
    assert offered(book, TEN) == {"SPRING": ("0.1", "A")}


ROWS = st.lists(
    st.tuples(st.sampled_from("PQ"), st.sampled_from(["0.1", "0.2"]), st.sampled_from(["A", "A;B"]),
              st.integers(0, 14), st.integers(1, 14)),
    max_size=2, unique_by=lambda row: row[0],
)  # fmt: skip


def in_force(engine: Engine, hours: list[datetime]) -> dict[datetime, dict[str, tuple[str, str]]]:
    """As `offered`, straight from the table and for all hours at once."""
    query = text(
        "select at, promotion_id, percentage, (select string_agg(item_sku, '' order by item_sku) from promotion_item"
        " where promotion_item.promotion_id = promotion.promotion_id) as skus"
        " from unnest(cast(:hours as timestamptz[])) as at join promotion"
        " on valid_from <= at and (valid_to is null or valid_to > at)"
    )
    found: dict[datetime, dict[str, tuple[str, str]]] = {hour: {} for hour in hours}
    with engine.connect() as connection:
        for at, name, percentage, skus in connection.execute(query, {"hours": hours}):
            found[at][name] = (f"{percentage.normalize():f}", skus)
    return found


@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(ROWS, min_size=2, max_size=4))
def test_no_look_changes_what_was_in_force_before_the_last_one_and_from_now_on_the_file_counts(
    stores: Engine, tmp_path: Path, files: list[list[tuple[str, str, str, int, int]]]
) -> None:
    """Hours of one day; at 02:30, 06:30, … a file is looked at. One promotion never counts twice at an instant."""
    empty(stores)
    hours = [instant("00:00") + timedelta(hours=hour) for hour in range(24)]
    seen = None
    for number, rows in enumerate(files):
        now = instant("02:30") + timedelta(hours=4 * number)
        before = in_force(stores, hours)
        lines = [
            offer(name, off, sku=skus, since=iso(hours[start]), until=iso(hours[start] + timedelta(hours=lasts)))
            for name, off, skus, start, lasts in rows
        ]
        write(tmp_path, "promotions.csv", *lines, offer("STAYS", "0.01", since=OLD))
        assert sync(stores, tmp_path, now, force=True)["promotions.csv"].state in ("LOADED", "UNCHANGED")
        for hour, found in in_force(stores, hours).items():
            assert len({name.partition("@")[0] for name in found}) == len(found)
            if seen is not None and hour <= seen:
                assert sorted(found.values()) == sorted(before[hour].values())
            if hour >= now:
                said = [
                    (off, skus.replace(";", ""))
                    for _, off, skus, start, lasts in rows
                    if hours[start] <= hour < hours[start] + timedelta(hours=lasts)
                ]
                assert sorted(found.values()) == sorted([*said, ("0.01", "A")])
        seen = now


def test_promotions_may_have_a_share_of_their_own(book: Engine, tmp_path: Path) -> None:
    def look(*names: str) -> str:
        write(tmp_path, "promotions.csv", *(offer(name, "0.1") for name in names))
        shares = {"promotions.csv": Settings().promotion_drop_percent}
        (result,) = (
            one
            for one in sync_files(book, str(tmp_path), now=TEN, drop_percent=20, drop_percent_of=shares)
            if one.source == "promotions.csv"
        )
        return result.state

    assert [look("A", "B", "C"), look("A", "B"), look("A"), look("Z")] == ["LOADED", "LOADED", "LOADED", "WAITS"]
