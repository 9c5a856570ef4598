"""backroom catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.catalog import sync
from backroom.catalog.source import Source
from backroom.cli import main
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from tests.catalog.conftest import NOW, TODAY, ask, item, write_csv
from tests.catalog.test_sync import load
from tests.sandbox_fixtures import SandboxClient


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["catalog", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_sync_sends_the_difference_and_the_others_tell_of_it(
    clean: Engine, sandbox: SandboxClient, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(sandbox, small_world)
    write_csv(tmp_path, [item(1), item(2), item(3, unit="stone")])
    asked = ("sync", "--folder", str(tmp_path), "--poll", "0.1", "--now", NOW.isoformat())
    code, out, _ = run(capsys, *asked)
    assert code == 0
    assert "2 items sent in 1 batches, 2 accepted, 0 rejected, 0 batches failed" in out
    assert json.loads(run(capsys, "sync", "--folder", str(tmp_path), "--json")[1])["items_sent"] == 0
    assert json.loads(run(capsys, "diff", "--json")[1]) == {
        "new": 0, "changed": 0, "unchanged": 2, "gone": 0, "refused": 0, "under_way": 0
    }  # fmt: skip
    assert [one["items_new"] for one in json.loads(run(capsys, "status", "--json")[1])] == [0, 2]
    assert [one["status"] for one in json.loads(run(capsys, "history", "SKU-1", "--json")[1])] == ["ACCEPTED"]
    assert run(capsys, "skus", "--store", "STORE-001", "--limit", "1")[1] == "SKU-1\n"
    assert json.loads(run(capsys, "rejections", "--json")[1])[0]["field"] == "unit"
    assert "SKU-3" in run(capsys, "rejections")[1]


def test_a_wrong_argument_is_one_line_before_anything_is_asked_of_amazons_keys(
    clean: Engine, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "sync", "--folder", "/nowhere/at/all")
    assert code == 2
    assert err == (
        "backroom: catalog folder /nowhere/at/all does not exist; put the store files there or set"
        " BACKROOM_CATALOG_SOURCE\n"
    )
    code, _, err = run(capsys, "sync", "--folder", str(tmp_path), "--store", "STORE-7")
    assert code == 2
    assert "there is no store 'STORE-7'" in err


def test_a_store_without_products_is_named(clean: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "skus", "--store", "STORE-7")
    assert code == 2
    assert "'STORE-7'" in err


def test_the_pipelines_role_may_take_in_a_catalog(clean: Engine, tmp_path: Path) -> None:
    set_password(clean, "backroom_pipeline", "for-the-test")
    pipeline = make_engine(clean.url.set(username="backroom_pipeline", password="for-the-test"))
    write_csv(tmp_path, [item(1), item(1), item(2, unit="stone")])
    run_id = sync.start_run(pipeline, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    assert sync.summary(pipeline, run_id=run_id).state == "COMPARED"
    pipeline.dispose()


def test_what_amazon_rejected_is_shown_and_goes_again_when_a_person_says_so(
    clean: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with clean.begin() as connection:
        connection.execute(text("insert into catalog_run (business_date, source, state, started_at)"
                                " values (now(), 's', 'DONE', now())"))  # fmt: skip
        connection.execute(text("insert into catalog_batch (run_id, kind, state, item_count, intended_at)"
                                " select run_id, 'UPLOAD', 'DONE', 1, now() from catalog_run"))  # fmt: skip
        connection.execute(
            text("insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)"
                 " select 'STORE-001', 'SKU-' || n, '{}', 'h', 'x', run_id from catalog_run, generate_series(1, 2) n")
        )  # fmt: skip
        connection.execute(
            text("insert into catalog_refusal (store_id, item_sku, kind, content_hash, batch_id, error_code,"
                 " refused_at) select 'STORE-001', 'SKU-1', 'UPLOAD', 'h', batch_id, 'NO', now() from catalog_batch")
        )  # fmt: skip
    assert json.loads(run(capsys, "refused", "--store", "STORE-001", "--json")[1])[0]["error_code"] == "NO"
    listed = json.loads(run(capsys, "diff", "--items", "--json")[1])
    assert [(one["verdict"], one["item_sku"]) for one in listed] == [("new", "SKU-2"), ("refused", "SKU-1")]
    assert json.loads(run(capsys, "diff", "--store", "STORE-002", "--json")[1])["new"] == 0
    assert run(capsys, "retry", "SKU-1", "--reason", " ")[0] == 2
    assert run(capsys, "retry", "SKU-1", "--reason", "Amazon has corrected its list")[0] == 0
    assert json.loads(run(capsys, "diff", "--json")[1])["new"] == 2
    assert ask(clean, "select action, subject, reason from audit_entry where action = 'catalog.retry'") == [
        ("catalog.retry", "SKU-1", "Amazon has corrected its list")
    ]
    assert "has not rejected 'SKU-1'" in run(capsys, "retry", "SKU-1", "--reason", "again")[2]
    number = ask(clean, "select max(run_id) from catalog_run")[0][0]
    assert json.loads(run(capsys, "status", "--run", str(number), "--json")[1])[0]["kind"] == "UPLOAD"


def test_one_store_is_synchronised_by_its_name(
    clean: Engine, sandbox: SandboxClient, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(sandbox, small_world)
    write_csv(tmp_path, [item(1)])
    code, out, _ = run(capsys, "sync", "--folder", str(tmp_path), "--store", "STORE-001", "--poll", "0.1")
    assert (code, "1 items sent in 1 batches" in out) == (0, True)


def test_a_held_store_is_named_and_the_exit_code_says_so(
    clean: Engine,
    sandbox: SandboxClient,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    configure: Callable[..., None],
) -> None:
    load(sandbox, small_world)
    configure(catalog_guard_items=0)
    write_csv(tmp_path, [item(1), item(2)])
    asked = ("sync", "--folder", str(tmp_path), "--poll", "0.1")
    assert run(capsys, *asked)[0] == 0
    write_csv(tmp_path, [item(1)])
    code, out, _ = run(capsys, *asked)
    assert (code, "waiting for a person: STORE-001" in out) == (1, True)
