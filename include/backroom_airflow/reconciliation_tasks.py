"""The tasks of the DAG `reconciliation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from backroom.errors import ConfigurationError
from backroom_airflow import business_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = structlog.get_logger()


@dataclass(frozen=True)
class Asked:
    """Which store's day a run is about, and its business time; None: the moment of the day's newest release."""

    store_id: str
    business_date: date
    now: datetime | None


def asked(context: Mapping[str, Any]) -> Asked:
    """From the run's partition key (`STORE-001|2026-11-23`), or from the conf of a run started by hand.

    Raises ConfigurationError where neither names a store and a day.
    """
    run = context["dag_run"]
    conf = run.conf or {}
    if run.partition_key:
        store_id, _, day = str(run.partition_key).partition("|")
        now = business_time.of(context) if "now" in conf else None
    else:
        store_id, day = str(conf.get("store_id", "")), str(conf.get("business_date", ""))
        now = business_time.of(context)
    try:
        business_date = date.fromisoformat(day)
    except ValueError:
        business_date = None
    if not store_id or business_date is None:
        raise ConfigurationError(
            f'run {run.run_id} names no store and day: give {{"store_id": "STORE-001", "business_date": "2026-11-23"}}'
        )
    return Asked(store_id, business_date, now)


def reconcile(**context: Any) -> list[int]:
    """Reconcile the day, and the store's earlier days that were left waiting or with breaks; the runs' ids."""
    from backroom.db.engine import transaction
    from backroom.reconciliation.days import released_as_complete, unsettled_days
    from backroom.reconciliation.runs import reconcile_day

    wanted = asked(context)
    store_id = wanted.store_id
    with transaction() as connection:
        now = wanted.now or _released_at(connection, wanted) or business_time.of(context)
        days = unsettled_days(connection, store_id=store_id, before=wanted.business_date)
    runs = []
    for day in (wanted.business_date, *days):
        with transaction() as connection:
            complete = released_as_complete(connection, store_id=store_id, business_date=day)
            summary = reconcile_day(connection, store_id=store_id, business_date=day, complete=complete, now=now)
        log.info("reconciled", **summary.as_json())
        runs.append(summary.run_id)
    return runs


def write_reports(runs: list[int]) -> list[str]:
    """Each run's report (or that of the run that has superseded it) and its day's company report; the pages' paths."""
    from backroom.db.engine import transaction
    from backroom.reconciliation import report
    from backroom.reconciliation.pages import current, of_run
    from backroom.settings import settings

    folder = settings().reports_folder
    written = []
    for run_id in runs:
        with transaction() as connection:
            judged = of_run(connection, current(connection, run_id))
            if report.written_before(connection, judged.run_id):
                log.info("report stands", run_id=judged.run_id)
                continue
            of_store = report.write(connection, run_id=judged.run_id, folder=folder)
            company = report.write_company(
                connection, business_date=judged.business_date, folder=folder, now=judged.as_of
            )
            written += [str(of_store.html), str(company.html)]
    return written


def deliver(pages: list[str], **context: Any) -> list[str]:
    """The reports into the bucket, and word of them by e-mail, where the settings name one; the reports' names."""
    from pathlib import Path

    from backroom.db.engine import engine
    from backroom.reconciliation import delivery

    if not pages:
        return []
    now, aws = business_time.of(context), delivery.clients()
    delivered = [delivery.deliver(engine(), aws, page=Path(page), now=now) for page in dict.fromkeys(pages)]
    log.info("reports delivered", reports=delivered)
    return [one.report for one in delivered if one is not None]


def deliver_months(**context: Any) -> list[str]:
    """The reports of months that were closed, and those that staff want, each not delivered since, as `deliver`.

    Returns the reports' names.
    """
    from backroom.db.engine import engine, transaction
    from backroom.reconciliation import delivery, month_delivery, wanted_reports
    from backroom.settings import settings

    now, folder = business_time.of(context), settings().reports_folder
    with transaction() as connection:
        due, wanted = month_delivery.due(connection), wanted_reports.due(connection, now=now)
    to_do = [partial(month_delivery.deliver, engine(), delivery.clients(), closed) for closed in due]
    to_do += [partial(wanted_reports.deliver, engine(), delivery.clients(), one) for one in wanted]
    delivered, failed = [], []
    for deliver_one in to_do:
        try:
            delivered.append(deliver_one(folder=folder, now=now))
        except Exception as error:  # the others do not wait for it; the task fails at its end
            log.exception("a report was not delivered")
            failed.append(error)
    log.info("months and wanted reports delivered", reports=delivered)
    if failed:
        raise ExceptionGroup("reports that were not delivered; the next run tries them again", failed)
    return [one.report for one in delivered if one is not None]


def _released_at(connection: Connection, wanted: Asked) -> datetime | None:
    from sqlalchemy import text

    return connection.execute(
        text("select max(released_at) from day_release where store_id = :store_id and business_date = :day"),
        {"store_id": wanted.store_id, "day": wanted.business_date},
    ).scalar_one()
