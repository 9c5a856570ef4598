"""Waits for Amazon to work through a catalog run, deferred to the triggerer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from backroom_airflow import business_time
from backroom_airflow.catalog_trigger import CatalogTrigger


class CatalogResultsOperator(BaseOperator):
    """Succeeds when no batch of the catalog run is on its way. A retry attaches to the same run again by its id."""

    template_fields: Sequence[str] = ("catalog_run_id",)

    def __init__(self, *, catalog_run_id: str, give_up_after: timedelta = timedelta(hours=3), **kwargs: Any) -> None:
        """`catalog_run_id` is a template, such as an XCom of the task that started the run."""
        super().__init__(**kwargs)
        self.catalog_run_id = catalog_run_id
        self.give_up_after = give_up_after

    def execute(self, context: Any) -> int:
        """Ask once; defer where Amazon is not done."""
        from backroom.settings import settings

        trigger = CatalogTrigger(
            int(self.catalog_run_id), business_time.of(context).isoformat(), settings().catalog_poll_seconds
        )
        if not trigger.poll():
            self.defer(trigger=trigger, method_name="resume", timeout=self.give_up_after)
        return trigger.run_id

    def resume(self, context: Any, event: dict[str, Any]) -> int:
        """After the trigger has fired. Raises AirflowException where the run could not be polled."""
        if not event["settled"]:
            raise AirflowException(f"catalog run {event['run_id']} can't be polled: {event['reason']}")
        return int(event["run_id"])
