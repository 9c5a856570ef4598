"""A night's synchronisation against the sandbox: signed HTTP, its own checks, reports behind presigned links."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.catalog import CatalogClient
from backroom.catalog import reports, sync, validation
from backroom.catalog.reports import Summary
from backroom.catalog.source import Source
from backroom.settings import settings
from tests.catalog.conftest import NOW, TODAY, ask, item, upc, write_csv
from tests.sandbox_fixtures import SandboxClient


@pytest.fixture
def amazon(clean: Engine, sandbox: SandboxClient, small_world: Path) -> SandboxClient:
    """The sandbox with its two stores and no catalog."""
    load(sandbox, small_world)
    return sandbox


def load(sandbox: SandboxClient, world: Path, **faults: Any) -> None:
    sandbox.post("/sandbox/load", {"world": str(world), "seed": 1, "faults": faults or "none"})


@pytest.fixture
def client(amazon: SandboxClient, clean: Engine) -> Iterator[CatalogClient]:
    with CatalogClient(settings(), clean) as made:
        yield made


def night(engine: Engine, client: CatalogClient, folder: Path, now: datetime = NOW) -> Summary:
    """A whole run."""
    run_id = sync.start_run(engine, source=Source(str(folder)), business_date=TODAY, now=now)
    sync.upload(engine, client, run_id=run_id, now=now)
    wait(engine, client, run_id)
    return sync.apply_reports(engine, client, run_id=run_id, now=now)


def wait(engine: Engine, client: CatalogClient, run_id: int) -> None:
    for _ in range(200):
        if sync.poll(engine, client, run_id=run_id, now=NOW):
            return
        time.sleep(0.05)
    raise AssertionError(ask(engine, "select * from catalog_batch"))


def source(folder: Path, *numbers: int, store: str = "STORE-001", **changes: str) -> None:
    write_csv(folder, [item(number, store_id=store, **changes) for number in numbers], store)


def test_a_first_night_sends_all_and_records_amazons_verdict_on_each(
    clean: Engine, client: CatalogClient, tmp_path: Path
) -> None:
    source(tmp_path, *range(5))
    source(tmp_path, *range(3), store="STORE-002")
    assert night(clean, client, tmp_path) == Summary(
        run_id=ask(clean, "select max(run_id) from catalog_run")[0][0],
        state="DONE",
        held=(),
        batches=2,
        batches_failed=0,
        items_sent=8,
        accepted=8,
        rejected=0,
    )
    assert ask(clean, "select store_id, count(*) from catalog_accepted group by 1 order by 1") == [
        ("STORE-001", 5),
        ("STORE-002", 3),
    ]


def test_a_second_night_without_a_change_sends_nothing(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    source(tmp_path, *range(5))
    night(clean, client, tmp_path)
    again = night(clean, client, tmp_path)
    assert (again.batches, again.state) == (0, "DONE")
    assert ask(clean, "select items_unchanged from catalog_run order by run_id desc limit 1") == [(5,)]


def test_only_what_has_changed_is_sent(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    source(tmp_path, 1, 2, 3)
    night(clean, client, tmp_path)
    write_csv(tmp_path, [item(1), item(2, standard_price="2.49"), item(3, unit="kg"), item(4)])
    again = night(clean, client, tmp_path)
    assert again.accepted == 2  # a unit is ours alone, Amazon has no field for it
    sent = ask(
        clean,
        "select item_sku from catalog_batch_item join catalog_batch using (batch_id)"
        f" where run_id = {again.run_id} order by 1",
    )
    assert sent == [("SKU-2",), ("SKU-4",)]
    assert ask(
        clean, "select items_new, items_changed, items_unchanged from catalog_run order by run_id desc limit 1"
    ) == [(1, 1, 2)]


def test_a_product_is_archived_once_it_is_gone_from_every_store(
    clean: Engine, client: CatalogClient, tmp_path: Path
) -> None:
    for store in ("STORE-001", "STORE-002"):
        source(tmp_path, 1, 2, store=store)
    night(clean, client, tmp_path)
    source(tmp_path, 1)
    assert night(clean, client, tmp_path).batches == 0  # still on STORE-002's shelves
    source(tmp_path, 1, store="STORE-002")
    night(clean, client, tmp_path)
    assert ask(clean, "select store_id, item_sku from catalog_accepted where archived order by 1") == [
        ("STORE-001", "SKU-2"),
        ("STORE-002", "SKU-2"),
    ]
    assert night(clean, client, tmp_path).batches == 0
    source(tmp_path, 1, 2)
    assert night(clean, client, tmp_path).accepted == 1  # a later upload brings it back


def test_more_items_than_a_request_may_carry_are_split(
    clean: Engine, client: CatalogClient, tmp_path: Path, configure: Callable[..., None]
) -> None:
    assert settings().catalog_batch_items == 10_000
    configure(catalog_batch_items=20)
    source(tmp_path, *range(45))
    summary = night(clean, client, tmp_path)
    assert (summary.batches, summary.accepted) == (3, 45)
    assert ask(clean, "select item_count from catalog_batch order by batch_id") == [(20,), (20,), (5,)]


def test_one_bad_row_does_not_hold_the_others_back(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1), item(2, external_product_id="1"), item(3)])
    assert night(clean, client, tmp_path).accepted == 2
    assert ask(clean, "select count(*) from catalog_rejection") == [(1,)]
    assert ask(clean, "select title from alert")[0][0].startswith("1 rows of the catalog of 2026-03-02")


def test_a_refused_store_does_not_sink_the_others(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    with clean.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values ('STORE-000', 'Not at Amazon', 'm', 'UTC', 'USD', 'X', 'NONE',"
                " 1, '{FILES}')"
            )
        )
    source(tmp_path, 1, 2, store="STORE-000")
    source(tmp_path, 1, 2, 3)
    summary = night(clean, client, tmp_path)
    assert (summary.batches, summary.batches_failed, summary.accepted, summary.state) == (2, 1, 3, "DONE")
    ((state, reason),) = ask(clean, "select state, reason from catalog_batch where store_id = 'STORE-000'")
    assert state == "REFUSED"
    assert "List of store ID's" in reason
    assert ask(clean, "select severity, store_id from alert") == [("critical", "STORE-000")]


def test_an_item_that_amazon_rejects_is_not_sent_again_until_it_is_corrected(
    clean: Engine, client: CatalogClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "barcode_problem", lambda *_: None)  # a barcode that ours would not let through
    write_csv(tmp_path, [item(1, external_product_id="123456789013"), item(2)])
    first = night(clean, client, tmp_path)
    assert (first.accepted, first.rejected) == (1, 1)
    assert ask(clean, "select item_sku, kind, error_code from catalog_refusal") == [
        ("SKU-1", "UPLOAD", "INVALID_EXTERNAL_PRODUCT_ID")
    ]
    assert night(clean, client, tmp_path).batches == 0
    assert ask(clean, "select items_changed, items_refused from catalog_run order by run_id desc limit 1") == [(0, 1)]
    write_csv(tmp_path, [item(1), item(2)])
    assert night(clean, client, tmp_path).accepted == 1
    assert ask(clean, "select count(*) from catalog_refusal") == [(0,)]


def test_an_item_whose_correction_is_rejected_too_stays_refused_in_its_new_form(
    clean: Engine, client: CatalogClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path, [item(1)])
    night(clean, client, tmp_path)
    monkeypatch.setattr(validation, "barcode_problem", lambda *_: None)
    for wrong in ("123456789013", "123456789014"):
        write_csv(tmp_path, [item(1, external_product_id=wrong)])
        assert night(clean, client, tmp_path).rejected == 1
    assert night(clean, client, tmp_path).batches == 0
    write_csv(tmp_path, [item(1)])  # back to what Amazon has: nothing to say
    assert night(clean, client, tmp_path).batches == 0


@pytest.mark.parametrize("fault", ["SERVER_ERROR", "THROTTLED", "DROPPED_AFTER"])
def test_an_upload_that_fails_or_may_have_arrived_is_sent_again(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path, fault: str
) -> None:
    plan_catalog_fault(sandbox, small_world, fault)
    source(tmp_path, 1, 2)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    assert sync.upload(clean, client, run_id=run_id, now=NOW) == []
    ((state, tries),) = ask(clean, "select state, tries from catalog_batch")
    assert (state, tries) == ("INTENT" if fault == "THROTTLED" else "UNKNOWN", 1)
    load(sandbox, small_world)
    with clean.begin() as connection:
        connection.execute(text("update catalog_batch set not_before = now()"))
    wait(clean, client, run_id)
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 2


def test_a_batch_that_never_gets_through_is_given_up_with_an_alert(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    plan_catalog_fault(sandbox, small_world, "SERVER_ERROR")
    source(tmp_path, 1)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=run_id, now=NOW)
    for _ in range(8):
        with clean.begin() as connection:
            connection.execute(text("update catalog_batch set not_before = now()"))
        sync.poll(clean, client, run_id=run_id, now=NOW)
    summary = sync.apply_reports(clean, client, run_id=run_id, now=NOW)
    assert (summary.state, summary.batches_failed) == ("DONE", 1)
    assert ask(clean, "select severity from alert") == [("critical",)]


def test_what_one_night_could_not_send_is_sent_by_the_next(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    plan_catalog_fault(sandbox, small_world, "THROTTLED")
    source(tmp_path, 1, 2)
    first = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=first, now=NOW)
    load(sandbox, small_world)
    assert night(clean, client, tmp_path).accepted == 2
    assert ask(clean, f"select reason from catalog_batch where run_id = {first}")[0][0].startswith("superseded by run")
    assert ask(clean, "select state from catalog_run order by run_id") == [("DONE",), ("DONE",)]


def test_a_batch_whose_id_amazon_has_forgotten_is_sent_again(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    source(tmp_path, 1, 2)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=run_id, now=NOW)
    load(sandbox, small_world)  # its books are new
    wait(clean, client, run_id)
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 2
    assert ask(clean, "select tries from catalog_batch") == [(2,)]


def test_an_expired_link_is_renewed(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    source(tmp_path, 1)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=run_id, now=NOW)
    wait(clean, client, run_id)
    asked: list[str] = []

    def fetch(link: str) -> bytes | None:
        asked.append(link)
        return None if len(asked) == 1 else reports.fetch(link)

    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW, fetch=fetch).accepted == 1
    assert len(set(asked)) == 2


def test_a_report_that_cannot_be_read_leaves_the_run_open(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    source(tmp_path, 1)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=run_id, now=NOW)
    wait(clean, client, run_id)
    for content in (b"{", b"[]", json.dumps({"ingestionId": "another", "items": []}).encode()):
        with pytest.raises(reports.ReportMissing):
            sync.apply_reports(clean, client, run_id=run_id, now=NOW, fetch=lambda _, content=content: content)
    assert sync.summary(clean, run_id=run_id).state == "UPLOADING"
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).state == "DONE"
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 1  # again: the same


def test_amazon_learns_the_barcodes_that_we_price_by(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    source(tmp_path, 1, additional_external_product_ids="4011")
    assert night(clean, client, tmp_path).accepted == 1
    assert ask(clean, "select barcode from catalog_barcode order by 1") == [(upc(1),), ("4011",)]


def plan_catalog_fault(sandbox: SandboxClient, world: Path, fault: str) -> None:
    """Every upload ends so until the sandbox is loaded anew."""
    load(sandbox, world, trips={str(n): {"catalog_upload": [""] * (n - 1) + [fault]} for n in range(1, 20)})
