"""Airflow for tests: a real metadata database, made once per worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from backroom.db.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def airflow_home(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Airflow's metadata database on this worker's server, migrated, with the pools that our DAGs name."""
    admin = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database airflow")
    admin.dispose()
    from airflow import settings as airflow_settings
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    airflow_settings.configure_orm()
    initdb()
    for name, pool in json.loads((CHECKOUT / "deploy" / "airflow" / "pools.json").read_text()).items():
        Pool.create_or_update_pool(name=name, **pool)
    yield
    airflow_settings.dispose_orm()


@pytest.fixture(scope="session")
def dag_bag(airflow_home: None) -> Iterator[DagBag]:
    """Every DAG of the project, known to the metadata database."""
    from airflow.dag_processing import dagbag
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    bag = dagbag.DagBag(dag_folder=str(CHECKOUT / "dags"))
    dagbag.sync_bag_to_db(bag, "dags-folder", None)
    with pytest.MonkeyPatch.context() as patch:
        # each `dag.test()` would read every file again and write every DAG to the database again: a second each
        patch.setattr(dagbag, "BundleDagBag", lambda **_: bag)
        patch.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
        yield bag
