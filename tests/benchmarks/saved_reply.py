"""The sandbox's server with nothing behind it: every call is answered from a saved reply.

`python -m tests.benchmarks.saved_reply PORT`. How many calls a second it takes is the sandbox's ceiling.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

HELD = b'{"status":"APPROVED","authorizedAmount":{"amount":5.00,"code":"USD"}}'


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers 200 to whatever comes, once it has come whole."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(HELD)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELD})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", log_level="error", access_log=False, lifespan="off")
