"""Refused carts wait on disk while the database is away; each is taken in once, whatever happens in between."""

from __future__ import annotations

import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.errors import BackroomError
from backroom.purchases import refused_spool, settling_carts, unbilled
from backroom.purchases.refused_spool import collect_spool, spool
from backroom.settings import settings
from backroom_airflow.charge_lifecycle_tasks import gather, settle_carts
from tests.purchases.bad_cart_world import ENDED, LATER


def gathered(**context: Any) -> list[str]:
    """The first two tasks of the pipeline, one after the other."""
    settle_carts(**context)
    return sorted({share["store_id"] for share in gather(**context)})


CARD = b"4111111111111111"
ROOM = 10_000_000


@pytest.fixture
def kept(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text("delete from refused_cart"))
        connection.execute(text("delete from alert"))
    return database


def put(folder: Path, body: bytes = b"{}", *, room: int = ROOM, reason: str = "service: at capacity") -> bool:
    return spool(folder, status=503, reason=reason, body=body, now=ENDED, max_bytes=room)


def bodies(engine: Engine) -> list[bytes]:
    with engine.connect() as connection:
        return [bytes(body) for (body,) in connection.execute(text("select body from refused_cart order by body"))]


def test_what_was_put_aside_is_taken_in_as_it_was_with_an_alert(kept: Engine, tmp_path: Path) -> None:
    body = b'{"idempotentShoppingTripId": "T-1", "\xff": "' + bytes(range(256)) + b'"}'
    assert put(tmp_path / "new" / "folder", body)
    assert collect_spool(kept, tmp_path / "new" / "folder", now=LATER) == 1
    with kept.connect() as connection:
        row = connection.execute(text("select * from refused_cart")).one()
        alert = connection.execute(text("select title, severity from alert")).one()
    assert (bytes(row.body), row.status, row.reason) == (body, 503, "service: at capacity")
    assert (row.shopping_trip_id, row.received_at, row.settled_at) == ("T-1", ENDED, None)
    assert tuple(alert) == ("A cart was refused with 503: service: at capacity", "critical")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_folder_that_is_empty_or_not_there_gives_nothing(kept: Engine, tmp_path: Path) -> None:
    assert collect_spool(kept, tmp_path, now=LATER) == 0
    assert collect_spool(kept, tmp_path / "nowhere", now=LATER) == 0


def test_no_card_number_reaches_the_disk_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    put(tmp_path, b'{"note": "' + CARD + b'"}')
    put(tmp_path, b"broken " + CARD)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    for raw in file.read_bytes().splitlines():
        assert CARD not in refused_spool._row(file, 1, raw)["body"]


def test_a_full_folder_is_counted_and_told_of_and_never_raises(kept: Engine, tmp_path: Path) -> None:
    assert put(tmp_path, b"x" * 500, room=1500)
    assert [put(tmp_path, b"x" * 500, room=1500) for _ in range(3)] == [False] * 3
    assert put(tmp_path, b"", room=1500)
    assert collect_spool(kept, tmp_path, now=LATER) == 2
    with kept.connect() as connection:
        titles = connection.execute(text("select title from alert where deduplication_key like '%lost%'")).scalars()
        assert titles.all() == ["3 refused carts could not be kept: their folder was full"]
    assert put(tmp_path, b"x" * 500, room=1500)  # there is room again


def test_a_folder_that_can_not_be_written_loses_the_cart_but_not_the_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert put(tmp_path / "file") is False


def test_a_commit_that_fails_leaves_the_file_for_the_next_run(kept: Engine, tmp_path: Path) -> None:
    put(tmp_path, b"one")

    def lost(*_: Any) -> None:
        raise OperationalError("commit", {}, Exception("lost"))

    event.listen(kept, "commit", lost)
    try:
        with pytest.raises(OperationalError):
            collect_spool(kept, tmp_path, now=LATER)
    finally:
        event.remove(kept, "commit", lost)
    put(tmp_path, b"two")
    assert collect_spool(kept, tmp_path, now=LATER) == 2
    assert bodies(kept) == [b"one", b"two"]


