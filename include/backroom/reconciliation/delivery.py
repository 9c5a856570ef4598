"""Reports leave the house: copied to S3, announced by SES, each content once.

The intent of an e-mail is committed before it goes, and SES's answer after. Where the answer never came it is not known
whether the e-mail went: it is not sent again by itself, and an alert says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.errors import ConfigurationError
from backroom.reconciliation import report_files
from backroom.settings import settings

PREFIX: Final = "reports"
_INTEND: Final = text("""
    insert into report_delivery (report, content_sha256, intended_at) values (:report, :hash, :now)
    on conflict (report, content_sha256) do update
    set intended_at = greatest(report_delivery.intended_at, excluded.intended_at)
""")
_ANNOUNCE: Final = text("""
    update report_delivery set announcing_at = :now
    where report = :report and content_sha256 = :hash and announcing_at is null
""")


@dataclass(frozen=True)
class Clients:
    """boto3's clients."""

    s3: Any
    ses: Any


@dataclass(frozen=True)
class Delivered:
    """What became of a report: how many files were stored, and whether it was announced by this call."""

    report: str
    stored: int
    announced: bool


def clients() -> Clients:
    """By the settings: AWS itself, or the stand-in at BACKROOM_AWS_ENDPOINT_URL. Credentials by boto3's own chain."""
    config = settings()
    session = boto3.session.Session(region_name=config.aws_region)
    common: dict[str, Any] = {"endpoint_url": config.aws_endpoint_url}
    if config.aws_endpoint_url and session.get_credentials() is None:
        common |= {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}  # it looks at neither
    storing = Config(
        s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5
    )
    # an e-mail that may have gone is not sent again underneath us
    sending = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
    return Clients(session.client("s3", config=storing, **common), session.client("ses", config=sending, **common))


def is_wanted() -> bool:
    """Whether the settings name where reports go."""
    return any(wanted_by_settings())


def wanted_by_settings() -> tuple[bool, bool]:
    """Whether the settings name a bucket to store reports in, and anybody to announce them to."""
    return bool(settings().reports_bucket), bool(settings().reports_recipients.strip(" ,"))


def deliver(engine: Engine, aws: Clients, *, page: Path, now: datetime) -> Delivered | None:
    """Stores the report whose HTML page this is, with all its other files, and announces it; `now` in UTC.

    None where the settings name neither a bucket nor recipients. Raises ConfigurationError for recipients without a
    sender, FileNotFoundError for a report that is gone, and botocore's errors where AWS does not take it.
    """
    config = settings()
    recipients = [one.strip() for one in config.reports_recipients.split(",") if one.strip()]
    if not config.reports_bucket and not recipients:
        return None
    if recipients and not config.reports_sender:
        raise ConfigurationError("BACKROOM_REPORTS_RECIPIENTS is set, and BACKROOM_REPORTS_SENDER is not")
    files = report_files.of_page(page)
    this = {"report": f"{page.parent.name}/{page.stem}", "hash": _hash(files)}
    with engine.begin() as connection:
        connection.execute(_INTEND, this | {"now": now})
    stored = _store(engine, aws, files, this, now) if config.reports_bucket else 0
    announced = bool(recipients) and _announce(engine, aws, recipients, this, now)
    return Delivered(this["report"], stored, announced)


def _store(engine: Engine, aws: Clients, files: list[Path], this: dict[str, str], now: datetime) -> int:
    for one in files:
        with one.open("rb") as body:
            aws.s3.put_object(
                Bucket=settings().reports_bucket, Key=f"{PREFIX}/{one.parent.name}/{one.name}", Body=body,
                ContentType=report_files.content_type(one.name),
            )  # fmt: skip
    with engine.begin() as connection:
        _mark(connection, "stored_at = :now", this | {"now": now})
    return len(files)


def _announce(engine: Engine, aws: Clients, recipients: list[str], this: dict[str, str], now: datetime) -> bool:
    with engine.begin() as connection:
        mine = connection.execute(_ANNOUNCE, this | {"now": now}).rowcount == 1
        if not mine:
            _tell_if_unknown(connection, this, now)
    if not mine:
        return False
    bucket = settings().reports_bucket
    where = f"s3://{bucket}/{PREFIX}/{this['report']}.html" if bucket else f"reports/{this['report']}.html"
    try:
        answer = aws.ses.send_email(
            Source=settings().reports_sender,
            Destination={"ToAddresses": recipients},
            Message={
                "Subject": {"Data": f"Finance report {this['report']}"},
                "Body": {"Text": {"Data": f"The finance report {this['report']} is ready:\n{where}\n"}},
            },
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:  # a definite no: it may be tried again
            with engine.begin() as connection:
                _mark(connection, "announcing_at = null", this)
        raise
    with engine.begin() as connection:
        _mark(
            connection,
            "announced_at = :now, message_id = :message",
            this | {"now": now, "message": answer["MessageId"]},
        )
    return True


def _tell_if_unknown(connection: Connection, this: dict[str, str], now: datetime) -> None:
    unknown = connection.execute(
        text(
            "select 1 from report_delivery where report = :report and content_sha256 = :hash and announced_at is null"
        ),
        this,
    ).one_or_none()
    if unknown is not None:
        raise_alert(
            connection,
            key=f"report-announcement {this['report']}",
            severity="warning",
            title=f"It is not known whether the e-mail of report {this['report']} went",
            what_to_do="Ask its readers; the report itself is stored. It is not sent again by itself.",
            now=now,
        )


def _mark(connection: Connection, change: str, values: dict[str, Any]) -> None:
    connection.execute(
        text(f"update report_delivery set {change} where report = :report and content_sha256 = :hash"),  # noqa: S608 - constants of this file only
        values,
    )


def _hash(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for one in files:
        whole.update(hashlib.sha256(one.read_bytes()).digest())
    return whole.hexdigest()
