"""A message in a bell queue starts a run at once; the real queue is drained by the run alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Literal

import pytest

from backroom.feeds.aws import Aws
from backroom.settings import CHECKOUT, settings
from backroom_airflow.bell_trigger import BellTrigger
from backroom_airflow.schedules import every_or_rung
from tests.feeds.conftest import Amazon


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("bell", ["intraday", "events"])
def test_what_comes_rings_once_and_stays_in_the_real_queue(
    aws: Aws, amazon: Amazon, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, bell: Literal["intraday", "events"]
) -> None:
    from airflow.sdk import AssetOrTimeSchedule

    rung = aws.sqs.create_queue(QueueName=f"bell-{bell}")["QueueUrl"]
    monkeypatch.setenv(f"BACKROOM_{bell.upper()}_BELL_QUEUE", rung)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)  # where boto3 itself looks for a stand-in
    settings.cache_clear()
    schedule = every_or_rung("*/15 * * * *", bell=bell)
    assert isinstance(schedule, AssetOrTimeSchedule)
    ((asset,),) = [list(schedule.asset_condition.objects)]
    assert asset.uri == f"x-backroom://{bell}-bell"
    (watcher,) = asset.watchers
    path, given = watcher.trigger.serialize()
    real = aws.intraday_queue if bell == "intraday" else aws.events_queue
    amazon.send("news", real)
    for _ in range(12):  # more than SQS hands out at once
        amazon.send("https://a-link-that-opens-a-file", f"bell-{bell}")

    async def first() -> object:
        module, name = path.rsplit(".", 1)
        trigger = getattr(__import__(module, fromlist=[name]), name)(**given)
        return await asyncio.wait_for(anext(trigger.run()), 20)

    event = asyncio.run(first())
    assert event.payload == {"messages": 12}  # type: ignore[attr-defined]
    assert (amazon.waiting(f"bell-{bell}"), amazon.waiting(real)) == (0, 1)


def test_without_a_bell_or_with_schedules_off_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    assert isinstance(every_or_rung("* * * * *", bell="events"), CronDataIntervalTimetable)
    monkeypatch.setenv("BACKROOM_EVENTS_BELL_QUEUE", "https://sqs.us-east-1.amazonaws.com/1/bell")
    monkeypatch.setenv("BACKROOM_SCHEDULES", "off")
    settings.cache_clear()
    assert every_or_rung("* * * * *", bell="events") is None


@pytest.mark.parametrize(("dag_id", "bell"), [("event_feed", "EVENTS"), ("intraday_ingestion", "INTRADAY")])
def test_a_dag_with_a_bell_tells_the_scheduler_what_to_watch(
    monkeypatch: pytest.MonkeyPatch, dag_id: str, bell: str
) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    url = "https://sqs.us-east-1.amazonaws.com/1/bell"
    monkeypatch.setenv(f"BACKROOM_{bell}_BELL_QUEUE", url)
    bag = DagBag(str(CHECKOUT / "dags" / f"{dag_id}.py"), collect_dags=True)
    told = json.dumps(DagSerialization.to_dict(bag.dags[dag_id]))
    assert "BellTrigger" in told
    assert url in told


def test_what_has_rung_is_told_although_sqs_stops_answering() -> None:
    class Failing:
        asked = 0

        async def receive_message(self, **_: object) -> dict[str, object]:
            self.asked += 1
            if self.asked > 1:
                raise ConnectionError("no answer")
            return {"Messages": [{"ReceiptHandle": "1"}, {"ReceiptHandle": "2"}]}

        async def delete_message_batch(self, **_: object) -> None: ...

    trigger = BellTrigger(queue_url="https://sqs/1/bell", region="us-east-1")
    queue = Failing()
    assert asyncio.run(trigger._heard(queue)) == 2
    with pytest.raises(ConnectionError):
        asyncio.run(trigger._heard(queue))
