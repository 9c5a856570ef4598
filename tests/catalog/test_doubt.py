"""What Amazon may have, and nobody knows: no state of ours may forget it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.outcomes import Answer, CallFailed, Outcome, Problem
from backroom.catalog import difference, following, reports, sending, sync
from backroom.catalog.sending import MAX_TRIES, Batch
from backroom.catalog.source import Source
from tests.catalog.conftest import NOW, TODAY, ask, item, write_csv


class Amazon:
    """In the client's place: answers as it is told, and keeps what it was sent."""

    def __init__(self, *answers: Answer | str) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []

    def _next(self, *what: Any) -> str:
        self.sent.append(what)
        answer = self.answers.pop(0)
        if isinstance(answer, Answer):
            raise CallFailed("a call", answer)
        return answer

    def upload(self, items: Any, *, cart: bool = False) -> str:
        return self._next("upload", items)

    def archive(self, skus: Any, stores: Any) -> str:
        return self._next("archive", tuple(skus), tuple(stores))

    def status(self, ingestion_id: str) -> tuple[str, str | None]:
        return self._next("status", ingestion_id), None


TIMED_OUT = Answer(Outcome.UNKNOWN, Problem.TIMED_OUT)
SERVER_ERROR = Answer(Outcome.UNKNOWN, Problem.SERVER_ERROR, 500)
THROTTLED = Answer(Outcome.REFUSED, Problem.THROTTLED, 429, retry_after=0)
NO_SUCH_ID = Answer(Outcome.REFUSED, Problem.BAD_REQUEST, 400)


def read(engine: Engine, folder: Path, *rows: dict[str, str], now: datetime = NOW) -> int:
    """A run over these rows, compared and planned."""
    write_csv(folder, rows)
    run_id = sync.start_run(engine, source=Source(str(folder)), business_date=TODAY, now=now)
    sync.plan(engine, run_id=run_id, now=now)
    return run_id


def send(engine: Engine, amazon: Amazon, run_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("update catalog_batch set not_before = null"))
    sending.send_due(engine, amazon, run_id=run_id, now=NOW)  # type: ignore[arg-type]


def report(engine: Engine, *lines: tuple[str, ...]) -> None:
    """Amazon's report of the newest batch says so of each SKU: its status, and an error's code."""
    with engine.begin() as connection:
        batch = connection.execute(
            text("update catalog_batch set state = 'DONE' where batch_id = (select max(batch_id) from catalog_batch)"
                 " returning batch_id, run_id, kind, store_id, ingestion_id, tries, 'link' as link")
        ).one()  # fmt: skip
    names = ("item_sku", "status", "errorCode")
    items = [{"store_id": "STORE-001", **dict(zip(names, line, strict=False))} for line in lines]
    content = json.dumps({"ingestionId": batch.ingestion_id, "items": items}).encode()
    reports.apply(engine, None, Batch(**batch._mapping), now=NOW, fetch=lambda _: content)  # type: ignore[arg-type]


def accepted(engine: Engine, folder: Path, *rows: dict[str, str]) -> None:
    """Amazon has these."""
    send(engine, Amazon("ing-first"), read(engine, folder, *rows))
    report(engine, *((row["item_sku"], "ACCEPTED") for row in rows))


def planned(engine: Engine, run_id: int) -> list[tuple[Any, ...]]:
    return ask(
        engine,
        "select kind, item_sku from catalog_batch_item join catalog_batch using (batch_id)"
        f" where run_id = {run_id} order by 1, 2",
    )


def test_what_may_have_arrived_is_told_otherwise_when_the_source_goes_back(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1), item(2))
    changed = read(clean, tmp_path, item(1, standard_price="2.50"), item(2))
    send(clean, Amazon(TIMED_OUT), changed)
    back = read(clean, tmp_path, item(1), item(2))
    assert planned(clean, back) == [("UPLOAD", "SKU-1")]  # Amazon may have 2.50
    amazon = Amazon("ing-back")
    send(clean, amazon, back)
    assert len(amazon.sent) == 1  # nothing of the doubtful batch is as it was planned any more
    report(clean, ("SKU-1", "ACCEPTED"))
    assert planned(clean, read(clean, tmp_path, item(1), item(2))) == []  # and the doubt is over


def test_a_definite_no_leaves_no_doubt(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1))
    send(clean, Amazon(NO_SUCH_ID), read(clean, tmp_path, item(1, standard_price="2.50")))
    assert ask(clean, "select state from catalog_batch order by batch_id") == [("DONE",), ("REFUSED",)]
    assert planned(clean, read(clean, tmp_path, item(1))) == []


