"""What Airflow must load of ours. All code lives in the installed package backroom_airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class BackroomPlugin(AirflowPlugin):
    """Names the plugin; operators, triggers and assets are imported by their module, so that nothing loads twice."""

    name = "backroom"
