"""Refused carts while the database is away: written to a folder, one JSON line each, and taken in later, each once.

Every process appends to a file of its own. A file is collected under a new name, so that no writer meets a reader; each
line has an id that the database knows, so that a file which is collected twice adds nothing.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.alerts import raise_alert
from backroom.purchases.kept_bodies import to_keep
from backroom.purchases.refusals import alert_of_refused, trip_id_in, without_card_numbers
from backroom.purchases.tables import refused_cart
from backroom.settings import settings

WRITTEN: Final = ".jsonl"
CLAIMED: Final = ".claimed"
OVERFLOW: Final = "overflow"  # one byte for each cart that had no room
INSERTED_AT_ONCE: Final = 16_000_000  # bytes of bodies in one statement, or somewhat more

_log = structlog.get_logger()
_ours = threading.Lock()  # the threads of a process share its file


def spool(folder: Path, *, status: int, reason: str, body: bytes, now: datetime, max_bytes: int | None = None) -> bool:
    """Appends the cart to this process's file; False where it could not be kept, which is counted and logged.

    Never raises and never waits for room: the caller is about to answer. `max_bytes` bounds all files of the folder
    together (the setting `refused_spool_max_bytes` where it is not given).
    """
    line = {
        "line": str(uuid.uuid4()),
        "status": status,
        "reason": reason,
        "received_at": now.isoformat(),
        "trip_id": trip_id_in(body),
        "body": base64.b64encode(to_keep(without_card_numbers(body))).decode("ascii"),
    }
    raw = json.dumps(line).encode() + b"\n"
    limit = settings().refused_spool_max_bytes if max_bytes is None else max_bytes
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _ours:
            if _bytes_in(folder) + len(raw) <= limit:
                _append(folder / f"{os.getpid()}{WRITTEN}", raw)
                return True
            _append(folder / OVERFLOW, b".")
            why = f"the folder holds {limit} bytes already"
    except OSError as error:
        why = str(error)
    _log.error("refused_cart_lost", status=status, reason=reason, trip_id=trip_id_in(body), bytes=len(body), why=why)
    return False


def collect_spool(engine: Engine, folder: Path, *, now: datetime) -> int:
    """Takes every line of the folder into `refused_cart`, exactly once; how many. Safe beside writers and itself.

    A file is claimed by its name, and removed once its lines are committed; one that a broken run has left behind is
    taken again. A line that can't be read is kept as it is, as a refused cart.
    """
    if not folder.is_dir():
        return 0
    for written in [*folder.glob(f"*{WRITTEN}"), folder / OVERFLOW]:
        _claim(written)
    return sum(_collect(engine, claimed, now) for claimed in sorted(folder.glob(f"*{CLAIMED}")))


def _append(path: Path, raw: bytes) -> None:
    """Whole or not at all. The file under that name may just be claimed: then a new one is begun."""
    while True:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_still(file, path):
                continue
            size = os.fstat(file).st_size
            if os.write(file, raw) < len(raw):
                os.ftruncate(file, size)
                raise OSError("no room on the disk")
            return
        finally:
            os.close(file)


def _is_still(file: int, path: Path) -> bool:
    try:
        return os.fstat(file).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _claim(path: Path) -> None:
    """Gives the file a name that no writer uses. Another run may be quicker."""
    with suppress(FileNotFoundError):
        path.rename(path.with_name(f"{path.name}.{uuid.uuid4().hex}{CLAIMED}"))


def _wait_for_its_writer(claimed: Path) -> None:
    """One may have come in before the file was claimed; whoever comes after sees that it is not the one he named."""
    with claimed.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def _collect(engine: Engine, claimed: Path, now: datetime) -> int:
    try:
        _wait_for_its_writer(claimed)
        if claimed.name.startswith(OVERFLOW):
            taken = 0
            _tell_of_overflow(engine, claimed, now)
        else:
            taken = _take_in(engine, claimed, now)
        claimed.unlink(missing_ok=True)
    except FileNotFoundError:  # another run has taken it in
        return 0
    return taken


def _take_in(engine: Engine, claimed: Path, now: datetime) -> int:
    taken = 0
    with engine.begin() as connection:
        for rows in _batches(claimed):
            statement = upsert(refused_cart).on_conflict_do_nothing(index_elements=["spool_line"])
            made = connection.execute(statement.returning(refused_cart.c.status, refused_cart.c.reason), rows).all()
            taken += len(made)
            for status, reason in sorted(set(map(tuple, made))):
                alert_of_refused(connection, status=status, reason=reason, now=now)
    return taken


def _batches(claimed: Path) -> Iterator[list[dict[str, Any]]]:
    rows, size = [], 0
    with claimed.open("rb") as file:
        for number, raw in enumerate(file, 1):
            rows.append(_row(claimed, number, raw))
            size += len(raw)
            if size >= INSERTED_AT_ONCE:
                yield rows
                rows, size = [], 0
    if rows:
        yield rows


def _row(claimed: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
        body = base64.b64decode(line["body"], validate=True)
        return {
            "spool_line": str(line["line"]),
            "status": int(line["status"]),
            "reason": str(line["reason"]).replace("\0", ""),
            "body": body,
            "shopping_trip_id": line.get("trip_id") or trip_id_in(body),
            "received_at": datetime.fromisoformat(line["received_at"]),
        }
    except (ValueError, KeyError, TypeError):
        written = datetime.fromtimestamp(claimed.stat().st_mtime).astimezone()
        return {
            "spool_line": f"{claimed.name}:{number}",
            "status": 503,
            "reason": "spool: a line that can't be read",
            "body": raw,
            "shopping_trip_id": None,
            "received_at": written,
        }


def _tell_of_overflow(engine: Engine, claimed: Path, now: datetime) -> None:
    lost = claimed.stat().st_size
    with engine.begin() as connection:
        raise_alert(
            connection,
            key=f"refused-carts-lost:{now.date()}",
            severity="critical",
            title=f"{lost} refused carts could not be kept: their folder was full",
            what_to_do="look for `refused_cart_lost` in the connector's log (it names the trips) and ask Amazon to "
            "send them again; BACKROOM_REFUSED_SPOOL_MAX_BYTES sets the room",
            now=now,
        )


def _bytes_in(folder: Path) -> int:
    size = 0
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # collected meanwhile
            size += entry.stat().st_size
    return size
