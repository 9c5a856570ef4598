"""One worker of the charges' benchmark, in a process of its own: what the DAG's task does, timed.

`python -m tests.benchmarks.charge_worker CALLS_AT_ONCE` prints the seconds, the trips, and by how much memory grew.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from backroom.amazon.payments import PaymentsClient
from backroom.charges.lifecycle import work_due
from backroom.db.engine import engine
from backroom.settings import settings
from tests.benchmarks.charged_trips import NOW, STORE


def _peak() -> int:
    """This process's own, in KiB: the kernel's `ru_maxrss` begins with what the starting process had taken."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    calls_at_once = int(sys.argv[1])
    with PaymentsClient(settings()) as client, engine().connect():
        before, began = _peak(), time.perf_counter()
        worked = work_due(engine(), client, store_id=STORE, now=NOW, concurrency=calls_at_once)
        seconds = time.perf_counter() - began
    grown = (_peak() - before) / 1024
    said = {"seconds": seconds, "grown_mib": grown, **worked.as_json()}
    print(json.dumps(said))  # noqa: T201
