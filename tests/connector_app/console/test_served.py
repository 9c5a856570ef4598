"""The console as it is served: a process of its own, one line a call in its log, a start that fails in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from backroom.db.embedded import free_port
from tests.connector_app.console.world import PASSWORD, Console


def start(log: Path, **environment: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "connector_app.console"],
            env={**os.environ, **environment}, stdout=output, stderr=output,
        )  # fmt: skip


def test_it_serves_by_its_role_and_logs_no_secret_and_a_wrong_set_up_is_one_line(
    console: Console, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    process = start(log, BACKROOM_CONSOLE_PORT=str(port))
    wrong = start(tmp_path / "wrong", BACKROOM_DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/x")
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=url, follow_redirects=True) as client:
            page = client.get("/debts").text
            token = page.split('name="form_token" value="')[1].split('"')[0]
            fields = {"form_token": token, "name": "fay", "password": PASSWORD, "next": "/debts"}
            answer = client.post("/sign-in", data=fields)
            assert (answer.status_code, answer.url.path) == (200, "/debts")
            assert client.get("/static/console.css").headers["Content-Type"].startswith("text/css")
            cookies = list(client.cookies.values())
        large = httpx.post(f"{url}/sign-in", content=b"name=" + b"x" * 60_000)
        assert large.status_code in (403, 413)
        assert wrong.wait(60) == 2
    finally:
        process.terminate()
        process.wait(20)
        wrong.kill()
    written = log.read_text()
    calls = [json.loads(line) for line in written.splitlines()]
    assert any((call.get("path"), call.get("who"), call.get("status")) == ("/debts", "fay", 200) for call in calls)
    for secret in (PASSWORD, token, *cookies):
        assert secret not in written
    complaint = (tmp_path / "wrong").read_text()
    assert complaint.count("\n") == 1
    assert "no database at" in complaint
    assert "s3cret" not in complaint


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
