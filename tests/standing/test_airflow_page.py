"""The page of Backroom in Airflow's UI, mounted by Airflow's own code: for who is signed in there, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from backroom.settings import settings
from tests.connector_app.console.world import World, furnish

PAGE = "/backroom/"


@pytest.fixture(scope="module")
def world(database: Engine, home: Path) -> World:
    return furnish(database, settings().reports_folder)


@pytest.fixture(scope="module")
def airflow(airflow_home: None, world: World) -> Iterator[Any]:
    """What Airflow's API server does with plugins, and its way of signing in."""
    from airflow.api_fastapi.app import init_auth_manager, init_plugins
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from sqlalchemy import delete

    app = FastAPI()
    init_auth_manager(app)
    init_plugins(app)
    yield TestClient(app)
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id.startswith("by+hand")))


def token(role: str | None = "viewer") -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    signed: str = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ana", role=role))
    return signed


def may_see(monkeypatch: pytest.MonkeyPatch, dag_ids: set[str]) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda *_, **__: dag_ids)


def test_an_anonymous_call_gets_401_and_nothing_of_the_page(airflow: Any, world: World) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = airflow.get(PAGE, headers=headers)
        assert answer.status_code == 401
        assert world.shop.store_id not in answer.text
    assert airflow.get(PAGE, headers={"Authorization": "Bearer none"}).status_code == 403
    assert airflow.get("/backroom/openapi.json").status_code == 404
    assert airflow.get("/backroom/docs").status_code == 404


def test_who_is_signed_in_sees_stores_what_waits_and_the_latest_run(
    airflow: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        for number, state in enumerate(("failed", "success")):
            session.add(
                DagRun(
                    dag_id="catalog_sync", run_id=f"by+hand:{number}", state=state, run_type=DagRunType.MANUAL,
                    run_after=datetime(2026, 3, 22, 5 + number, tzinfo=UTC),
                    start_date=datetime(2026, 3, 22, 5 + number, tzinfo=UTC),
                    triggered_by=DagRunTriggeredByType.TEST,
                )
            )  # fmt: skip
    may_see(monkeypatch, {"catalog_sync"})
    monkeypatch.setenv("BACKROOM_CONSOLE_URL", "https://console.retailer.test/")
    settings.cache_clear()
    answer = airflow.get(PAGE, cookies={"_token": token()})
    settings.cache_clear()
    assert answer.status_code == 200
    page = answer.text
    assert "/dags/catalog_sync/runs/by%2Bhand%3A1" in page
    assert "by%2Bhand%3A0" not in page
    for words in (
        world.shop.store_id, "STORE-002", "open breaks", "parked charges", "missing windows", "DONE", "2026-03-02",
        "https://console.retailer.test/breaks",
    ):  # fmt: skip
        assert words in page
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in page


def test_who_may_not_see_a_dag_does_not_see_its_run(airflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    may_see(monkeypatch, set())
    assert "No DAG has run yet" in airflow.get(PAGE, headers={"Authorization": f"Bearer {token()}"}).text


def test_airflow_lists_the_page_in_its_menu(airflow: Any) -> None:
    from airflow import plugins_manager

    [ours] = [plugin for plugin in plugins_manager.get_plugin_info() if plugin["name"] == "backroom"]
    [view] = ours["external_views"]
    assert (view["name"], view["href"], view["destination"]) == ("Backroom", PAGE, "nav")
