"""Fixtures for every test that meets Amazon's side: the AWS stand-in, a running sandbox, a small world."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backroom.settings import settings
from jwo_sandbox import exact_json
from jwo_sandbox.aws_resources import create_resources, wait_for

AMAZON_KEY_ID, AMAZON_SECRET = "AKIDBACKROOMTEST", "amazon-secret-of-tests"
CONNECTOR_KEY_ID, CONNECTOR_SECRET = "AKIDSANDBOXTEST", "connector-secret-of-tests"
SMALL_WORLD_DATE = "2026-11-23"
_http = httpx.Client(timeout=120)


@dataclass(frozen=True)
class SandboxClient:
    """The control API of a running sandbox; JSON numbers with a point come back as Decimal."""

    url: str
    connector_port: int
    """Where the sandbox looks for the connector."""

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST; raises for an error status."""
        return self._checked(_http.post(f"{self.url}{path}", content=exact_json.dumps(body or {})))

    def get(self, path: str, **query: str) -> Any:
        """GET; raises for an error status."""
        return self._checked(_http.get(f"{self.url}{path}", params=query))

    def text(self, path: str) -> str:
        """GET, as it is."""
        response = _http.get(f"{self.url}{path}")
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.text

    @staticmethod
    def _checked(response: httpx.Response) -> Any:
        assert response.status_code == 200, f"{response.request.url}: {response.status_code} {response.text}"
        return exact_json.loads(response.content)


@pytest.fixture(scope="session")
def moto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of this worker's AWS stand-in."""
    port = _free_port()
    environment = os.environ | {"BACKROOM_AWS_PORT": str(port)}
    process = _start("aws", tmp_path_factory.mktemp("aws") / "aws.log", environment)
    try:
        wait_for(f"http://127.0.0.1:{port}", "us-east-1")
        yield port
    finally:
        _stop(process)


@pytest.fixture(scope="module")
def aws_endpoint(moto_port: int, module_patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The worker's stand-in with nothing in it of an earlier module: every bucket, topic, queue, key and bus is new."""
    url = f"http://127.0.0.1:{moto_port}"
    for name, value in {
        "BACKROOM_AWS_ENDPOINT_URL": url,
        "BACKROOM_AWS_PORT": str(moto_port),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        module_patch.setenv(name, value)
    settings.cache_clear()
    _http.post(f"{url}/moto-api/reset").raise_for_status()
    create_resources(url)
    yield url
    settings.cache_clear()


@pytest.fixture(scope="module")
def sandbox(
    aws_endpoint: str, module_patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxClient]:
    """A running sandbox that checks signatures; Backroom's settings point at it. No world is loaded yet."""
    folder = tmp_path_factory.mktemp("sandbox")
    port, connector_port = _free_port(), _free_port()
    url = f"http://127.0.0.1:{port}"
    for name, value in {
        "BACKROOM_SANDBOX_PORT": str(port),
        "BACKROOM_SANDBOX_AUTH": "sigv4",
        "BACKROOM_AMAZON_PAYMENTS_URL": url,
        "BACKROOM_AMAZON_CATALOG_URL": url,
        "BACKROOM_AMAZON_ACCESS_KEY_ID": AMAZON_KEY_ID,
        "BACKROOM_AMAZON_SECRET_ACCESS_KEY": AMAZON_SECRET,
        "BACKROOM_CONNECTOR_PORT": str(connector_port),
        "BACKROOM_CONNECTOR_ACCESS_KEY_ID": CONNECTOR_KEY_ID,
        "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY": CONNECTOR_SECRET,
        "JWO_SANDBOX_STATE": str(folder / "state"),
        "JWO_SANDBOX_HANG_SECONDS": "5",
    }.items():
        module_patch.setenv(name, value)
    settings.cache_clear()
    process = _start("serve", folder / "sandbox.log", os.environ.copy())
    try:
        wait_until_healthy(url, process)
        yield SandboxClient(url, connector_port)
    finally:
        _stop(process)
        settings.cache_clear()


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The retailer's files and 60 trips of one day (SMALL_WORLD_DATE), from real baskets; made once for all workers."""
    here = tmp_path_factory.getbasetemp()
    folder = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "small-world"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            asked = ["--out", str(folder / "world"), "--date", SMALL_WORLD_DATE, "--trips", "60", "--seed", "7"]
            subprocess.run([sys.executable, "-m", "jwo_sandbox", "world", *asked, "--catalog", "400"], check=True)
    return folder / "world"


@pytest.fixture(scope="session")
def world_without_feeds(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, but nothing is delivered by files or events: time moves fast, and no AWS is needed."""
    folder = tmp_path_factory.mktemp("without-feeds") / "world"
    shutil.copytree(small_world, folder)
    stores = json.loads((folder / "stores.json").read_text())
    (folder / "stores.json").write_text(json.dumps([{**store, "feeds": []} for store in stores]))
    return folder


def _start(command: str, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", "jwo_sandbox", command], stdout=out, stderr=out, env=environment)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Return once a server answers /healthz; raises when its process ends or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if _http.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer; its process has {process.poll()=}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
