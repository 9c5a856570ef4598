"""The environment that each part is started with: addresses, its own database role, its own secrets."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from backroom.settings import CHECKOUT, Settings
from backroom_stack.app_identity import AUDIENCE, ISSUER, public_key
from backroom_stack.stripe_stand_in import STAND_IN_KEY

CONNECTOR_KEY_ID = "AKIDBACKROOMSANDBOX"
AMAZON_KEY_ID = "AKIDRETAILERBACKROOM"
SENDER = "receipts@backroom.test"
# Not handed on: secrets, which each part gets on its own; and what would make every task of Airflow's, a process each,
# compile all that it imports.
LEFT_OUT = {
    "BACKROOM_DATABASE_URL",
    "BACKROOM_CONNECTOR_ACCESS_KEY_ID",
    "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY",
    "BACKROOM_CONNECTOR_GATEWAY_SECRET",
    "BACKROOM_AMAZON_ACCESS_KEY_ID",
    "BACKROOM_AMAZON_SECRET_ACCESS_KEY",
    "BACKROOM_AMAZON_SESSION_TOKEN",
    "BACKROOM_PRIVACY_KEYS",
    "BACKROOM_PORTAL_APP_PUBLIC_KEY",
    "BACKROOM_PORTAL_APP_ISSUER",
    "BACKROOM_PORTAL_APP_AUDIENCE",
    "PYTHONDONTWRITEBYTECODE",
}


@dataclass(frozen=True)
class Environment:
    """What is common to all parts of one installation."""

    config: Settings
    secrets: dict[str, str]
    owner_url: URL
    airflow_url: URL
    patience_seconds: float | None = None
    """How long our client waits for Amazon; None: as configured."""
    stripe_stand_in: bool = False
    """Whether stores charge by the Stripe stand-in, which runs beside the other parts."""

    def role_url(self, role: str) -> str:
        """The database's URL for one of Backroom's roles: connector, pipeline, …"""
        url = self.owner_url.set(username=f"backroom_{role}", password=self.secrets[f"{role}_password"])
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def privacy_keys(self) -> str:
        """What addresses and loyalty ids are sealed with: the configured keys, else the one that was made."""
        configured = self.config.privacy_keys
        return configured.get_secret_value() if configured else self.secrets["privacy_key"]

    def common(self) -> dict[str, str]:
        """For every part: where things are, nothing secret but the stand-in's dummy keys."""
        config = self.config
        variables = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
        return variables | {
            "BACKROOM_HOME": str(config.home),
            "BACKROOM_ENV": config.env,
            "BACKROOM_LOG_LEVEL": config.log_level,
            "BACKROOM_CONNECTOR_PORT": str(config.connector_port),
            "BACKROOM_PORTAL_PORT": str(config.portal_port),
            "BACKROOM_CONSOLE_PORT": str(config.console_port),
            "BACKROOM_SANDBOX_PORT": str(config.sandbox_port),
            "BACKROOM_AWS_PORT": str(config.aws_port),
            "BACKROOM_AIRFLOW_PORT": str(config.airflow_port),
            "BACKROOM_AWS_ENDPOINT_URL": f"http://127.0.0.1:{config.aws_port}",
            "BACKROOM_CONNECTOR_AUTH": config.connector_auth,
            "BACKROOM_SANDBOX_AUTH": config.sandbox_auth,
            # the stand-in takes any keys, but boto3 wants some
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": "stand-in",
            "AWS_DEFAULT_REGION": config.aws_region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
        }

    def sandbox(self) -> dict[str, str]:
        """The sandbox knows both key pairs: it signs as Amazon, and checks what the retailer signed."""
        # an answer that never comes is kept back a little longer than our client waits
        hang = (self.patience_seconds or self.config.amazon_timeout_seconds) + 1
        return self.common() | {
            "JWO_SANDBOX_STATE": str(self.config.home / "sandbox"),
            "JWO_SANDBOX_HANG_SECONDS": str(hang),
            "BACKROOM_CONNECTOR_ACCESS_KEY_ID": CONNECTOR_KEY_ID,
            "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY": self.secrets["connector_secret_access_key"],
            "BACKROOM_AMAZON_ACCESS_KEY_ID": AMAZON_KEY_ID,
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY": self.secrets["amazon_secret_access_key"],
        }

    def connector(self) -> dict[str, str]:
        """The connector: its own role, the caller's key."""
        gateway = self.config.connector_gateway_secret
        secret = {"BACKROOM_CONNECTOR_GATEWAY_SECRET": gateway.get_secret_value()} if gateway else {}
        return (
            self.common()
            | secret
            | {
                "BACKROOM_DATABASE_URL": self.role_url("connector"),
                "BACKROOM_CONNECTOR_ACCESS_KEY_ID": CONNECTOR_KEY_ID,
                "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY": self.secrets["connector_secret_access_key"],
                "BACKROOM_PRIVACY_KEYS": self.privacy_keys,
            }
        )

    def portal(self) -> dict[str, str]:
        """The portal: its own role, and whose tokens it takes: the configured ones, else those of `app-token`."""
        config = self.config
        return self.common() | {
            "BACKROOM_DATABASE_URL": self.role_url("portal"),
            "BACKROOM_PORTAL_APP_PUBLIC_KEY": config.portal_app_public_key or public_key(self.secrets),
            "BACKROOM_PORTAL_APP_ISSUER": config.portal_app_issuer or ISSUER,
            "BACKROOM_PORTAL_APP_AUDIENCE": config.portal_app_audience or AUDIENCE,
            **self._mail(),
            **self._payment_page(),
            **self._stripe(webhooks=True),
        }

    def _mail(self) -> dict[str, str]:
        """The key that addresses are sealed with, where e-mails come from, where their links lead."""
        config = self.config
        return {
            "BACKROOM_PRIVACY_KEYS": self.privacy_keys,
            "BACKROOM_MAIL_SENDER": config.mail_sender or SENDER,
            "BACKROOM_PORTAL_PUBLIC_URL": os.environ.get("BACKROOM_PORTAL_PUBLIC_URL")
            or f"http://127.0.0.1:{config.portal_port}",
        }

    def _payment_page(self) -> dict[str, str]:
        """Debts are paid on the sandbox's page, where nothing else is configured."""
        page = self.config.portal_payment_page
        return {
            "BACKROOM_PORTAL_PAYMENT_PAGE": "SANDBOX" if page == "NONE" else page,
            "BACKROOM_SANDBOX_PROCESSOR_URL": f"http://127.0.0.1:{self.config.sandbox_port}",
        }

    def console(self, *, airflow: bool) -> dict[str, str]:
        """The console: its own role, and where Airflow's page is, if it runs here."""
        known = self.config.console_airflow_url
        here = f"http://127.0.0.1:{self.config.airflow_port}" if airflow else ""
        return self.common() | {
            "BACKROOM_DATABASE_URL": self.role_url("console"),
            "BACKROOM_CONSOLE_AIRFLOW_URL": known or here,
        }

    def _stripe(self, *, webhooks: bool) -> dict[str, str]:
        """Where the stand-in is, with a key that it takes; for who hears of payments, what they are signed with."""
        if not self.stripe_stand_in:
            return {}
        known = {
            "BACKROOM_STRIPE_URL": f"http://127.0.0.1:{self.config.stripe_port}",
            "BACKROOM_STRIPE_SECRET_KEY": STAND_IN_KEY,
        }
        return known | ({"BACKROOM_STRIPE_WEBHOOK_SECRET": self.secrets["stripe_webhook_secret"]} if webhooks else {})

    def pipeline(self) -> dict[str, str]:
        """The DAGs and the command line's business commands."""
        return self.common() | {
            "BACKROOM_DATABASE_URL": self.role_url("pipeline"),
            "BACKROOM_AMAZON_PAYMENTS_URL": f"http://127.0.0.1:{self.config.sandbox_port}",
            "BACKROOM_AMAZON_CATALOG_URL": f"http://127.0.0.1:{self.config.sandbox_port}",
            "BACKROOM_AMAZON_ACCESS_KEY_ID": AMAZON_KEY_ID,
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY": self.secrets["amazon_secret_access_key"],
            "BACKROOM_AMAZON_TIMEOUT_SECONDS": str(self.patience_seconds or self.config.amazon_timeout_seconds),
            # the DAGs of another authentication mode than the connector's need not know its secret
            "BACKROOM_CONNECTOR_AUTH": "sigv4",
            "BACKROOM_CATALOG_POLL_SECONDS": "1",
            **self._mail(),
            **self._payment_page(),
            **self._stripe(webhooks=False),
        }

    def _bell(self, queue: str) -> str:
        """URL of the queue that rings for that one, as the stand-in has it (jwo_sandbox/aws_resources.py)."""
        return f"http://127.0.0.1:{self.config.aws_port}/123456789012/{queue}-bell"

    def airflow(self, *, schedules: bool) -> dict[str, str]:
        """Airflow's four parts. Without `schedules`, DAGs run only when they are asked to."""
        home = self.config.home / "airflow"
        port = self.config.airflow_port
        return self.pipeline() | {
            "BACKROOM_SCHEDULES": "on" if schedules else "off",
            "BACKROOM_INTRADAY_BELL_QUEUE": self.config.intraday_bell_queue or self._bell(self.config.intraday_queue),
            "BACKROOM_EVENTS_BELL_QUEUE": self.config.events_bell_queue or self._bell(self.config.events_queue),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.config.aws_port}",  # the triggerer knows no setting of ours
            "BACKROOM_CONSOLE_URL": self.config.console_url or f"http://127.0.0.1:{self.config.console_port}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": self.secrets["airflow_fernet_key"],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secrets["airflow_jwt_secret"],
            "AIRFLOW__API__SECRET_KEY": self.secrets["airflow_jwt_secret"],
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.airflow_url.set(
                drivername="postgresql+psycopg"
            ).render_as_string(hide_password=False),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            # a file that changes is read again at once
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            # a task that a busy machine keeps waiting would fail, and be tried again minutes later
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
