"""A tiny HTTP server that gives exactly the answers that a test writes down. Not a model of Amazon: the sandbox is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backroom.amazon import exact_json


@dataclass(frozen=True)
class Reply:
    """One answer; `drop` closes the connection without one, `wait` seconds before."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    path: str
    body: Any
    text: str
    headers: dict[str, str]
    at: float


Script = Callable[[Call], Reply]


class ScriptedAmazon:
    """Keeps every call; answers by `script`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.script: Script = approve_all
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Reply:
        with self._lock:
            self.calls.append(call)
        return self.script(call)

    def paths(self, shopping_trip_id: str | None = None) -> list[str]:
        """The operations that were called, in order: adjust, capture, cancel."""
        return [
            call.path.split("/")[2]
            for call in self.calls
            if shopping_trip_id is None or call.body.get("shoppingTripId") == shopping_trip_id
        ]


def approve_all(call: Call) -> Reply:
    if call.path == "/v1/adjust/charge":
        return Reply(body={"status": "APPROVED", "authorizedAmount": call.body["amount"]})
    return Reply()


def replies(**by_operation: list[Reply] | Reply) -> Script:
    """Answers of adjust, capture and cancel in turn; the last one is repeated. What is not named is approved."""
    lock, used = threading.Lock(), {name: 0 for name in by_operation}

    def script(call: Call) -> Reply:
        operation = call.path.split("/")[2]
        if operation not in by_operation:
            return approve_all(call)
        listed = by_operation[operation]
        listed = listed if isinstance(listed, list) else [listed]
        with lock:
            turn = min(used[operation], len(listed) - 1)
            used[operation] += 1
        return listed[turn]

    return script


def adjusted(status: str, amount: str, code: str = "USD") -> Reply:
    return Reply(body={"status": status, "authorizedAmount": {"amount": Decimal(amount), "code": code}})


def refused(status: int, message: str, **headers: str) -> Reply:
    return Reply(status, {"errorMsg": message}, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serving(amazon: ScriptedAmazon) -> Iterator[str]:
    """The server's base URL, on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            body = json.loads(text, parse_float=Decimal)
            reply = amazon.answer(Call(self.path, body, text, dict(self.headers), time.monotonic()))
            if reply.wait:
                time.sleep(reply.wait)
            if reply.drop:
                self.close_connection = True
                return
            content = b"" if reply.body is None else exact_json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
