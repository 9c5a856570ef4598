"""A quarter of an hour's files under a real Airflow: `python -m tests.benchmarks.scheduled`.

The database, the AWS stand-in and Airflow's four parts run as in `make up`, with every schedule on. A decline on
Amazon's bus and files of 50,000 order lines in its bucket each ring a bell; measured are the runs that this starts. The
pipeline's own work is that of the same steps on as many lines in this process, where Airflow takes no part. Ends with 1
where a goal is missed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import boto3
import typer
from botocore.config import Config
from rich.console import Console
from sqlalchemy import Engine, text

from backroom.clock import parse_instant
from backroom.db.embedded import free_port
from backroom.db.engine import make_engine
from backroom.feeds import watching
from backroom.feeds.aws import Aws
from backroom.feeds.completeness import newly_complete_days
from backroom.feeds.intraday import take_in
from backroom.orders.landing import land_changed_days
from backroom.quality import arrivals
from backroom.settings import Settings
from backroom_stack.airflow_api import AirflowApi
from backroom_stack.supervisor import PORTS, Supervisor
from tests.benchmarks import feed_files
from tests.benchmarks.goals import Goal, show

LINES = 50_000  # of a busy quarter of an hour
FILES = 10
AMAZON = "jwo-reports-amazon"
TOPIC = "arn:aws:sns:us-east-1:123456789012:jwo-reports"
PATIENCE = 180  # seconds
QUIET = 100  # seconds that must be left until the clock itself starts a run
Found = TypeVar("Found")


def measure(*, lines: int, console: Console) -> tuple[list[Goal], str]:
    """Starts everything and measures; the goals, and what is beside them. Raises RuntimeError for a wrong outcome."""
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder, console.status("starting") as status:
        ports = {attribute: free_port() for attribute, _, _ in PORTS.values()}
        config = Settings(home=Path(folder), db_port=free_port(), **ports)
        with Supervisor(config, ("db", "aws", "airflow"), status.update, schedules=True) as stack:
            stack.start()
            engine = make_engine(stack.environment.role_url("pipeline"))
            aws = _clients(f"http://127.0.0.1:{config.aws_port}")
            _open_store(make_engine(stack.environment.owner_url))
            airflow = AirflowApi(
                f"http://127.0.0.1:{config.airflow_port}", stack.environment.secrets["airflow_admin_password"]
            )
            airflow.wait_for_dags(["intraday_ingestion", "event_feed"])
            status.update("each DAG's first run")
            _await(lambda: airflow.under_way() == 0 or None, "Airflow at rest")
            status.update("a decline")
            declined = _decline(engine, airflow, f"http://127.0.0.1:{config.aws_port}")
            written = _of_yesterday(feed_files.files(lines=3 * lines, windows=3 * FILES))
            runs = []
            for number in range(2):
                status.update(f"files, run {number + 1}")
                runs.append(_rung(engine, airflow, aws, written[number * FILES : (number + 1) * FILES]))
            status.update("the same without Airflow")
            own = _by_itself(engine, aws, config, written[2 * FILES : 3 * FILES])
            engine.dispose()
    wall = max(run.wall for run in runs)
    steps = "; ".join(f"{name} {seconds:.1f} s" for name, seconds in own.items())
    tasks = "; ".join(f"{name} {seconds:.1f} s" for name, seconds in runs[-1].tasks.items())
    goals = [
        Goal("a decline, from the bus to its alert", declined, 60, False, "s"),
        Goal("files, from the topic to a run that begins", max(run.rung for run in runs), 60, False, "s"),
        Goal(f"{runs[-1].lines:,} lines, the whole run (the slower of two)", wall, 30, False, "s"),
    ]
    return goals, (
        f"the pipeline's own work on as many lines, without Airflow: {sum(own.values()):.1f} s ({steps}); so Airflow's"
        f" part is {wall - sum(own.values()):.1f} s; its tasks took {tasks}, some side by side"
    )


def _of_yesterday(files: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """A day that is just over: as the store's first, it is the only one that is looked at."""
    day, then = datetime.now(UTC) - timedelta(days=1), feed_files.START
    return [
        (key.replace(f"{then:%Y%m%d}", f"{day:%Y%m%d}"), content.replace(f"{then:%F}".encode(), f"{day:%F}".encode()))
        for key, content in files
    ]


class _Run:
    """A run that the bell started. In seconds: until it began, from then to its end, and each task."""

    def __init__(self, announced: datetime, run: dict[str, Any], tasks: list[dict[str, Any]], lines: int) -> None:
        begun = parse_instant(run["queued_at"])
        self.rung = (begun - announced).total_seconds()
        self.wall = (parse_instant(run["end_date"]) - begun).total_seconds()
        self.tasks = {task["task_id"]: float(task["duration"] or 0) for task in tasks}
        self.lines = lines


def _rung(engine: Engine, airflow: AirflowApi, aws: Aws, files: list[tuple[str, bytes]]) -> _Run:
    """All but the last are announced to the pipeline's queue alone; the last to the topic, which rings the bell too."""
    _wait_for_quiet(airflow)
    known = {run["dag_run_id"] for run in airflow.runs("intraday_ingestion")}
    *silent, last = [_put(aws, key, content) for key, content in files]
    for record in silent:
        _announce_silently(aws, record)
    announced = datetime.now(UTC)
    sns = _client("sns", str(aws.s3.meta.endpoint_url))
    sns.publish(TopicArn=TOPIC, Message=json.dumps({"Records": [last]}), Subject="Amazon S3 Notification")

    def ended() -> dict[str, Any] | None:
        new = [run for run in airflow.runs("intraday_ingestion") if run["dag_run_id"] not in known]
        return next((run for run in new if run["state"] in ("success", "failed")), None)

    run = _await(ended, "a run of intraday_ingestion that the bell started")
    if run["state"] != "success" or run["run_type"] != "asset_triggered":
        raise RuntimeError(f"the run came out as {run['state']}, started by {run['run_type']}")
    rows = _sum_of_rows(engine, [key for key, _ in files])
    expected = sum(content.count(b"\n") - 1 for _, content in files)
    if rows != expected:
        raise RuntimeError(f"of {expected} lines {rows} came in by the run")
    return _Run(announced, run, airflow.tasks("intraday_ingestion", run["dag_run_id"]), rows)


