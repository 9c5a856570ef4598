"""backroom feeds, and the pipeline's own database role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from backroom.cli import main
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from backroom.feeds import events
from backroom.feeds.aws import Aws
from backroom.feeds.completeness import windows
from backroom.feeds.intraday import collect, ingest_all
from backroom.settings import settings
from tests.feeds.conftest import NOW, STORE, Amazon, as_csv, order
from tests.feeds.test_completeness import DAY, ZONE, cover
from tests.feeds.test_events import event


@pytest.fixture(autouse=True)
def _settings(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BACKROOM_AWS_ENDPOINT_URL", moto_endpoint)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["feeds", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_files_and_quarantine_show_what_came(
    clean: Engine, aws: Aws, amazon: Amazon, capsys: pytest.CaptureFixture[str]
) -> None:
    amazon.write(as_csv(order() + order("o-2", currency="EUR")))
    assert run(capsys, "ingest", "--now", NOW.isoformat())[:2] == (
        0,
        "1 files taken in, 2 rows applied, 0 files failed\n",
    )
    code, out, _ = run(capsys, "files", "--json")
    (file,) = json.loads(out)
    assert (code, file["state"], file["rows_quarantined"]) == (0, "INGESTED", 2)
    _, out, _ = run(capsys, "quarantine", "list", "--json")
    assert [(row["line"], row["column_name"]) for row in json.loads(out)] == [(4, "currency"), (5, "currency")]
    assert "EUR" in run(capsys, "quarantine", "list")[1]


def test_gaps_names_the_missing_windows_and_exits_1(clean: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    needed = windows(DAY, ZONE, margin=timedelta(hours=1))
    cover(clean, needed[2:])
    asked = ("gaps", "--store", STORE, "--date", str(DAY), "--json")
    code, out, _ = run(capsys, *asked)
    assert code == 1
    assert json.loads(out)[0]["missing"] == [str(end) for end in needed[:2]]
    cover(clean, needed[:2])
    assert run(capsys, *asked)[0] == 0
    with clean.begin() as connection:
        connection.execute(
            text("delete from feed_file where window_end between :a and :b"), {"a": needed[5], "b": needed[40]}
        )
    assert "01 06:30–15:15" in " ".join(run(capsys, *asked[:-1])[1].split())


def test_a_day_before_a_stores_first_lacks_nothing(clean: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    cover(clean, windows(DAY, ZONE, margin=timedelta(hours=1)))
    code, out, _ = run(capsys, "gaps", "--store", STORE, "--date", str(DAY - timedelta(days=1)))
    assert code == 0
    assert "none yet" in out
    assert str(DAY) in out
    code, out, _ = run(capsys, "gaps", "--store", "STORE-002")  # nothing was heard of it, and it was added just now
    assert code == 0
    assert "none yet" in out


def test_a_broken_file_makes_ingest_exit_1(
    clean: Engine, aws: Aws, amazon: Amazon, capsys: pytest.CaptureFixture[str]
) -> None:
    amazon.write(b"")
    assert run(capsys, "ingest")[0] == 1


def test_drain_counts_events(clean: Engine, aws: Aws, amazon: Amazon, capsys: pytest.CaptureFixture[str]) -> None:
    amazon.send(event(), aws.events_queue)
    assert run(capsys, "drain")[1].startswith("1 new events, 0 known already")
    assert json.loads(run(capsys, "events", "--json")[1])[0]["events"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gaps", "--date", "tomorrow"), "--date: 'tomorrow' is not a day"),
        (("gaps", "--store", "STORE-9"), "'STORE-9' is not a store that gets files"),
        (("ingest", "--now", "noon"), "--now: "),
    ],
)
def test_a_mistake_is_one_line(
    clean: Engine, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_the_pipelines_role_may_do_all_that_ingestion_needs(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    set_password(clean, "backroom_pipeline", "for-the-test")
    url = clean.url.set(username="backroom_pipeline", password="for-the-test")
    pipeline = make_engine(url)
    amazon.write(as_csv(order() + order("o-2", currency="EUR")))
    amazon.send(event(), aws.events_queue)
    (result,) = ingest_all(pipeline, aws, file_ids=collect(pipeline, aws, now=NOW), now=NOW)
    assert (result.state, result.rows_quarantined) == ("INGESTED", 2)
    assert events.drain(pipeline, aws, now=NOW).new == 1
    pipeline.dispose()
