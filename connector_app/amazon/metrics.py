"""What is counted and measured, for Prometheus: `GET /metrics`.

Each process that serves writes to files of its own under PROMETHEUS_MULTIPROC_DIR (set when the server starts), and any
of them answers for all.
"""

from __future__ import annotations

import hmac
import os
from functools import cache

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from connector_app.amazon.errors import envelope

blueprint = Blueprint("metrics", __name__)

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

CALLS = Counter("backroom_connector_calls", "Calls answered.", ["operation", "status"])
SECONDS = Histogram(
    "backroom_connector_seconds", "From a call's arrival to its answer.", ["operation"], buckets=_BUCKETS
)
OUTCOMES = Counter(
    "backroom_connector_outcomes", "What was decided or became of a call: a gate's reason, a cart's state.",
    ["operation", "outcome"],
)  # fmt: skip


def observe(operation: str, status: int, outcome: str | None, seconds: float) -> None:
    """One call answered. `operation` and `outcome` are of bounded sets, never an id."""
    _counter(CALLS, operation, str(status)).inc()
    _seconds(operation).observe(seconds)
    if outcome:
        _counter(OUTCOMES, operation, outcome).inc()


@cache
def _counter(metric: Counter, *labels: str) -> Counter:
    return metric.labels(*labels)


@cache
def _seconds(operation: str) -> Histogram:
    return SECONDS.labels(operation)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Everything counted so far, by all processes of this server."""
    token = current_app.config["BACKROOM"].metrics_token
    if token is not None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            return envelope(403, "authentication: the metrics ask for their bearer token")
    elif current_app.config["BACKROOM"].env != "development":
        return envelope(403, "authentication: set BACKROOM_METRICS_TOKEN to read the metrics")
    return Response(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    from prometheus_client import REGISTRY

    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