def _by_itself(engine: Engine, aws: Aws, config: Settings, files: list[tuple[str, bytes]]) -> dict[str, float]:
    """Seconds of each task's work, as the tasks do it."""
    for key, content in files:
        _announce_silently(aws, _put(aws, key, content))
    now = datetime.now(UTC)
    ids: list[int] = []

    def take() -> None:
        ids.extend(one.file_id for one in take_in(engine, aws, now=now))

    def check() -> None:
        with engine.begin() as connection:
            arrivals.check(connection, file_ids=ids, run="by itself", now=now)

    def release() -> None:
        with engine.begin() as connection:
            newly_complete_days(connection, now=now)

    def watch() -> None:
        with engine.begin() as connection:
            watching.watch_gaps(connection, now=now)
            watching.watch_orders(connection, now=now)

    def land() -> None:
        land_changed_days(engine, aws.s3, bucket=aws.feeds_bucket, prefix=config.orders_prefix)

    steps = {"take_in": take, "check_arrivals": check, "release_complete_days": release, "watch": watch, "land": land}
    took = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        took[name] = time.perf_counter() - started
    if len(ids) != len(files):
        raise RuntimeError(f"of {len(files)} files {len(ids)} came in")
    return took


def _decline(engine: Engine, airflow: AirflowApi, endpoint: str) -> float:
    """Seconds from an event on Amazon's bus to the alert; the run that did it was started by the bell."""
    detail = {"subtype": "CaptureDeclined", "shoppingTripId": "trip-declined", "storeId": feed_files.STORE}
    entry = {
        "Source": "amazon.justwalkout", "DetailType": "PAYMENT", "EventBusName": "jwo-events",
        "Detail": json.dumps(detail),
    }  # fmt: skip
    put = time.perf_counter()
    _client("events", endpoint).put_events(Entries=[entry])
    alert = text("select count(*) from alert where deduplication_key = 'decline:CaptureDeclined:trip-declined'")

    def alerted() -> bool | None:
        with engine.connect() as connection:
            return bool(connection.execute(alert).scalar_one()) or None

    _await(alerted, "the decline's alert")
    took = time.perf_counter() - put
    _await(
        lambda: next((r for r in airflow.runs("event_feed") if r["run_type"] == "asset_triggered"), None),
        "a run of event_feed that the bell started",
    )
    return took


def _at_rest(airflow: AirflowApi, dag_id: str) -> bool:
    return all(run["state"] not in ("queued", "running") for run in airflow.runs(dag_id))


def _wait_for_quiet(airflow: AirflowApi) -> None:
    """The clock starts a run of its own at each quarter of an hour: it must not come in between."""
    minutes = timedelta(minutes=15)
    left = minutes - (datetime.now(UTC) - datetime.min.replace(tzinfo=UTC)) % minutes
    if left.total_seconds() < QUIET:
        time.sleep(left.total_seconds() + 5)
    _await(lambda: _at_rest(airflow, "intraday_ingestion") or None, "intraday_ingestion at rest")


def _await(look: Callable[[], Found | None], what: str) -> Found:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.3)
    raise RuntimeError(f"within {PATIENCE} s there was not {what}")


def _open_store(owner: Engine) -> None:
    with owner.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values (:store, 'S', :merchant, 'America/New_York', 'USD', 'X',"
                " 'NONE', 50, '{FILES,EVENTS}')"
            ),
            {"store": feed_files.STORE, "merchant": feed_files.MERCHANT},
        )
    owner.dispose()


def _put(aws: Aws, key: str, content: bytes) -> dict[str, Any]:
    put = aws.s3.put_object(Bucket=AMAZON, Key=key, Body=content)
    entry = {"key": key, "versionId": put["VersionId"], "sequencer": f"{time.time_ns():016X}", "size": len(content)}
    s3 = {"bucket": {"name": AMAZON}, "object": entry}
    return {"eventName": "ObjectCreated:Put", "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "s3": s3}


def _announce_silently(aws: Aws, record: dict[str, Any]) -> None:
    body = {"Type": "Notification", "Message": json.dumps({"Records": [record]})}
    aws.sqs.send_message(QueueUrl=aws.queue_url(aws.intraday_queue), MessageBody=json.dumps(body))


def _sum_of_rows(engine: Engine, keys: list[str]) -> int:
    with engine.connect() as connection:
        total = connection.execute(
            text("select sum(rows_applied) from feed_file where key = any(:keys) and state = 'INGESTED'"),
            {"keys": keys},
        ).scalar_one()
    return int(total or 0)


def _client(service: str, endpoint: str, **more: Any) -> Any:
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x",
        **more,
    )  # fmt: skip


def _clients(endpoint: str) -> Aws:
    s3 = _client("s3", endpoint, config=Config(s3={"addressing_style": "path"}, max_pool_connections=16))
    return Aws(s3, _client("sqs", endpoint), "backroom-feeds", "backroom-intraday", "backroom-events")


def main(lines: int = LINES) -> None:
    """Measures and prints."""
    console = Console()
    goals, beside = measure(lines=lines, console=console)
    sys.exit(show(console, "a quarter of an hour's files, under Airflow", goals, beside))


if __name__ == "__main__":
    typer.run(main)