def test_what_a_report_says_nothing_of_is_in_doubt_too_and_an_alert_tells(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1), item(2))
    send(clean, Amazon("ing-2"), read(clean, tmp_path, item(1, item_name="A"), item(2, item_name="B")))
    report(clean, ("SKU-1", "ACCEPTED"), ("SKU-2", "PERHAPS"))
    assert ask(clean, "select reason from catalog_batch order by batch_id desc limit 1") == [
        ("1 items not in the report",)
    ]
    assert ask(clean, "select severity from alert") == [("warning",)]
    assert planned(clean, read(clean, tmp_path, item(1, item_name="A"), item(2))) == [("UPLOAD", "SKU-2")]


def test_a_product_that_is_back_is_neither_archived_by_a_late_archive_nor_taken_for_live(
    clean: Engine, tmp_path: Path
) -> None:
    accepted(clean, tmp_path, item(1), item(2), item(3))
    gone = read(clean, tmp_path, item(1))
    assert planned(clean, gone) == [("ARCHIVE", "SKU-2"), ("ARCHIVE", "SKU-3")]
    send(clean, Amazon(SERVER_ERROR), gone)
    back = read(clean, tmp_path, item(1), item(2))
    assert planned(clean, back) == [("UPLOAD", "SKU-2")]
    amazon = Amazon("ing-archive", "ing-upload")
    send(clean, amazon, back)
    assert ("archive", ("SKU-3",), ("STORE-001", "STORE-002")) in amazon.sent


def test_a_no_after_a_try_that_may_have_arrived_leaves_it_unknown(clean: Engine, tmp_path: Path) -> None:
    run_id = read(clean, tmp_path, item(1))
    for answer, state in ((THROTTLED, "INTENT"), (SERVER_ERROR, "UNKNOWN"), (THROTTLED, "UNKNOWN")):
        send(clean, Amazon(answer), run_id)
        assert ask(clean, "select state from catalog_batch") == [(state,)]


def test_an_id_that_amazon_never_knows_ends_with_an_alert_and_not_with_endless_uploads(
    clean: Engine, tmp_path: Path
) -> None:
    run_id = read(clean, tmp_path, item(1))
    for number in range(MAX_TRIES + 2):
        amazon = Amazon(f"ing-{number}", NO_SUCH_ID)
        send(clean, amazon, run_id)
        following.ask_for_all(clean, amazon, run_id=run_id, now=NOW)  # type: ignore[arg-type]
    assert ask(clean, "select state, tries, settled_at is null from catalog_batch") == [("UNKNOWN", MAX_TRIES, False)]
    assert ask(clean, "select severity, times from alert") == [("critical", 1)]
    assert planned(clean, read(clean, tmp_path, item(1))) == [("UPLOAD", "SKU-1")]


def test_an_answer_about_an_id_of_yesterday_does_not_forget_the_one_of_today(clean: Engine, tmp_path: Path) -> None:
    send(clean, Amazon("ing-new"), read(clean, tmp_path, item(1)))
    ((batch_id, run_id),) = ask(clean, "select batch_id, run_id from catalog_batch")
    late = Batch(batch_id, run_id, "UPLOAD", "STORE-001", "ing-old", 1)
    following._ask(clean, Amazon(NO_SUCH_ID), late, NOW)  # type: ignore[arg-type]
    assert ask(clean, "select state, ingestion_id from catalog_batch") == [("SENT", "ing-new")]


@pytest.mark.parametrize(("hours", "state"), [(2, "UPLOADING"), (25, "DONE")])
def test_a_report_that_stays_unreadable_is_given_up_after_a_day_and_its_items_go_again(
    clean: Engine, tmp_path: Path, hours: int, state: str
) -> None:
    run_id = read(clean, tmp_path, item(1))
    send(clean, Amazon("ing-1"), run_id)
    with clean.begin() as connection:
        connection.execute(
            text(
                "update catalog_batch set state = 'DONE', report_link = 'l', link_at = clock_timestamp(),"
                " called_at = clock_timestamp() - make_interval(hours => :hours)"
            ),
            {"hours": hours},
        )
    assert following.warn_of_late(clean, now=NOW) == 1
    if state == "UPLOADING":
        with pytest.raises(reports.ReportMissing, match="not readable"):
            sync.apply_reports(clean, None, run_id=run_id, now=NOW, fetch=lambda _: b"{")  # type: ignore[arg-type]
    else:
        sync.apply_reports(clean, None, run_id=run_id, now=NOW, fetch=lambda _: b"{")  # type: ignore[arg-type]
        assert planned(clean, read(clean, tmp_path, item(1))) == [("UPLOAD", "SKU-1")]
    assert sync.summary(clean, run_id=run_id).state == state


