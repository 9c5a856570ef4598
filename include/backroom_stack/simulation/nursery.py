"""Makes workers fast: a process that has loaded everything they need, and forks one for each line that it reads.

`python -m backroom_stack.simulation.nursery`; a line is a slot's number, the answer the new worker's process id. It
opens no connection and starts no thread, so that nothing is shared with its children. It ends when its input does.
"""

from __future__ import annotations

import os
import signal
import sys

from backroom import logs
from backroom_stack.simulation import worker


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried by the kernel
    logs.configure("ERROR")
    worker.make_clients()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            worker.work(int(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
