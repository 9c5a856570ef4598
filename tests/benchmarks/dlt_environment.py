"""dlt in an environment of its own, built at its first use in .backroom, which git ignores."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from backroom.settings import CHECKOUT

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "dlt_requirements.txt"
_SCRIPT = _HERE / "dlt_reference.py"


def python() -> Path:
    """The interpreter of that environment. Raises RuntimeError where it can't be built."""
    pinned = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = CHECKOUT / ".backroom" / "benchmarks" / f"dlt-{pinned}"
    interpreter, built = folder / "bin" / "python", folder / "built"
    if not built.exists():
        uv = str(Path(sys.executable).parent / "uv")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(interpreter), "-r", str(_REQUIREMENTS)])
        built.touch()
    return interpreter


def merge(**asked: Any) -> float:
    """Lines per second of dlt's merge; tests/benchmarks/dlt_reference.py says what is asked."""
    lines = asked.pop("lines")
    answer = json.loads(_run([str(python()), str(_SCRIPT), json.dumps(asked)]).splitlines()[-1])
    if answer["rows"] != lines:
        raise RuntimeError(f"dlt brought in {answer['rows']} of {lines} lines")
    return float(lines / answer["seconds"])


def _run(command: list[str]) -> str:
    # what is set for Backroom's own environment is none of its business
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
