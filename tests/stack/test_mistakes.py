"""A user's mistake is one clear line and exit code 2; nothing is left half done."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backroom.db.embedded import free_port


def run(arguments: list[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BACKROOM_")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**environment, "BACKROOM_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in lines[0]


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = run(["backroom_stack", "up", "sandbox"], tmp_path, BACKROOM_SANDBOX_PORT=port)
    assert_one_line(done, f"port {port}", "BACKROOM_SANDBOX_PORT")
    assert not (tmp_path / "postgres").exists()


def test_a_taken_database_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = run(["backroom_stack", "up", "db"], tmp_path, BACKROOM_DB_PORT=port)
    assert_one_line(done, f"port {port}", "BACKROOM_DB_PORT")


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    assert_one_line(run(["backroom_stack", "up", "kitchen"], tmp_path), "kitchen", "connector")


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://someone:hush@127.0.0.1:{free_port()}/nowhere"
    done = run(["backroom.cli", "db", "status"], tmp_path, BACKROOM_DATABASE_URL=url)
    assert_one_line(done, "no database at", "nowhere")
    assert "hush" not in done.stderr


def test_no_database_at_all_says_how_to_start_one(tmp_path: Path) -> None:
    assert_one_line(run(["backroom.cli", "db", "status"], tmp_path), "make up", "BACKROOM_DATABASE_URL")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BACKROOM_CONNECTOR_PORT", "eight thousand"),
        ("BACKROOM_CONNECTOR_AUTH", "none"),
        ("BACKROOM_CATALOG_BATCH_ITEMS", "20000"),
        ("BACKROOM_SCAN_CODE_FRESHNESS_SECONDS", "5"),
        ("BACKROOM_DATABASE_URL", "not a url"),
        ("BACKROOM_DATABASE_URL", "mysql://127.0.0.1/x"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, variable: str, value: str) -> None:
    assert_one_line(run(["backroom.cli", "db", "status"], tmp_path, **{variable: value}), variable)


def test_unauthenticated_mode_is_refused_in_production(tmp_path: Path) -> None:
    done = run(["backroom.cli", "db", "status"], tmp_path, BACKROOM_ENV="production", BACKROOM_CONNECTOR_AUTH="off")
    assert_one_line(done, "BACKROOM_CONNECTOR_AUTH=off", "gateway")


def test_the_demo_refuses_a_database_that_is_somebodys(tmp_path: Path) -> None:
    done = run(["backroom_stack", "demo"], tmp_path, BACKROOM_DATABASE_URL="postgresql://127.0.0.1/books")
    assert_one_line(done, "unset BACKROOM_DATABASE_URL")


def test_too_few_trips_are_refused_without_a_traceback(tmp_path: Path) -> None:
    done = run(["backroom_stack", "demo", "--trips", "5"], tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--trips" in done.stderr


def test_a_home_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert_one_line(run(["backroom_stack", "up", "db"], file / "home"), "BACKROOM_HOME")


def test_aws_without_credentials_is_one_line(tmp_path: Path) -> None:
    nothing = {name: "" for name in os.environ if name.startswith("AWS_")}
    nothing |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}
    arguments = ["backroom.cli", "feeds", "dead-letters", "list", "--queue", "intraday"]
    assert_one_line(run(arguments, tmp_path, **nothing), "AWS", "credentials")
