"""Airflow's REST API, as much as the demo needs: start runs, wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from backroom.errors import BackroomError


class RunFailed(BackroomError):
    """A DAG run ended in failure, or did not end in time."""


@dataclass(frozen=True)
class Run:
    """One DAG run."""

    dag_id: str
    run_id: str


class AirflowApi:
    """A session as the admin user of the local Airflow."""

    def __init__(self, base_url: str, password: str) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=60)
        token = self._client.post("/auth/token", json={"username": "admin", "password": password})
        token.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def make_pools(self, pools: dict[str, dict[str, object]]) -> None:
        """The pools that the DAGs name, by name: slots, description, include_deferred."""
        entities = [{"name": name, **pool} for name, pool in pools.items()]
        action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
        answer = self._client.patch("/api/v2/pools", json={"actions": [action]})
        if answer.is_error:
            raise RunFailed(f"Airflow did not take the pools: {answer.text}")

    def wait_for_dags(self, dag_ids: Iterable[str], seconds: float = 90) -> None:
        """Returns when the DAG processor has read them all. Raises RunFailed naming what is missing and why."""
        wanted = set(dag_ids)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            known = {dag["dag_id"] for dag in self._get("/api/v2/dags", limit=100)["dags"]}
            if wanted <= known:
                return
            time.sleep(0.5)
        errors = [error["filename"] for error in self._get("/api/v2/importErrors")["import_errors"]]
        raise RunFailed(f"Airflow does not know {', '.join(sorted(wanted - known))}; import errors: {errors or 'none'}")

    def trigger(self, dag_id: str, business_time: datetime, **conf: object) -> Run:
        """Ask the scheduler for a run whose `logical_date` is the business time."""
        answer = self._client.post(
            f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": business_time.isoformat(), "conf": conf}
        )
        if answer.is_error:
            raise RunFailed(f"Airflow refused a run of {dag_id}: {answer.text}")
        return Run(dag_id, answer.json()["dag_run_id"])

    def wait(self, runs: list[Run], seconds: float = 300, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Returns when all have succeeded. Raises RunFailed with the failed tasks."""
        deadline = time.monotonic() + seconds
        waiting = list(runs)
        while waiting:
            meanwhile()
            for run in list(waiting):
                state = self._get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}")["state"]
                if state == "success":
                    waiting.remove(run)
                elif state == "failed":
                    raise RunFailed(f"{run.dag_id} failed ({run.run_id}): {', '.join(self._failed_tasks(run))}")
            if waiting and time.monotonic() > deadline:
                raise RunFailed(f"{waiting[0].dag_id} did not end within {seconds:.0f} s ({waiting[0].run_id})")
            if waiting:
                time.sleep(1)  # each look costs what a task's own calls cost

    def runs(self, dag_id: str) -> list[dict[str, str]]:
        """Every run of a DAG."""
        found: list[dict[str, str]] = self._get(f"/api/v2/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return found

    def under_way(self) -> int:
        """How many tasks, of whichever DAG, are scheduled, queued or running; one that waits for a retry is not."""
        states = ["scheduled", "queued", "running"]
        return int(self._get("/api/v2/dags/~/dagRuns/~/taskInstances", state=states)["total_entries"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """A run's tasks, with `task_id`, `state`, `start_date`, `end_date` and `duration` in seconds."""
        found: list[dict[str, Any]] = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")[
            "task_instances"
        ]
        return found

    def settle(self, dag_ids: Iterable[str], seconds: float = 300) -> None:
        """Returns when no run of these DAGs is queued or running. Raises RunFailed where one failed."""
        for dag_id in dag_ids:
            self.wait([Run(dag_id, run["dag_run_id"]) for run in self.runs(dag_id)], seconds)

    def _failed_tasks(self, run: Run) -> list[str]:
        return [
            task["task_id"]
            for task in self.tasks(run.dag_id, run.run_id)
            if task["state"] in ("failed", "upstream_failed")
        ]

    # an answer may be late on a busy machine, and to look again changes nothing
    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_delay(180),
        wait=wait_fixed(1),
        reraise=True,
    )
    def _get(self, path: str, **parameters: object) -> dict:
        answer = self._client.get(path, params=parameters)  # type: ignore[arg-type]
        answer.raise_for_status()
        found: dict = answer.json()
        return found
