"""What Airflow must load of ours. All code lives in the installed package backroom_airflow."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from backroom_airflow import preloading
from backroom_airflow.standing_page import PREFIX, VIEW, standing_app


class BackroomPlugin(AirflowPlugin):
    """One page in the UI, and what the scheduler loads ahead for its tasks.

    Operators, triggers and assets are imported by their module, so that none loads twice.
    """

    name = "backroom"
    fastapi_apps: ClassVar[list[Any]] = [{"app": standing_app, "url_prefix": PREFIX, "name": "Backroom"}]
    external_views: ClassVar[list[Any]] = [VIEW]
    listeners: ClassVar[list[Any]] = [preloading]