def test_a_store_that_amazon_refuses_by_now_is_named_in_no_archive_any_more(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1), item(2))
    with clean.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_accepted select 'STORE-002', item_sku, content_hash, batch_id, accepted_at"
                " from catalog_accepted"
            )
        )
        connection.execute(
            text(
                "insert into catalog_batch (run_id, kind, state, store_id, item_count, intended_at, settled_at,"
                " bad_store) select run_id, 'UPLOAD', 'REFUSED', 'STORE-002', 0, :now, :now, true from catalog_run"
            ),
            {"now": NOW},
        )
    run_id, amazon = read(clean, tmp_path, item(1)), Amazon("ing-2")
    send(clean, amazon, run_id)
    assert amazon.sent == [("archive", ("SKU-2",), ("STORE-001",))]
    report(clean, ("SKU-2", "ACCEPTED"))
    assert planned(clean, read(clean, tmp_path, item(1))) == []


@pytest.mark.parametrize("answer", [("ACCEPTED",), ("REJECTED", "SKU_NOT_FOUND")])
def test_what_was_never_accepted_but_may_be_there_is_archived_once_it_is_gone(
    clean: Engine, tmp_path: Path, answer: tuple[str, ...]
) -> None:
    accepted(clean, tmp_path, item(1))
    send(clean, Amazon(TIMED_OUT), read(clean, tmp_path, item(1), item(2)))
    gone = read(clean, tmp_path, item(1))
    assert planned(clean, gone) == []  # the doubtful batch is not over
    send(clean, Amazon(), gone)
    archive = read(clean, tmp_path, item(1))
    assert planned(clean, archive) == [("ARCHIVE", "SKU-2")]
    send(clean, Amazon("ing-archive"), archive)
    report(clean, ("SKU-2", *answer))
    assert planned(clean, read(clean, tmp_path, item(1))) == []
    assert ask(clean, "select count(*) from catalog_refusal") == [(0,)]
    assert planned(clean, read(clean, tmp_path, item(1), item(2))) == [("UPLOAD", "SKU-2")]


def test_an_archive_that_amazon_rejects_is_asked_for_again_after_some_days_alone(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1), item(2))
    send(clean, Amazon("ing-2"), read(clean, tmp_path, item(1)))
    report(clean, ("SKU-2", "REJECTED", "ON_SHELF_PLAN"))
    assert ask(clean, "select kind, error_code from catalog_refusal") == [("ARCHIVE", "ON_SHELF_PLAN")]
    assert planned(clean, read(clean, tmp_path, item(1), now=NOW.replace(day=3))) == []
    assert planned(clean, read(clean, tmp_path, item(1), now=NOW.replace(day=9))) == [("ARCHIVE", "SKU-2")]


def test_an_archive_names_no_more_products_than_its_report_can_speak_of_in_each_store(
    clean: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(clean, tmp_path, *map(item, range(1, 7)))
    monkeypatch.setattr(difference, "WORDS_A_REPORT", 5)  # of two stores: two products
    run_id = read(clean, tmp_path, item(1))
    assert ask(clean, f"select kind, item_count from catalog_batch where run_id = {run_id} order by batch_id") == [
        ("ARCHIVE", 2), ("ARCHIVE", 2), ("ARCHIVE", 1),
    ]  # fmt: skip


def test_each_item_of_a_report_is_read_by_itself() -> None:
    content = (
        b'{"ingestionId": "i", "items": [{"item_sku": "A", "status": "ACCEPTED"}, "no object", {"status": "ACCEPTED"},'
        b' {"item_sku": "B", "status": "PERHAPS"}, {"item_sku": "C", "status": "REJECTED", "errorCode": {"a": 1}},'
        b' {"item_sku": "D", "status": "REJECTED", "errorMessage": "\\ud800"}, {"item_sku": "E", "status": "REJECTED"}'
        b"]}"
    )
    assert [each["item_sku"] for each in reports.items_of("i", content)] == ["A", "E"]


def test_what_changes_is_counted_as_it_is_sent(clean: Engine, tmp_path: Path) -> None:
    accepted(clean, tmp_path, item(1), item(2))
    send(clean, Amazon("ing-2"), read(clean, tmp_path, item(1, standard_price="2.50"), item(2)))
    with clean.connect() as connection:
        assert difference.count(connection) == difference.Difference(0, 0, 1, 0, 0, 1)
