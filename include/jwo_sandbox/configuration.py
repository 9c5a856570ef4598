"""What the sandbox reads from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class ConfigurationError(ValueError):
    """A setting is wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class Configuration:
    """Addresses, keys and the state folder of one sandbox process."""

    port: int
    public_url: str
    aws_port: int
    connector_url: str
    aws_endpoint_url: str
    region: str
    state: Path | None
    auth: str
    access_key_id: str
    secret_access_key: str
    connector_access_key_id: str
    connector_secret_access_key: str
    hang_seconds: float
    host: str = "127.0.0.1"
    keeps_outbox: bool = False
    """Events and files are kept for whoever asks, instead of sent to AWS."""

    @property
    def checks_signatures(self) -> bool:
        """Whether calls to Amazon's APIs must be signed."""
        return self.auth == "sigv4"


def from_environment(environment: Mapping[str, str] | None = None) -> Configuration:
    """The configuration; raises ConfigurationError for a value that can't be used."""
    env = os.environ if environment is None else environment
    port = _port(env, "BACKROOM_SANDBOX_PORT", 8010)
    connector_port = _port(env, "BACKROOM_CONNECTOR_PORT", 8000)
    aws_port = _port(env, "BACKROOM_AWS_PORT", 8011)
    auth = env.get("BACKROOM_SANDBOX_AUTH", "sigv4")
    if auth not in ("sigv4", "off"):
        raise ConfigurationError(f"BACKROOM_SANDBOX_AUTH: must be sigv4 or off (it is {auth!r})")
    state = env.get("JWO_SANDBOX_STATE")
    return Configuration(
        port=port,
        public_url=env.get("JWO_SANDBOX_URL", f"http://127.0.0.1:{port}").rstrip("/"),
        aws_port=aws_port,
        connector_url=env.get("JWO_CONNECTOR_URL", f"http://127.0.0.1:{connector_port}").rstrip("/"),
        aws_endpoint_url=env.get("BACKROOM_AWS_ENDPOINT_URL", f"http://127.0.0.1:{aws_port}"),
        region=env.get("BACKROOM_AMAZON_REGION", "us-east-1"),
        state=Path(state) if state else None,
        auth=auth,
        access_key_id=env.get("BACKROOM_AMAZON_ACCESS_KEY_ID", ""),
        secret_access_key=env.get("BACKROOM_AMAZON_SECRET_ACCESS_KEY", ""),
        connector_access_key_id=env.get("BACKROOM_CONNECTOR_ACCESS_KEY_ID", "AKIDBACKROOMSANDBOX"),
        connector_secret_access_key=env.get("BACKROOM_CONNECTOR_SECRET_ACCESS_KEY", ""),
        host=env.get("JWO_SANDBOX_HOST", "127.0.0.1"),
        keeps_outbox=_choice(env, "JWO_SANDBOX_OUTBOX", ("aws", "kept")) == "kept",
        hang_seconds=_seconds(env, "JWO_SANDBOX_HANG_SECONDS", 30.0),
    )


def _choice(env: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = env.get(name, known[0])
    if text not in known:
        raise ConfigurationError(f"{name}: must be {' or '.join(known)} (it is {text!r})")
    return text


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigurationError(f"{name}: must be a port from 1 to 65535 (it is {text!r})")
    return int(text)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise ConfigurationError(f"{name}: must be seconds, above 0 and up to 3600 (it is {text!r})")
    return seconds
