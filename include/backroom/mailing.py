"""E-mail by SES: one message, one call, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from backroom.errors import ConfigurationError
from backroom.settings import Settings

NOT_NOW = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"})


class MailState(StrEnum):
    """What became of a message. UNKNOWN: it may have gone."""

    SENT = "SENT"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class MailOutcome:
    """`message_id` is SES's; `problem` says why not, without the address."""

    state: MailState
    message_id: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    subtype: str
    content: bytes


@dataclass(frozen=True)
class Mail:
    """A message to one address."""

    to: str
    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = field(default=())


class Mailer(Protocol):
    """Whoever sends."""

    def send(self, mail: Mail) -> MailOutcome:
        """One try; never raises for what the other side does."""


class SesMailer:
    """Thread-safe. Nothing is repeated: whoever asks decides whether to ask again."""

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError without a sender."""
        if not config.mail_sender:
            raise ConfigurationError("BACKROOM_MAIL_SENDER is not set: e-mails to shoppers come from it")
        self._sender = config.mail_sender
        session = boto3.session.Session(region_name=config.aws_region)
        stand_in: dict[str, Any] = {}
        if config.aws_endpoint_url and session.get_credentials() is None:
            stand_in = {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}  # it looks at neither
        self._client = session.client(
            "ses",
            endpoint_url=config.aws_endpoint_url,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15),
            **stand_in,
        )

    def send(self, mail: Mail) -> MailOutcome:
        """As raw MIME: text, HTML beside it, attachments."""
        try:
            told = self._client.send_raw_email(
                Source=self._sender, Destinations=[mail.to], RawMessage={"Data": _mime(mail, self._sender)}
            )
        except ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code in NOT_NOW:
                return MailOutcome(MailState.NOT_SENT, problem=code)
            return MailOutcome(MailState.UNKNOWN if status >= 500 else MailState.REFUSED, problem=code)
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            return MailOutcome(MailState.NOT_SENT, problem=type(error).__name__)
        except HTTPClientError as error:
            return MailOutcome(MailState.UNKNOWN, problem=type(error).__name__)
        return MailOutcome(MailState.SENT, str(told["MessageId"]))


def _mime(mail: Mail, sender: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    for one in mail.attachments:
        message.add_attachment(one.content, maintype="application", subtype=one.subtype, filename=one.name)
    return message.as_bytes()
