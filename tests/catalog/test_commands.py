"""backroom catalog."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.catalog import sync
from backroom.catalog.source import Source
from backroom.cli import main
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from tests.catalog.conftest import NOW, TODAY, item, write_csv
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


def test_a_missing_source_is_one_line(
    clean: Engine, sandbox: SandboxClient, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "sync", "--folder", "/nowhere/at/all")
    assert code == 2
    assert err == (
        "backroom: catalog folder /nowhere/at/all does not exist; put the store files there or set"
        " BACKROOM_CATALOG_SOURCE\n"
    )


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
