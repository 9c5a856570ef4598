"""The workers as processes: started, killed at random or at a call that the sandbox has just seen, frozen, resumed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from backroom_stack.simulation.clock import SharedClock
from backroom_stack.simulation.stack import plain_client

LOOKING_SECONDS: Final = 60.0  # for a call to catch a worker at, over as many moments as it takes
ANY_CALL: Final = frozenset({"adjust", "capture", "cancel", "refund", "payment_status"})
CAPTURES: Final = frozenset({"capture"})
NOWHERE: Final[frozenset[str]] = frozenset()
_LOOK: Final = 0.04


class Crew:
    """Workers by slot. Use as a context manager: leaving it ends them all."""

    def __init__(self, size: int, environment: dict[str, str], clock: SharedClock, sandbox_url: str, log: Path) -> None:
        self._size = size
        self._clock = clock
        self._held_url = f"{sandbox_url}/sandbox/held"
        self._pids: dict[int, int] = {}
        self._frozen: set[int] = set()
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._http = plain_client(timeout=5)
        self._log = log.open("ab")
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "backroom_stack.simulation.nursery"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self.calm = threading.Event()
        """Set when few calls come any more: who still looks for one takes any worker."""
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Crew:
        for slot in range(self._size):
            self._start(slot)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._nursery.pid, signal.SIGKILL)
        self._nursery.wait()
        self._http.close()
        self._log.close()

    def all_done(self) -> bool:
        """Whether no worker that runs has anything left to do at the present moment."""
        with self._lock:
            return all(self._clock.is_done(slot) for slot in self._pids if slot not in self._frozen)

    def alive(self) -> bool:
        """Whether the workers are there; one that ended by itself is a mistake of the simulation."""
        with self._lock:
            return all(Path(f"/proc/{pid}").exists() for pid in self._pids.values())

    def kill(self, chance: Random, *, at: frozenset[str] = NOWHERE) -> None:
        """SIGKILLs a worker: at a call of one of these operations, whose effect has happened and whose answer is kept
        back; or, where none is named or comes, any worker at any point.
        """
        slot = self._caught(at) if at else None
        if slot is None:
            time.sleep(chance.random() * 0.3)
            slot = chance.choice([slot for slot in self._pids if slot not in self._frozen] or [0])
            self.counts["killed anywhere"] += 1
        else:
            self.counts["killed between effect and record"] += 1
        with self._lock:
            self._signal(slot, signal.SIGKILL)
            self._frozen.discard(slot)
            self._start(slot)

    def freeze(self, chance: Random, seconds: float) -> Callable[[], None]:
        """SIGSTOPs a worker, best at a call; returns what to call after `seconds`, to resume it."""
        slot = self._caught(ANY_CALL)
        self.counts["frozen at a call" if slot is not None else "frozen anywhere"] += 1
        if slot is None:
            slot = chance.choice([slot for slot in self._pids if slot not in self._frozen] or [0])
        with self._lock:
            self._signal(slot, signal.SIGSTOP)
            self._frozen.add(slot)
            pid, until = self._pids[slot], time.monotonic() + seconds

        def resume() -> None:
            time.sleep(max(0.0, until - time.monotonic()))
            with self._lock:
                if self._pids[slot] == pid:
                    self._signal(slot, signal.SIGCONT)
                    self._frozen.discard(slot)

        return resume

    def _start(self, slot: int) -> None:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(f"{slot}\n")
        self._nursery.stdin.flush()
        answer = self._nursery.stdout.readline()
        if not answer:
            raise RuntimeError(f"the nursery of the workers ended; its log is {self._log.name}")
        self._pids[slot] = int(answer)
        self._clock.done(slot, 0)

    def _signal(self, slot: int, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pids[slot], sign)

    def _caught(self, at: frozenset[str]) -> int | None:
        """The slot of a worker whose call the sandbox is holding; None where none comes in time."""
        deadline = time.monotonic() + LOOKING_SECONDS
        while time.monotonic() < deadline and not self.calm.is_set():
            with self._asking:
                held: list[dict[str, Any]] = self._http.get(self._held_url).json()["held"]
            for call in (call for call in held if call["operation"] in at):
                for slot, pid in list(self._pids.items()):
                    if slot not in self._frozen and _owns(pid, call["port"]):
                        return slot
            time.sleep(_LOOK)
        return None


def _owns(pid: int, port: int) -> bool:
    """Whether a process has the TCP socket of that local port."""
    marks = {
        f"socket:[{fields[9]}]"
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}")
    }
    try:
        return any(str(link.readlink()) in marks for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
