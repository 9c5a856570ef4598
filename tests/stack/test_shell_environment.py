"""What a shell exports reaches the running parts as the pipelines do, and leaves the database to the command line."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from backroom.db.engine import URL_FILE
from backroom.errors import BackroomError, DatabaseUnreachable
from backroom.settings import Settings
from backroom_stack.secrets_file import load_or_make, write_private
from backroom_stack.shell_environment import exports


def test_it_names_the_stand_ins_and_the_secrets_that_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKROOM_PRIVACY_KEYS", raising=False)
    secrets = load_or_make(tmp_path)
    write_private(tmp_path / URL_FILE, "postgresql://owner:it's@127.0.0.1:5999/backroom")
    lines = exports(Settings(home=tmp_path, aws_port=5998, sandbox_port=5997))
    said = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert said["BACKROOM_AWS_ENDPOINT_URL"] == "http://127.0.0.1:5998"
    assert said["BACKROOM_AMAZON_CATALOG_URL"] == "http://127.0.0.1:5997"
    assert said["BACKROOM_PRIVACY_KEYS"] == secrets["privacy_key"]
    assert said["BACKROOM_AMAZON_SECRET_ACCESS_KEY"] == secrets["amazon_secret_access_key"]
    assert said["BACKROOM_HOME"] == str(tmp_path)
    assert "BACKROOM_DATABASE_URL" not in said
    assert "PATH" not in said


def test_before_anything_was_started_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BackroomError, match="make up"):
        exports(Settings(home=tmp_path))
    load_or_make(tmp_path)
    with pytest.raises(DatabaseUnreachable, match="make up"):
        exports(Settings(home=tmp_path))


def test_the_home_is_said_also_where_it_is_set_for_one_command_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_or_make(tmp_path)
    write_private(tmp_path / URL_FILE, "postgresql://owner:x@127.0.0.1:5999/backroom")
    monkeypatch.setenv("BACKROOM_HOME", str(tmp_path))
    assert f"export BACKROOM_HOME={shlex.quote(str(tmp_path))}" in exports(Settings(home=tmp_path))
