"""A log line is JSON and has no room for secrets."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import structlog

from backroom import logs


def test_names_of_secrets_are_struck_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    structlog.get_logger().info("seen", identity_key="abc", Token="def", trip_id="t")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["trip_id"], line["identity_key"], line["Token"]) == ("seen", "t", "…", "…")


def test_an_exception_is_its_type_and_place_never_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    try:
        raise ValueError("the key was abc")
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "abc" not in written
    assert json.loads(written)["error"] == "builtins.ValueError"
    assert "test_logs.py" in json.loads(written)["raised_at"][-1]


def test_less_severe_lines_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING")
    structlog.get_logger().info("quiet")
    assert capsys.readouterr().err == ""


def test_a_servers_own_lines_have_the_same_shape() -> None:
    record = logging.LogRecord("server", logging.ERROR, "f", 1, "worker %s died", ("1",), None)
    assert json.loads(logs.JsonLines().format(record))["event"] == "worker 1 died"
    try:
        raise ValueError("abc")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "abc" not in logs.JsonLines().format(record)
