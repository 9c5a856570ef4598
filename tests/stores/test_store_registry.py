"""Stores are loaded whole or not at all, and what is wrong is said in one line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update
from typer.testing import CliRunner

from backroom.errors import SourceFileError
from backroom.reconciliation import on_demand
from backroom.stores.commands import app
from backroom.stores.ids import REPORT_OF_ALL_STORES, usable
from backroom.stores.registry import all_stores, get_store, load_stores
from backroom.stores.tables import store

NEW_YORK = {
    "store_id": "STORE-001",
    "name": "Fifth Avenue",
    "merchant": "backroom-demo",
    "time_zone": "America/New_York",
    "currency": "USD",
    "tax_jurisdiction": "US-NY",
    "risk_strategy": "RETAILER_MANAGED",
    "after_decline": "none",
    "preauthorization_amount": "75.00",
    "feeds": ["FILES", "EVENTS"],
}


def write(folder: Path, content: Any) -> Path:
    file = folder / "stores.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_loaded_stores_are_read_back(database: Engine, tmp_path: Path) -> None:
    file = write(tmp_path, [NEW_YORK, {**NEW_YORK, "store_id": "STORE-002", "feeds": ["FILES"]}])
    with database.begin() as connection:
        assert load_stores(connection, file) == 2
        first, second = all_stores(connection)
    assert first.preauthorization_amount == Decimal("75.00")
    assert first.feeds == ("FILES", "EVENTS")
    assert (second.store_id, second.feeds) == ("STORE-002", ("FILES",))


def test_a_store_says_how_it_prices_and_whose_debts_count(database: Engine, tmp_path: Path) -> None:
    own = {
        **NEW_YORK,
        "prices_include_tax": True,
        "pricing_provider": "POINT_OF_SALE",
        "point_of_sale_url": "https://pos.example.com/store-001/",
        "balance_scope": "THIS_STORE",
    }
    with database.begin() as connection:
        load_stores(connection, write(tmp_path, [own, {**NEW_YORK, "store_id": "STORE-002"}]))
        first, second = all_stores(connection)
    assert (first.prices_include_tax, first.pricing_provider, first.balance_scope) == (
        True, "POINT_OF_SALE", "THIS_STORE",
    )  # fmt: skip
    assert first.point_of_sale_url == "https://pos.example.com/store-001"
    assert (second.prices_include_tax, second.pricing_provider, second.point_of_sale_url, second.balance_scope) == (
        False, "PRICE_BOOK", None, "ALL_STORES",
    )  # fmt: skip


def test_loading_again_updates_and_keeps_the_others(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        load_stores(connection, write(tmp_path, [NEW_YORK, {**NEW_YORK, "store_id": "STORE-002"}]))
        load_stores(connection, write(tmp_path, [{**NEW_YORK, "name": "Sixth Avenue"}]))
        found = get_store(connection, "STORE-001")
        assert found is not None
        assert found.name == "Sixth Avenue"
        assert get_store(connection, "STORE-002") is not None
        assert get_store(connection, "STORE-009") is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[{", "line 1, column 3"),
        ("root:x:0:0:root:/root:/bin/sh", "line 1, column 1: not JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"store_id": "A"}', "holds no list"),
        ([{**NEW_YORK, "time_zone": "Mars/Olympus"}], "entry 1, field 'time_zone'"),
        ([{**NEW_YORK, "currency": "ZZZ"}], "entry 1, field 'currency'"),
        ([{**NEW_YORK, "preauthorization_amount": 75.0}], "entry 1, field 'preauthorization_amount'"),
        ([{**NEW_YORK, "feeds": []}], "field 'feeds'"),
        ([{**NEW_YORK, "risk_strategy": "HOPE"}], "entry 1, field 'risk_strategy'"),
        ([{**NEW_YORK, "prices_include_tax": "yes"}], "entry 1, field 'prices_include_tax'"),
        ([{**NEW_YORK, "pricing_provider": "ORACLE"}], "entry 1, field 'pricing_provider'"),
        ([{**NEW_YORK, "pricing_provider": "POINT_OF_SALE"}], "field 'point_of_sale_url': POINT_OF_SALE needs it"),
        ([{**NEW_YORK, "point_of_sale_url": "ftp://pos"}], "entry 1, field 'point_of_sale_url': not a base address"),
        ([{**NEW_YORK, "point_of_sale_url": "https://pos:x"}], "entry 1, field 'point_of_sale_url'"),
        ([{**NEW_YORK, "balance_scope": "MINE"}], "entry 1, field 'balance_scope'"),
        ([NEW_YORK, {"store_id": "X"}], "entry 2, field 'name': Field required"),
        ([NEW_YORK, NEW_YORK], "'STORE-001' is in it twice"),
        ([NEW_YORK, {**NEW_YORK, "store_id": "company"}], "entry 2, field 'store_id': the reports of all stores have"),
        ([{**NEW_YORK, "store_id": "Company"}], "give the store another id (it is 'Company')"),
        ([{**NEW_YORK, "store_id": "../S"}], "holds '/', which no file's name may"),
        ([{**NEW_YORK, "store_id": "S*"}], "holds '*', which no file's name may"),
        ([{**NEW_YORK, "store_id": "S\n1"}], "holds '\\n', which no file's name may"),
        ([{**NEW_YORK, "store_id": ".."}], "begins or ends with a blank or a dot"),
        ([{**NEW_YORK, "store_id": "S "}], "begins or ends with a blank or a dot"),
        ([{**NEW_YORK, "store_id": "店" * 67}], "is longer than 200 bytes"),
        ([NEW_YORK, {**NEW_YORK, "store_id": "Store-001"}], "'Store-001' and 'STORE-001' differ only in"),
    ],
)
def test_a_wrong_file_is_refused_and_named(database: Engine, tmp_path: Path, content: Any, complaint: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(SourceFileError) as refused, database.begin() as connection:
        load_stores(connection, file)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_store_that_differs_from_one_of_ours_only_in_its_letters_is_refused(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        load_stores(connection, write(tmp_path, [{**NEW_YORK, "store_id": "STORE-051"}]))
        assert load_stores(connection, write(tmp_path, [{**NEW_YORK, "store_id": "STORE-051"}])) == 1
        with pytest.raises(SourceFileError, match="'store-051' and 'STORE-051' differ only"):
            load_stores(connection, write(tmp_path, [{**NEW_YORK, "store_id": "store-051"}]))


def test_a_store_that_is_ours_already_is_loaded_whatever_its_id(database: Engine, tmp_path: Path) -> None:
    ours = [{**NEW_YORK, "store_id": one} for one in ("STORE-061", "store-061", "NORTH:1", "Company")]
    with database.connect() as connection:
        load_stores(connection, write(tmp_path, [{**NEW_YORK, "store_id": f"kept-{n}"} for n, _ in enumerate(ours)]))
        for number, one in enumerate(ours):
            connection.execute(
                update(store).where(store.c.store_id == f"kept-{number}").values(store_id=one["store_id"])
            )
        assert load_stores(connection, write(tmp_path, [{**one, "name": "Seen again"} for one in ours])) == len(ours)
        names = [one.name for one in all_stores(connection) if one.store_id in {our["store_id"] for our in ours}]
        assert names == ["Seen again"] * len(ours)
        with pytest.raises(SourceFileError, match=r"'Store-061' and '(STORE|store)-061' differ only"):
            load_stores(connection, write(tmp_path, [{**NEW_YORK, "store_id": "Store-061"}]))


def test_the_name_that_no_store_may_have_is_that_of_the_reports_of_all() -> None:
    assert REPORT_OF_ALL_STORES == on_demand.COMPANY


@pytest.mark.parametrize("store_id", ["STORE 1", "s.1", "[north]", "Köln-3", "x" * 200])
def test_other_ids_are_taken_as_they_are(store_id: str) -> None:
    assert usable(store_id) == store_id


def test_a_missing_file_is_one_line(database: Engine, tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match=r"nowhere\.json: No such file"), database.begin() as connection:
        load_stores(connection, tmp_path / "nowhere.json")


def test_the_command_lists_what_it_loaded(database: Engine, tmp_path: Path) -> None:
    runner = CliRunner()
    file = write(tmp_path, [{**NEW_YORK, "store_id": "STORE-007", "test": True}])
    assert "1 stores loaded" in runner.invoke(app, ["load", str(file)]).output
    listed = json.loads(runner.invoke(app, ["list", "--json"]).output)
    assert "STORE-007" in [store["store_id"] for store in listed]
    assert "STORE-007" in runner.invoke(app, ["list"]).output
