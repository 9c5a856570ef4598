"""A point of sale over real HTTP: it books each key once, and fails in the ways that it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONG = 1.2  # seconds: longer than the time-out of the tests' calls


class PointOfSale:
    """`script`: how it answers the next calls; after that it says yes. Effects come before the answer, save `…-before`.

    A number is a status without an effect; `silent-after` and `silent-before` hold the answer back, `cut-after` ends
    the connection in its place, `slow` says yes after a while, `half` breaks off in the body of its yes.
    """

    def __init__(self) -> None:
        self.script: deque[str | int] = deque()
        self.calls: list[tuple[str, bytes, dict[str, str]]] = []
        self.booked: dict[str, bytes] = {}
        self.levels: dict[tuple[str, str], Decimal] = {}
        self.heard = threading.Event()
        self.url = ""
        self._lock = threading.Lock()

    def book(self, key: str, body: bytes) -> bool:
        """False for a key that came with other content."""
        with self._lock:
            if key in self.booked:
                return self.booked[key] == body
            self.booked[key] = body
            told = json.loads(body)
            for movement in told["movements"]:
                place = told["storeId"], movement["itemSku"]
                self.levels[place] = self.levels.get(place, Decimal(0)) + Decimal(movement["quantity"])
            return True

    def movements(self) -> list[tuple[str, str, str, str, int]]:
        """Every movement that was booked, by its own key."""
        return [
            (told["storeId"], m["itemSku"], m["source"], m["kind"], m["lineNumber"])
            for told in map(json.loads, self.booked.values())
            for m in told["movements"]
        ]


@contextmanager
def serving() -> Iterator[PointOfSale]:
    """A running point of sale on a free port."""
    shop = PointOfSale()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with shop._lock:
                how = shop.script.popleft() if shop.script else "yes"
                shop.calls.append((self.path, body, dict(self.headers)))
            shop.heard.set()
            self.close_connection = True
            if how == "silent-before":
                time.sleep(LONG)
                return
            if isinstance(how, int):
                self._answer(how, b'{"error": "no\x00 SKU"}')
                return
            agreed = shop.book(self.headers["Idempotency-Key"], body)
            if how == "silent-after":
                time.sleep(LONG)
            elif how == "slow":
                time.sleep(0.1)
            if how == "half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"{")
            elif how != "cut-after":
                self._answer(200 if agreed else 422, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            try:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0" if status == 204 else str(len(body)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(body)
            except OSError:
                return  # the caller has gone

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    shop.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
