"""Reports are stored and announced once; what is unknown stays unknown and is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws
from sqlalchemy import Engine, text

from backroom.cli import main
from backroom.errors import BackroomError, ConfigurationError
from backroom.reconciliation import delivery, month_delivery, months, wanted_reports
from backroom.reconciliation.delivery import Clients
from backroom.settings import settings
from backroom_airflow import reconciliation_tasks
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books, open_store

APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def cloud(module_patch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """S3 and SES."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        module_patch.setenv(name, "test")
    with mock_aws():
        yield Clients(boto3.client("s3", "us-east-1"), boto3.client("ses", "us-east-1"))


@pytest.fixture
def aws(database: Engine, cloud: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """S3 with the bucket, and SES that knows the sender; both as new."""
    for name, value in {
        "BACKROOM_REPORTS_BUCKET": "finance", "BACKROOM_REPORTS_SENDER": "books@example.com",
        "BACKROOM_REPORTS_RECIPIENTS": "fay@example.com, olga@example.com",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    requests.post("http://motoapi.amazonaws.com/moto-api/reset", timeout=5).raise_for_status()
    cloud.s3.create_bucket(Bucket="finance")
    cloud.ses.verify_email_identity(EmailAddress="books@example.com")
    yield cloud
    settings.cache_clear()


def _report(folder: Path, said: str = "one", stem: str = "SHOP") -> Path:
    (folder / "2026-03-02").mkdir(exist_ok=True)
    for ending in ("xlsx", "lines.csv", "html"):
        page = folder / "2026-03-02" / f"{stem}.{ending}"
        page.write_text(said)
    (folder / "2026-03-02" / "OTHER.html").write_text("not mine")
    return page


def _sent(aws: Clients) -> int:
    return int(float(aws.ses.get_send_quota()["SentLast24Hours"]))


def test_a_report_is_stored_whole_and_announced_once(database: Engine, aws: Clients, tmp_path: Path) -> None:
    page = _report(tmp_path, "first")
    first = delivery.deliver(database, aws, page=page, now=NEXT_MORNING)
    again = delivery.deliver(database, aws, page=page, now=NEXT_MORNING + timedelta(hours=1))
    assert first is not None
    assert again is not None
    assert (first.stored, first.announced, again.announced) == (3, True, False)
    keys = {one["Key"] for one in aws.s3.list_objects_v2(Bucket="finance")["Contents"]}
    assert keys == {f"reports/2026-03-02/SHOP.{ending}" for ending in ("html", "xlsx", "lines.csv")}
    mails = _sent(aws)
    assert delivery.deliver(database, aws, page=_report(tmp_path, "changed"), now=NEXT_MORNING).announced  # type: ignore[union-attr]
    assert _sent(aws) == 2 * mails


def test_a_report_takes_no_file_of_another_whose_name_begins_alike(
    database: Engine, aws: Clients, tmp_path: Path
) -> None:
    page = _report(tmp_path, "mine", "[S]*")
    _report(tmp_path, "of another store", "[S]*.1")
    _report(tmp_path, "nor of this", "S")
    delivered = delivery.deliver(database, aws, page=page, now=NEXT_MORNING)
    assert delivered is not None
    assert delivered.stored == 3


def test_an_announcement_whose_outcome_is_unknown_is_not_repeated_and_is_told(
    database: Engine, aws: Clients, tmp_path: Path
) -> None:
    page = _report(tmp_path, "unknown")
    lost = Clients(aws.s3, _NeverAnswers())
    with pytest.raises(ReadTimeoutError):
        delivery.deliver(database, lost, page=page, now=NEXT_MORNING)
    again = delivery.deliver(database, aws, page=page, now=NEXT_MORNING)
    assert again is not None
    assert not again.announced
    with database.connect() as connection:
        titles = connection.execute(text("select title from alert")).scalars().all()
    assert titles == ["It is not known whether the e-mail of report 2026-03-02/SHOP went"]


class _NeverAnswers:
    """SES, whose answer is lost."""

    def send_email(self, **_: object) -> None:
        raise ReadTimeoutError(endpoint_url="ses")


def test_an_announcement_that_ses_refuses_is_made_when_it_is_tried_again(
    database: Engine, aws: Clients, tmp_path: Path
) -> None:
    page = _report(tmp_path, "refused")
    aws.ses.delete_identity(Identity="books@example.com")
    with pytest.raises(ClientError, match="MessageRejected"):
        delivery.deliver(database, aws, page=page, now=NEXT_MORNING)
    aws.ses.verify_email_identity(EmailAddress="books@example.com")
    again = delivery.deliver(database, aws, page=page, now=NEXT_MORNING)
    assert again is not None
    assert again.announced


def _closed(database: Engine, *store_ids: str) -> None:
    for store_id in store_ids:
        with database.begin() as connection:
            months.close(connection, store_id=store_id, month=DAY, by="fay", reason="all seen", now=APRIL)


def test_a_closed_month_is_stored_and_announced_once_and_the_companys_when_all_stores_are_closed(
    database: Engine, home: Path, aws: Clients, tmp_path: Path
) -> None:
    with database.begin() as connection:
        for store_id in ("NORTH", "SOUTH"):
            books = Books(connection, store_id)
            open_store(books)
            books.trip()
            books.reconcile()

    def delivered() -> list[str]:
        # the run began before the month was closed
        run = SimpleNamespace(logical_date=None, conf=None, run_after=NEXT_MORNING)
        return reconciliation_tasks.deliver_months(dag_run=run)

    asked = ["reconcile", "report", "--from", "2026-03-01", "--to", "2026-03-31", "--store", "NORTH"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--now", NEXT_MORNING.isoformat()])  # while the month is open
    assert not ended.value.code
    assert aws.s3.head_object(Bucket="finance", Key="reports/2026-03-01_2026-03-31/NORTH.html")
    assert delivered() == []
    _closed(database, "NORTH")
    aws.ses.delete_identity(Identity="books@example.com")
    with pytest.RaisesGroup(pytest.RaisesExc(ClientError, match="MessageRejected")):
        delivered()
    aws.ses.verify_email_identity(EmailAddress="books@example.com")
    before = _sent(aws)
    assert delivered() == ["2026-03-01_2026-03-31/NORTH"]
    to_each = _sent(aws) - before
    assert to_each > 0
    assert delivered() == []
    _closed(database, "SOUTH")
    with database.connect() as connection:
        south, company = month_delivery.due(connection)
    with pytest.raises(ReadTimeoutError):
        month_delivery.deliver(
            database, Clients(aws.s3, _NeverAnswers()), south, folder=tmp_path, now=NEXT_MORNING
        )  # fmt: skip
    assert company.store_id is None
    assert delivered() == ["2026-03-01_2026-03-31/SOUTH", "2026-03-01_2026-03-31/company"]
    assert _sent(aws) - before == 2 * to_each  # what may have gone is not sent again
    with database.begin() as connection:
        wanted_reports.want(connection, store_id="NORTH", first=DAY, last=APRIL.date(), by="fay", now=APRIL)
    assert delivered() == ["2026-03-02_2026-04-02/NORTH"]
    assert delivered() == []
    keys = {one["Key"] for one in aws.s3.list_objects_v2(Bucket="finance", Prefix="reports/2026-03-01")["Contents"]}
    assert keys == {f"reports/2026-03-01_2026-03-31/{stem}.{kind}" for stem in ("NORTH", "SOUTH", "company")
                    for kind in ("html", "xlsx", "figures.csv", "figures.parquet")}  # fmt: skip


def test_what_staff_want_waits_until_the_settings_name_a_place_and_says_what_it_waits_for(
    database: Engine, home: Path, aws: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin() as connection:
        books = Books(connection, "EAST")
        open_store(books)
        books.trip()
        books.reconcile()
        wanted_reports.want(connection, store_id="EAST", first=DAY, last=DAY, by="fay", now=APRIL)

    def run(**names: str) -> list[str]:
        for name in ("BUCKET", "RECIPIENTS", "SENDER"):
            monkeypatch.setenv(f"BACKROOM_REPORTS_{name}", names.get(name.lower(), ""))
        settings.cache_clear()
        context = SimpleNamespace(logical_date=None, conf=None, run_after=APRIL)
        return reconciliation_tasks.deliver_months(dag_run=context)

    def state() -> tuple[str, str | None]:
        with database.connect() as connection:
            (row,) = [row for row in wanted_reports.listed(connection).rows if row["store_id"] == "EAST"]
        return row["state"], row["failure"]

    def destination() -> wanted_reports.Destination | None:
        with database.connect() as connection:
            return wanted_reports.destination(connection)

    with database.begin() as connection:
        connection.execute(text("delete from report_destination"))
    assert destination() is None
    assert state() == ("WAITS_FOR_RUN", None)
    assert run() == []
    assert destination() == wanted_reports.Destination(APRIL, stores=False, announces=False)
    assert state() == ("WAITS_FOR_SETTINGS", None)
    with pytest.RaisesGroup(ConfigurationError):
        run(recipients="fay@example.com")
    assert state() == ("FAILED", "BACKROOM_REPORTS_RECIPIENTS is set, and BACKROOM_REPORTS_SENDER is not")
    with pytest.RaisesGroup(ClientError):
        run(bucket="nowhere")
    assert state() == ("FAILED", "NoSuchBucket; the log of the task deliver_months says more")
    with database.begin() as connection:
        (row,) = [row for row in wanted_reports.listed(connection).rows if row["store_id"] == "EAST"]
        wanted_reports.withdraw(connection, row["wanted_id"], by="fay", now=APRIL)
    assert run(bucket="finance") == []
    assert state()[0] == "WITHDRAWN"
    in_its_list = wanted_reports.Wanted(row["wanted_id"], "EAST", DAY, DAY)  # of a run that began before
    assert wanted_reports.deliver(database, aws, in_its_list, folder=home / "aside", now=APRIL) is None
    assert not (home / "aside").exists()
    with database.begin() as connection:
        connection.execute(
            text("update report_wanted set withdrawn_at = null, withdrawn_by = null where store_id = 'EAST'")
        )
    assert run(bucket="finance") == ["2026-03-02_2026-03-02/EAST"]
    assert state() == ("DELIVERED", None)
    with database.begin() as connection, pytest.raises(BackroomError, match="does not wait"):
        wanted_reports.withdraw(connection, row["wanted_id"], by="fay", now=APRIL)
    assert destination() == wanted_reports.Destination(APRIL, stores=True, announces=False)
    assert run(bucket="finance") == []


def test_recipients_without_a_sender_are_refused_and_without_both_nothing_leaves(
    database: Engine, aws: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKROOM_REPORTS_SENDER", "")
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="BACKROOM_REPORTS_SENDER"):
        delivery.deliver(database, aws, page=_report(tmp_path), now=NEXT_MORNING)
    monkeypatch.setenv("BACKROOM_REPORTS_RECIPIENTS", "")
    monkeypatch.setenv("BACKROOM_REPORTS_BUCKET", "")
    settings.cache_clear()
    assert delivery.deliver(database, aws, page=_report(tmp_path), now=NEXT_MORNING) is None
    with database.connect() as connection:
        assert month_delivery.due(connection) == []


def test_a_report_that_is_as_it_was_before_the_close_is_delivered_for_the_close_as_well(
    database: Engine, aws: Clients, tmp_path: Path
) -> None:
    for now in (NEXT_MORNING, APRIL):
        delivery.deliver(database, aws, page=_report(tmp_path, "same"), now=now)
    with database.connect() as connection:
        intended = connection.execute(text("select max(intended_at) from report_delivery where stored_at = :now"),
                                      {"now": APRIL}).scalar_one()  # fmt: skip
    assert intended == APRIL
