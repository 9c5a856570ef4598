"""A source that lacks or changes a large share of a store's products waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.catalog import difference, guard_rail, sync
from backroom.catalog.source import Source
from backroom.reviews import cases
from tests.catalog.conftest import NOW, TODAY, ask, item, write_csv


@pytest.fixture
def narrow(clean: Engine, configure: Callable[..., None]) -> Engine:
    """At most 10 % gone and 50 % changed; 2 products always may."""
    configure(catalog_archive_percent=10, catalog_change_percent=50, catalog_guard_items=2)
    with clean.begin() as connection:
        connection.execute(text("update store set active = true"))
    return clean


def night(engine: Engine, folder: Path, now: datetime = NOW, store: str | None = None) -> int:
    return sync.start_run(engine, source=Source(str(folder)), business_date=TODAY, now=now, store_id=store)


def write(folder: Path, store: str, numbers: range, **changes: str) -> None:
    write_csv(folder, [item(number, store_id=store, **changes) for number in numbers], store)


def products(engine: Engine, store: str) -> int:
    return int(ask(engine, f"select count(*) from catalog_item where store_id = '{store}' and not gone")[0][0])


def decide(engine: Engine, choice: str) -> None:
    with engine.begin() as connection:
        ((case_id,),) = connection.execute(text("select case_id from review_case where decision is null"))
        cases.decide(connection, case_id, choice, by="anna", reason="looked at it", now=NOW)


def released(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(guard_rail.released(connection))


def test_a_file_cut_short_takes_nothing_away_and_asks_once_while_other_stores_go_on(
    narrow: Engine, tmp_path: Path
) -> None:
    for store in ("STORE-001", "STORE-002"):
        write(tmp_path, store, range(40))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(25))  # whole lines, but fewer of them
    write(tmp_path, "STORE-002", range(41))
    for _ in range(2):
        night(narrow, tmp_path)
    assert products(narrow, "STORE-001") == 40
    assert products(narrow, "STORE-002") == 41
    assert ask(narrow, "select held_stores from catalog_run order by run_id desc limit 1") == [(["STORE-001"],)]
    assert ask(narrow, "select kind, store_id, known->>'gone', asked_by from review_case") == [
        ("CATALOG_CHANGE", "STORE-001", "15", "catalog")
    ]
    assert ask(narrow, "select severity, store_id from alert") == [("critical", "STORE-001")]


def test_what_a_person_lets_on_counts_at_the_next_run(narrow: Engine, tmp_path: Path) -> None:
    write(tmp_path, "STORE-001", range(40))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(25))
    night(narrow, tmp_path)
    assert released(narrow) == []
    decide(narrow, "send")
    assert released(narrow) == ["STORE-001"]
    night(narrow, tmp_path, NOW + timedelta(minutes=10), "STORE-001")
    assert products(narrow, "STORE-001") == 25
    assert released(narrow) == []


def test_what_a_person_keeps_stays_as_it_was_without_being_asked_again(narrow: Engine, tmp_path: Path) -> None:
    write(tmp_path, "STORE-001", range(40))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(25))
    night(narrow, tmp_path)
    decide(narrow, "keep")
    night(narrow, tmp_path)
    assert products(narrow, "STORE-001") == 40
    assert ask(narrow, "select count(*) from review_case") == [(1,)]
    write(tmp_path, "STORE-001", range(20))  # another content is another question
    night(narrow, tmp_path)
    assert ask(narrow, "select count(*) from review_case") == [(2,)]


def test_many_changes_wait_too_and_few_never_do(narrow: Engine, tmp_path: Path) -> None:
    write(tmp_path, "STORE-001", range(40))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(40), standard_price="5.00")
    write(tmp_path, "STORE-002", range(1))  # two of three are gone: so many always may
    night(narrow, tmp_path)
    assert ask(narrow, "select distinct record->>'standard_price' from catalog_item where store_id = 'STORE-001'") == [
        ("1.99",)
    ]
    assert products(narrow, "STORE-002") == 1
    with narrow.connect() as connection:
        assert difference.count(connection, "STORE-001").changed == 0


def test_a_unit_that_changes_for_all_waits_too_and_what_was_decided_holds_for_that_unit_alone(
    narrow: Engine, tmp_path: Path
) -> None:
    write(tmp_path, "STORE-001", range(40))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(40), unit="kg")  # each price would be one for a kilogram
    night(narrow, tmp_path)
    decide(narrow, "send")
    write(tmp_path, "STORE-001", range(40), unit="lb")
    night(narrow, tmp_path)
    units = "select distinct unit from catalog_item where store_id = 'STORE-001'"
    assert ask(narrow, units) == [("unit",)]
    write(tmp_path, "STORE-001", range(40), unit="kg")
    night(narrow, tmp_path)
    assert ask(narrow, units) == [("kg",)]


def test_rejected_rows_are_not_counted_as_gone(narrow: Engine, tmp_path: Path) -> None:
    write(tmp_path, "STORE-001", range(20))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    bad = [item(n, standard_price="free") for n in range(10)]
    write_csv(tmp_path, [*bad, *(item(n) for n in range(10, 20))])
    night(narrow, tmp_path)
    assert ask(narrow, "select held_stores from catalog_run order by run_id desc limit 1") == [([],)]
    assert products(narrow, "STORE-001") == 20


def test_the_pipelines_role_may_hold_a_store_back_and_ask(narrow: Engine, tmp_path: Path) -> None:
    write(tmp_path, "STORE-001", range(40))
    write(tmp_path, "STORE-002", range(3))
    night(narrow, tmp_path)
    write(tmp_path, "STORE-001", range(5))
    from backroom.db.engine import make_engine
    from backroom.db.roles import set_password

    set_password(narrow, "backroom_pipeline", "for-the-test")
    pipeline = make_engine(narrow.url.set(username="backroom_pipeline", password="for-the-test"))
    night(pipeline, tmp_path)
    pipeline.dispose()
    assert ask(narrow, "select count(*) from review_case") == [(1,)]