def test_a_run_that_dies_after_its_commit_takes_nothing_in_twice(
    kept: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, b"one")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", _die)
        collect_spool(kept, tmp_path, now=LATER)
    assert bodies(kept) == [b"one"]
    assert collect_spool(kept, tmp_path, now=LATER) == 0
    assert bodies(kept) == [b"one"]
    assert list(tmp_path.iterdir()) == []


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_line_that_can_not_be_read_is_kept_and_holds_nothing_up(kept: Engine, tmp_path: Path) -> None:
    put(tmp_path, b"good")
    [file] = tmp_path.iterdir()
    with file.open("ab") as more:
        more.write(b'{"line": "x", "status": 503, "bo\n' + json.dumps({"line": "y", "reason": "\0"}).encode())
    put(tmp_path, b"cut off before")
    assert collect_spool(kept, tmp_path, now=LATER) == 3
    found = bodies(kept)
    assert b"good" in found
    with kept.connect() as connection:
        reasons = connection.execute(text("select reason from refused_cart")).scalars().all()
    assert reasons.count("spool: a line that can't be read") == 2


def _put_many(folder: Path, who: int, count: int) -> None:
    for number in range(count):
        assert put(folder, f"{who}-{number}-".encode() + b"x" * 3000)


def test_processes_that_write_while_two_collect_lose_nothing_and_double_nothing(kept: Engine, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_put_many, args=(tmp_path, who, 150)) for who in range(3)]
    threads = [threading.Thread(target=_put_many, args=(tmp_path, who, 150)) for who in (8, 9)]
    for writer in [*writers, *threads]:
        writer.start()
    taken = 0

    def collect(_: int) -> int:
        return collect_spool(kept, tmp_path, now=LATER)

    with ThreadPoolExecutor(2) as pool:
        while any(writer.is_alive() for writer in [*writers, *threads]):
            taken += sum(pool.map(collect, range(2)))
    for writer in [*writers, *threads]:
        writer.join()
    taken += collect(0)
    assert taken == 750
    found = [body.split(b"x")[0] for body in bodies(kept)]
    assert len(set(found)) == len(found) == 750
    assert list(tmp_path.iterdir()) == []


def test_the_charge_pipeline_and_the_command_take_them_in(kept: Engine, home: Path) -> None:
    folder = settings().refused_spool_folder
    assert folder == home / "refused-carts"
    put(folder, b"one")
    gathered(dag_run=SimpleNamespace(logical_date=LATER))
    assert bodies(kept) == [b"one"]
    put(folder, b"two")
    done = CliRunner().invoke(build_app(["carts"]), ["carts", "refused", "collect"])
    assert (done.output, done.exit_code) == ("1 refused carts taken in\n", 0)
    assert bodies(kept) == [b"one", b"two"]


def test_bodies_of_any_number_and_size_are_taken_in_by_parts(
    kept: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_spool, "INSERTED_AT_ONCE", 3000)
    sent = [f"{number:03}".encode() + b"x" * (number * 97) for number in range(40)]
    for body in sent:
        put(tmp_path, body)
    assert collect_spool(kept, tmp_path, now=LATER) == 40
    assert bodies(kept) == sent


def test_where_carts_cant_be_settled_there_is_one_alert_a_day_and_the_task_fails(
    kept: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> int:
        raise PermissionError("the folder is another user's")

    monkeypatch.setattr(settling_carts, "collect_spool", broken)
    late: list[Any] = []
    monkeypatch.setattr(unbilled, "charge_overdue", lambda connection, now: late.append(now) or {"carts": 0})
    for _ in range(2):
        with pytest.raises(PermissionError):
            settle_carts(dag_run=SimpleNamespace(logical_date=LATER))
    assert late == [LATER, LATER], "what comes before it was done"
    with kept.connect() as connection:
        told = connection.execute(text("select deduplication_key, severity, times, title from alert")).all()
    assert [tuple(one) for one in told] == [
        (
            f"settle-carts:{LATER.date()}", "critical", 2,
            "Carts that wait for a decision or on disk could not be settled: PermissionError",
        )
    ]  # fmt: skip


def test_a_folder_that_is_not_there_is_a_mistake_and_not_an_empty_one(kept: Engine, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        build_app(["carts"]), ["carts", "refused", "collect", "--folder", str(tmp_path / "nowhere")]
    )
    assert isinstance(done.exception, BackroomError)
    assert "there is no folder" in str(done.exception)
