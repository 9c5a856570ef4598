"""The rooms, the containers and the documents agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
).stdout.splitlines()


def test_rooms_import_only_what_they_may() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_compose_file_is_valid() -> None:
    named = re.findall(r"\$\{(\w+):\?\}", (CHECKOUT / "docker-compose.yaml").read_text())
    done = subprocess.run(
        ["docker-compose", "config", "-q"],
        cwd=CHECKOUT,
        env={**os.environ, **dict.fromkeys(named, "x")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_secret_of_the_compose_file_is_in_the_example() -> None:
    named = set(re.findall(r"\$\{(\w+):\?\}", (CHECKOUT / "docker-compose.yaml").read_text()))
    example = (CHECKOUT / "deploy" / "env.example").read_text()
    assert named == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))


def test_lock_covers_every_declared_package() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + [p for extra in project["optional-dependencies"].values() for p in extra]
    locked = {line.split("==")[0].lower() for line in (CHECKOUT / "requirements.txt").read_text().splitlines()}
    names = {re.match(r"[A-Za-z0-9-]+", package)[0].lower() for package in declared}  # type: ignore[index]
    assert names <= locked


@pytest.mark.parametrize("page", [path for path in TRACKED if path.endswith(".md")])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (CHECKOUT / page).parent.joinpath(target).exists(), target


def test_nothing_is_left_open() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")))
    for path in TRACKED:
        if path.endswith(".py") and (CHECKOUT / path).exists():
            assert not marks.search((CHECKOUT / path).read_text()), path
