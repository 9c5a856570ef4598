"""What is counted and measured, for Prometheus: `GET /metrics`.

Each process that serves writes to files of its own under PROMETHEUS_MULTIPROC_DIR (set when the server starts), and any
of them answers for all.
"""

from __future__ import annotations

import hmac
import os

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
SHED = Counter("backroom_connector_shed", "Calls turned away at capacity.", ["zone"])


def observe(operation: str, status: int, outcome: str | None, seconds: float) -> None:
    """One call answered. `operation` and `outcome` are of bounded sets, never an id."""
    _child(CALLS, operation, str(status)).inc()
    _child(SECONDS, operation).observe(seconds)
    if outcome:
        _child(OUTCOMES, operation, outcome).inc()


_children: dict[tuple[object, ...], object] = {}


def _child(metric: Counter | Histogram, *labels: str) -> Counter | Histogram:  # type: ignore[return]
    """The labelled child, looked up once."""
    key = (metric, *labels)
    found = _children.get(key)
    if found is None:
        found = _children[key] = metric.labels(*labels)
    return found  # type: ignore[return-value]


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
