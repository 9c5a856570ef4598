"""The portal as it is served: processes, HTTP's own errors, logs, a start that fails in one line."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import Engine

from backroom.db.embedded import free_port
from tests.conftest import forget_configuration
from tests.connector_app.portal.conftest import AUDIENCE, ISSUER, KEYS, PATH, PRIVACY_KEY, claims, public_pem

ENVIRONMENT = {
    "BACKROOM_PORTAL_APP_PUBLIC_KEY": public_pem(KEYS["ES256"]),
    "BACKROOM_PORTAL_APP_ISSUER": ISSUER,
    "BACKROOM_PORTAL_APP_AUDIENCE": AUDIENCE,
    "BACKROOM_PRIVACY_KEYS": PRIVACY_KEY,
}


def bearer_of_today(shopper_id: str = "ana") -> str:
    now = int(time.time())
    return "Bearer " + jwt.encode(claims(shopper_id, iat=now, exp=now + 60), KEYS["ES256"], algorithm="ES256")


@dataclass
class LivePortal:
    url: str
    log: Path

    def post(self, content: Any = b"{}", **headers: str) -> httpx.Response:
        sent = {"Authorization": bearer_of_today(), "Content-Type": "application/json"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return httpx.post(self.url + PATH, content=content, headers=sent, timeout=20)


@pytest.fixture(scope="module")
def live(shop: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePortal]:
    port, log = free_port(), tmp_path_factory.mktemp("portal") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector_app.portal"],
            env={**os.environ, **ENVIRONMENT, "BACKROOM_PORTAL_PORT": str(port)},
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield LivePortal(url, log)
    finally:
        process.terminate()
        process.wait(20)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_call_over_http_is_answered_with_a_code(live: LivePortal) -> None:
    answer = live.post(json.dumps({"storeId": "STORE-001"}).encode())
    assert answer.status_code == 201
    assert answer.json()["scanKeyCode"].startswith("JWOIMAG")


def test_a_body_beyond_the_limit_is_a_413_in_one_piece_and_in_chunks(live: LivePortal) -> None:
    large = json.dumps({"padding": "x" * 20_000}).encode()
    for content in (large, iter([large[:5_000], large[5_000:]])):
        answer = live.post(content)
        assert (answer.status_code, answer.json()) == (413, {"errorMsg": "body: too large"})


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'"x"', {}, 400),
        (b'{"n": NaN}', {}, 400),
        (b'{"n": ' + b"9" * 5000 + b"}", {}, 400),
        (b"[" * 9000, {}, 400),
        (b'{"storeId": "\xff"}', {}, 400),
        (b'{"storeId": "\\ud800"}', {}, 400),
    ],
)
def test_what_is_no_json_object_is_refused(
    live: LivePortal, content: bytes, headers: dict[str, str], expected: int
) -> None:
    answer = live.post(content, **headers)
    assert answer.status_code == expected
    assert answer.json().keys() == {"errorMsg"}


def test_unknown_paths_and_methods_are_answered_in_the_same_envelope(live: LivePortal) -> None:
    unknown = httpx.post(f"{live.url}/app/v1/nothing")
    assert (unknown.status_code, unknown.json()) == (404, {"errorMsg": "request: not found"})
    wrong = httpx.get(live.url + PATH)
    assert (wrong.status_code, wrong.json()) == (405, {"errorMsg": "request: method not allowed"})
    assert wrong.headers["Allow"] == "OPTIONS, POST"


def test_the_log_is_one_json_line_a_call_without_code_token_or_address(live: LivePortal) -> None:
    code = live.post(json.dumps({"storeId": "STORE-002"}).encode()).json()["scanKeyCode"]
    sent = bearer_of_today("flagged")
    assert live.post(Authorization=sent).status_code == 403
    stray = "4111111111111111"
    assert live.post(json.dumps({"storeId": stray, "customPart": stray}).encode()).status_code == 400
    time.sleep(0.2)
    written = live.log.read_text()
    calls = [json.loads(line) for line in written.splitlines()]
    issued = next(line for line in calls if line.get("store_id") == "STORE-002")
    assert (issued["path"], issued["status"], issued["outcome"]) == (PATH, 201, "ISSUED")
    assert issued["seconds"] > 0
    assert any((line.get("status"), line.get("outcome")) == (403, "SHOPPER_FLAGGED") for line in calls)
    for secret in (code, code[18:], sent.removeprefix("Bearer "), "127.0.0.1", "ana", stray):
        assert secret not in written


def start(**environment: str) -> tuple[int, str]:
    """How a start ends: exit status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "connector_app.portal"],
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


def start_here(patch: pytest.MonkeyPatch, said: pytest.CaptureFixture[str], **environment: str) -> tuple[int, str]:
    """As `start`, in this process: most of a start is the import of what it is made of."""
    with patch.context() as here:
        for name, value in {**ENVIRONMENT, **environment}.items():
            here.setenv(name, value)
        forget_configuration()
        said.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("connector_app.portal", run_name="__main__")
    forget_configuration()
    return int(str(ended.value.code)), said.readouterr().err


def test_a_wrong_set_up_ends_the_process_with_one_line(shop: Engine) -> None:
    code, said = start(BACKROOM_DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/x")
    assert (code, said.count("\n"), "no database at" in said, "s3cret" in said) == (2, 1, True, False), said


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"BACKROOM_PORTAL_PORT": "many"}, "BACKROOM_PORTAL_PORT"),
        ({"BACKROOM_PORTAL_APP_PUBLIC_KEY": ""}, "BACKROOM_PORTAL_APP_PUBLIC_KEY"),
    ],
)
def test_a_wrong_set_up_is_one_line(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    environment: dict[str, str], complaint: str,
) -> None:  # fmt: skip
    code, said = start_here(monkeypatch, capsys, **environment)
    assert (code, said.count("\n")) == (2, 1), said
    assert complaint in said


def test_a_port_that_is_taken_is_one_line(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, said = start_here(monkeypatch, capsys, BACKROOM_PORTAL_PORT=str(port))
    assert (code, said.count("\n")) == (2, 1)
    assert f"port {port} for the portal is taken" in said
