"""backroom stock: what people see and enter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.cli import main
from backroom.settings import settings
from tests.inventory.conftest import NOON, Shop, after
from tests.inventory.point_of_sale import serving

AT = NOON.isoformat()


@pytest.fixture
def configure(database: Engine) -> Iterator[Callable[[str, str], None]]:
    """Sets a setting of this process, until the test ends."""
    with pytest.MonkeyPatch.context() as patch:

        def set_to(name: str, value: str) -> None:
            patch.setenv(name, value)
            settings.cache_clear()

        yield set_to
    settings.cache_clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["stock", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def buy(shop: Shop, trip: str, *lines: tuple[str, str]) -> str:
    """A trip that is known as a purchase, too."""
    name = shop.trip(trip)
    with shop.engine.begin() as connection:
        connection.execute(
            text(
                "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                " entry_method, trip_started_at, trip_ended_at, state, currency, list_total, promotion_total,"
                " tax_total, total, body_hash, raw_body, response_body, received_at)"
                " values (cast(:trip as text), cast(:trip as text), 'r', :store, '2026-11-23', 'APP', :at, :at,"
                " 'PRICED', 'USD', 0, 0, 0, 0, 'h', '{}', '', :at)"
            ),
            {"trip": name, "store": shop.store_id, "at": NOON},
        )
    shop.sell(trip, *lines)
    return name


def audited(shop: Shop, action: str) -> list[tuple[object, ...]]:
    return shop.rows(
        f"select subject, details->>'quantity', reason from audit_entry where action = '{action}'"
        " and (details->>'store_id' = :store or subject like :store || '-%') order by entry_id"
    )


def test_show_tells_each_stores_level_and_what_moved_last(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.deliver("A", "1", at=after(-5))
    shop.sell("1", ("A", "2"))
    code, out, _ = run(capsys, "show", "A", "--store", shop.store_id, "--json")
    assert code == 0
    told = json.loads(out)
    assert [(level["store_id"], level["quantity"], level["below_zero"]) for level in told["levels"]] == [
        (shop.store_id, "-1", True)
    ]
    assert [(move["kind"], move["quantity"]) for move in told["movements"]] == [("SALE", "-2"), ("DELIVERY", "1")]
    _, out, _ = run(capsys, "show", "A", "--store", shop.store_id, "--last", "1")
    assert "BELOW ZERO" in out
    assert "DELIVERY" not in out
    assert shop.store_id in run(capsys, "show", "A")[1]


def test_a_sku_that_never_moved_is_one_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "NOTHING") == (
        2,
        "",
        "backroom: nothing of 'NOTHING' has moved yet; `backroom catalog skus --store STORE` shows the SKUs\n",
    )


def test_list_begins_with_the_lowest(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.deliver("A", "5")
    shop.sell("1", ("B", "3"))
    listed = json.loads(run(capsys, "list", "--store", shop.store_id, "--json")[1])
    assert [(level["item_sku"], level["quantity"], level["below_zero"]) for level in listed] == [
        ("B", "-3", True),
        ("A", "5", False),
    ]
    _, out, _ = run(capsys, "list", "--store", shop.store_id, "--limit", "1")
    assert "BELOW ZERO" in out
    assert run(capsys, "list", "--store", "NOWHERE")[2].startswith("backroom: there is no store 'NOWHERE'")


def test_a_count_by_hand_is_audited_and_counts_once(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.sell("1", ("A", "2"), at=after(-1))
    asked = ("count", "--store", shop.store_id, "--sku", "A", "--quantity", "7", "--at", AT)
    assert run(capsys, *asked) == (0, "1 counts recorded, 0 were recorded already\n", "")
    assert run(capsys, *asked) == (0, "0 counts recorded, 1 were recorded already\n", "")
    assert shop.level("A") == 7
    assert audited(shop, "stock.count") == [("A", "7", "")]


def test_a_file_of_counts_goes_in_whole_or_not_at_all(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "counts.csv"
    head = "store_id,item_sku,quantity,counted_at\n"
    good = f"{shop.store_id},A,7,{AT}\n{shop.store_id},NUTS,0.25,{AT}\n"
    file.write_text(f"{head}{good}{shop.store_id},UNKNOWN,1,{AT}\n")
    code, _, err = run(capsys, "count", str(file))
    assert code == 2
    assert err == f"backroom: '{shop.store_id}' has no product 'UNKNOWN' in its catalog; nothing was recorded\n"
    file.write_text(f"{head}{good}{shop.store_id},B,-1,{AT}\n")
    assert "line 4, column 'quantity'" in run(capsys, "count", str(file))[2]
    assert shop.levels() == []
    file.write_text(head + good)
    assert run(capsys, "count", str(file))[1] == "2 counts recorded, 0 were recorded already\n"
    assert [str(level.quantity.normalize()) for level in shop.levels()] == ["0.25", "7"]


def test_deliveries_count_once_for_their_note(shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    by_hand = ("deliver", "--store", shop.store_id, "--sku", "A", "--quantity", "12", "--reference", "note-1")
    assert run(capsys, *by_hand, "--at", AT)[1] == "1 deliveries recorded, 0 were recorded already\n"
    file = tmp_path / "deliveries.csv"
    file.write_text(
        "store_id,item_sku,quantity,reference,delivered_at\n"
        f"{shop.store_id},A,12,note-1,{AT}\n{shop.store_id},B,3,note-1,{AT}\n"
    )
    assert run(capsys, "deliver", str(file))[1] == "1 deliveries recorded, 1 were recorded already\n"
    assert (shop.level("A"), shop.level("B")) == (12, 3)
    assert audited(shop, "stock.deliver") == [("A", "12", ""), ("B", "3", "")]


def test_goods_come_back_from_their_trip_and_no_more_than_it_took(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    trip = buy(shop, "1", ("A", "3"))
    asked = ("return", "--trip", trip, "--sku", "A", "--quantity", "2", "--reason", "unopened", "--at", AT)
    assert run(capsys, *asked)[:2] == (0, "2 of A returned\n")
    assert run(capsys, *asked)[1] == "return 1 of A is recorded already; a further one needs --number 2\n"
    assert shop.level("A") == -1
    code, _, err = run(capsys, *asked, "--number", "2")
    assert code == 2
    assert err == f"backroom: trip {trip} can't give back 2 unit of A: 1 of what it sold are left\n"
    assert audited(shop, "stock.return") == [(trip, "2", "unopened")]
    assert "sold no B" in run(capsys, "return", "--trip", trip, "--sku", "B", "--quantity", "1", "--reason", "x")[2]
    assert "sold no A" in run(capsys, "return", "--trip", "nil", "--sku", "A", "--quantity", "1", "--reason", "x")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["count"], "give either a file or one entry by its options"),
        (["count", "file.csv", "--sku", "A"], "give either a file or one entry by its options"),
        (["count", "/nowhere.csv"], "/nowhere.csv: No such file or directory"),
        (["count", "--store", "S", "--sku", "A"], "--quantity: not a plain decimal number such as 12.50 (it is '')"),
        (["count", "--store", "S", "--sku", "A", "--quantity", "1e3"], "--quantity: not a plain decimal number"),
        (["count", "--store", "S", "--sku", "A", "--quantity", "1", "--at", "noon"], "--at: "),
        (["deliver", "--store", "S", "--sku", "A", "--quantity", "0", "--reference", "n"], "--quantity: must be above"),
        (["deliver", "--store", "S", "--sku", "A", "--quantity", "1"], "--reference: "),
        (["return", "--trip", "t", "--sku", "A", "--quantity", "-1", "--reason", "x"], "--quantity: not a plain"),
        (["export", "--store", "NOWHERE"], "there is no store 'NOWHERE'"),
        (["export", "--again", "999999"], "export 999999 is not there or has been taken"),
    ],
)
def test_a_mistake_is_one_line(shop: Shop, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"backroom: {said}")
    assert err.count("\n") == 1


def test_export_tells_a_store_and_says_what_is_not_taken(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as point_of_sale:
        point_of_sale.script.append(400)
        with shop.engine.begin() as connection:
            connection.execute(
                text("update store set point_of_sale_url = :url where store_id = :store"),
                {"url": point_of_sale.url, "store": shop.store_id},
            )
        shop.sell("1", ("A", "2"))
        code, out, _ = run(capsys, "export", "--store", shop.store_id)
        assert (code, out) == (
            1, f"{shop.store_id}: 1 new movements; exports: 0 taken, 1 refused, 0 waiting\n"
        )  # fmt: skip
        (export,) = json.loads(run(capsys, "exports", "--store", shop.store_id, "--json")[1])
        assert (export["state"], export["answer"]) == ("REFUSED", 'REFUSED: HTTP 400: {"error": "no SKU"}')
        assert run(capsys, "export", "--again", str(export["export_id"]))[0] == 0
        assert json.loads(run(capsys, "exports", "--store", shop.store_id, "--json")[1]) == []
        assert len(json.loads(run(capsys, "exports", "--store", shop.store_id, "--all", "--json")[1])) == 1
        assert point_of_sale.levels[shop.store_id, "A"] == -2


@pytest.mark.parametrize(
    ("choice", "with_url", "told_by"),
    [
        ("auto", True, ["HTTP"]), ("auto", False, ["FILE"]), ("both", True, ["FILE", "HTTP"]), ("file", True, ["FILE"]),
        ("http", True, ["HTTP"]), ("http", False, []), ("off", True, []),
    ],
)  # fmt: skip
def test_the_setting_and_the_stores_url_choose_the_channels(
    shop: Shop,
    capsys: pytest.CaptureFixture[str],
    configure: Callable[[str, str], None],
    choice: str,
    with_url: bool,
    told_by: list[str],
) -> None:
    configure("BACKROOM_STOCK_EXPORT", choice)
    shop.sell("1", ("A", "2"))
    with serving() as point_of_sale:
        if with_url:
            with shop.engine.begin() as connection:
                connection.execute(
                    text("update store set point_of_sale_url = :url where store_id = :store"),
                    {"url": point_of_sale.url, "store": shop.store_id},
                )
        assert run(capsys, "export", "--store", shop.store_id)[0] == 0
        assert len(point_of_sale.calls) == told_by.count("HTTP")
    files = list((settings().home / "stock-exports").glob(f"*-{shop.store_id}.csv"))
    assert len(files) == told_by.count("FILE")
    told = shop.rows("select channel, state from stock_export where store_id = :store order by channel")
    assert told == [(channel, "DONE") for channel in told_by]


@pytest.mark.parametrize("target", ["s3://", "s3:///prefix", "ftp://till/folder"])
def test_a_wrong_target_for_files_is_one_line_and_nothing_is_claimed(
    shop: Shop, capsys: pytest.CaptureFixture[str], configure: Callable[[str, str], None], target: str
) -> None:
    configure("BACKROOM_STOCK_EXPORT_FILES", target)
    shop.sell("1", ("A", "2"))
    code, _, err = run(capsys, "export", "--store", shop.store_id)
    assert (code, err.count("\n")) == (2, 1)
    assert repr(target) in err
    assert shop.rows("select 1 from stock_export where store_id = :store") == []
