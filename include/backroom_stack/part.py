"""One part of the system as a process: started in its own group, watched, and ended with all its children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backroom.errors import BackroomError


class PartFailed(BackroomError):
    """A part ended, or was not ready in time."""


@dataclass
class Part:
    """A command, its environment, its log, and how to tell that it is ready."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    ready: Callable[[], bool]
    wait_seconds: float = 120
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the process; do not wait."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> None:
        """Returns when it is ready. Raises PartFailed with the last line of its log."""
        deadline = time.monotonic() + self.wait_seconds
        while time.monotonic() < deadline:
            if not self.alive():
                raise PartFailed(f"{self.name} ended at once: {self.last_words()} (whole log: {self.log})")
            if self.ready():
                return
            time.sleep(0.2)
        raise PartFailed(f"{self.name} was not ready after {self.wait_seconds:.0f} s; its log is {self.log}")

    def last_words(self) -> str:
        """The last line of the log that says something."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "no word in its log")

    def stop(self, patience: float = 10) -> None:
        """End the whole process group: politely, then not."""
        if self.process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        self.process = None


def run_to_end(name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
    """A command that must succeed. Raises PartFailed with its last line."""
    part = Part(name, command, environment, log, ready=lambda: True)
    part.start()
    assert part.process is not None
    if part.process.wait():
        raise PartFailed(f"{name} failed: {part.last_words()} (whole log: {log})")


def answers(url: str) -> Callable[[], bool]:
    """Ready when a GET of the URL is answered with a status below 400."""

    def check() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code < 400
        except httpx.TransportError:
            return False

    return check
