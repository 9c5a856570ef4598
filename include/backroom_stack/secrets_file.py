"""The secrets of one local installation: made once, kept under the home, readable by the owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NAMES = (
    "connector_secret_access_key",
    "amazon_secret_access_key",
    "pipeline_password",
    "connector_password",
    "portal_password",
    "console_password",
    "reader_password",
    "airflow_database_password",
    "airflow_jwt_secret",
    "airflow_admin_password",
    "stripe_webhook_secret",
)


def load_or_make(home: Path) -> dict[str, str]:
    """The secrets by name. A value that is missing is made and written."""
    path = home / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = {name: known.get(name) or secrets.token_urlsafe(24) for name in NAMES}
    # Fernet wants 32 bytes in URL-safe Base64
    wanted["airflow_fernet_key"] = known.get("airflow_fernet_key") or base64.urlsafe_b64encode(os.urandom(32)).decode()
    wanted["privacy_key"] = known.get("privacy_key") or base64.urlsafe_b64encode(os.urandom(32)).decode()
    wanted["app_signing_key"] = known.get("app_signing_key") or _signing_key()
    if wanted != known:
        write_private(path, json.dumps(wanted, indent=1))
    return wanted


def _signing_key() -> str:
    """An Ed25519 private key as PEM: the local identity provider's (app_identity.py)."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
