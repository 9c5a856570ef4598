"""The AWS stand-in: moto's server, on 127.0.0.1 unless JWO_SANDBOX_HOST says otherwise (a container's 0.0.0.0)."""

from __future__ import annotations

import logging
import os
import socket
import time
from functools import cache

from jwo_sandbox.configuration import ConfigurationError


def serve(port: int) -> None:
    """Serve until the process ends. Raises ConfigurationError when the port is taken."""
    host = os.environ.get("JWO_SANDBOX_HOST", "127.0.0.1")
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "sandbox")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "sandbox")
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    import jsonpath_ng.ext
    from moto.server import DomainDispatcherApplication, create_backend_app
    from moto.sqs import models as queues
    from werkzeug.serving import WSGIRequestHandler, make_server

    # Each message sent asks all that wait for the time, twice; moto's own reckoning of it takes 20 times as long.
    setattr(queues, "unix_time_millis", _unix_time_millis)  # noqa: B010 (its type differs from moto's own)
    # Each event sent builds the parser of the same few path expressions anew.
    setattr(jsonpath_ng.ext, "parse", cache(jsonpath_ng.ext.parse))  # noqa: B010 (its type differs from the library's)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise ConfigurationError(f"port {port} is taken: end what listens there, or set BACKROOM_AWS_PORT") from error
    listener.listen(128)
    application = DomainDispatcherApplication(create_backend_app)
    make_server(host, port, application, threaded=True, fd=listener.fileno()).serve_forever()


def _unix_time_millis() -> float:
    return time.time() * 1000
