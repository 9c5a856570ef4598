"""One store day, end to end: the sandbox plays Amazon, Airflow's scheduler runs the DAGs, and the books are compared.

Exit codes: 0 the books agree to the cent; 1 they do not; 2 it could not be run.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from backroom.clock import business_day_bounds
from backroom.db.engine import make_engine
from backroom.errors import BackroomError, ConfigurationError
from backroom.settings import Settings
from backroom.shoppers.sealing import Seal
from backroom_stack import demo_report, demo_shopper, store_world
from backroom_stack.airflow_api import AirflowApi, Run
from backroom_stack.books_check import compare_books
from backroom_stack.supervisor import SERVICES, Supervisor

DAGS = (
    "catalog_sync",
    "intraday_ingestion",
    "event_feed",
    "charge_lifecycle",
    "debt_aging",
    "reconciliation",
    "data_quality",
)
FEW_TRIPS = 200
EAST, WEST = "America/New_York", "America/Los_Angeles"


def run_demo(config: Settings, console: Console, *, trips: int) -> int:
    """Runs the whole day in a home of its own (`demo` in the home), which each run starts afresh."""
    began = time.monotonic()
    if config.database_url is not None:
        raise ConfigurationError("the demo brings its own database and starts it afresh: unset BACKROOM_DATABASE_URL")
    config = config.model_copy(update={"home": config.home / "demo"})
    day = store_world.last_closed_day(datetime.now(UTC))
    with Supervisor(
        config, SERVICES, lambda line: console.print(f"  {line}"), schedules=False, fresh=True, patience_seconds=1
    ) as stack:
        console.print(f"One day of two stores, {day}: {trips} shopping trips from real baskets.", style="bold")
        making = store_world.make_world(config.home / "world", day, trips)
        stack.start()
        store_world.finish_world(making)
        for line in store_world.describe_world(config.home / "world"):
            console.print(f"  {line}")
        engine = make_engine(stack.environment.role_url("pipeline"))
        store_world.load_retailer_side(engine, Seal(stack.environment.privacy_keys), config.home / "world")
        sandbox = f"http://127.0.0.1:{config.sandbox_port}"
        store_world.load_amazon_side(sandbox, config.home / "world", "demo")
        airflow = AirflowApi(
            f"http://127.0.0.1:{config.airflow_port}", stack.environment.secrets["airflow_admin_password"]
        )
        airflow.wait_for_dags(DAGS)
        console.print(f"  everything runs after {time.monotonic() - began:.0f} s")
        closing = _play_day(day, sandbox, airflow, console)
        verdict = compare_books(engine, httpx.get(f"{sandbox}/sandbox/books", timeout=60).json()["trips"])
        summary = httpx.get(f"{sandbox}/sandbox/summary", timeout=60).json()
        agree = demo_report.show(engine, console, day, verdict, summary, airflow, config.home)
        demo_shopper.show(engine, console, config, stack.environment.privacy_keys, closing)
        engine.dispose()
    console.print(f"Took {time.monotonic() - began:.0f} s; the day was closed as of {closing:%Y-%m-%d %H:%M} UTC.")
    return 0 if agree else 1


def timeline(day: date, trips: int) -> list[datetime]:
    """The moments at which files are taken in and money is moved: through the day, at its end, and after it.

    A day of a few trips has fewer of them: most of its time is what starting tasks takes.
    """
    _, east_end = business_day_bounds(day, EAST)
    _, west_end = business_day_bounds(day, WEST)
    noon = datetime.combine(day, wall_time(12), ZoneInfo(EAST)).astimezone(UTC)
    return [
        *([noon, noon + timedelta(hours=6)] if trips > FEW_TRIPS else []),
        east_end + timedelta(minutes=30),
        west_end + timedelta(minutes=15),
        # second tries of an hour later: what comes of them is heard by the last moment
        *([west_end + timedelta(hours=1, minutes=15)] if trips > FEW_TRIPS else []),
        west_end + timedelta(hours=2, minutes=15),
    ]


def _play_day(day: date, sandbox: str, airflow: AirflowApi, console: Console) -> datetime:
    start, _ = business_day_bounds(day, EAST)
    total = int(httpx.get(f"{sandbox}/sandbox/progress", timeout=30).json()["trips_total"])
    moments = timeline(day, total)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        catalog = progress.add_task("catalog accepted by Amazon", total=1)
        played = progress.add_task("shopping trips", total=total)
        hours = progress.add_task("files in, money moved, through the day", total=len(moments))
        closing = progress.add_task("aging, quality, reconciliation", total=1)
        airflow.wait([airflow.trigger("catalog_sync", start)])
        progress.update(catalog, completed=1)
        for moment in moments:
            _advance(sandbox, moment, progress, played)
            airflow.wait([airflow.trigger(d, moment) for d in ("intraday_ingestion", "event_feed")])
            airflow.wait([airflow.trigger("charge_lifecycle", moment)])
            progress.advance(hours)
        end = moments[-1]
        last: list[Run] = [airflow.trigger(dag_id, end) for dag_id in ("debt_aging", "data_quality")]
        airflow.settle(["reconciliation"])
        for store in ("STORE-001", "STORE-002"):
            # once more, as a correction: the day was released when its files were complete, before all money was final
            asked = {"store_id": store, "business_date": day.isoformat(), "now": end.isoformat()}
            last.append(airflow.trigger("reconciliation", end + timedelta(seconds=len(last)), **asked))
        airflow.wait(last)
        progress.update(closing, completed=1)
    return end


def _advance(sandbox: str, until: datetime, progress: Progress, task: TaskID) -> None:
    """Lets the sandbox play the trips that end by then, and shows how far it is."""
    failed: list[str] = []

    def advance() -> None:
        try:
            answer = httpx.post(f"{sandbox}/sandbox/advance", json={"until": until.isoformat()}, timeout=300)
            if answer.is_error:
                failed.append(answer.text)
        except httpx.TransportError as error:
            failed.append(str(error))

    playing = threading.Thread(target=advance)
    playing.start()
    while playing.is_alive():
        playing.join(0.5)
        try:
            done = httpx.get(f"{sandbox}/sandbox/progress", timeout=10).json()["trips_done"]
        except httpx.TransportError:
            continue  # busy; the next look will tell
        progress.update(task, completed=done)
    if failed:
        raise BackroomError(f"the sandbox could not play the trips until {until:%H:%M}: {failed[0]}")
