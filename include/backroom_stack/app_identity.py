"""The identity provider of the retailer's app, played locally: a key pair of this installation, and tokens by it.

In production the retailer's own identity provider signs; the portal knows its public key only (docs/entry.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from backroom.errors import BackroomError
from backroom_stack.secrets_file import load_or_make

ISSUER = "https://identity.backroom.test"
AUDIENCE = "backroom-portal"
SECRET = "app_signing_key"  # noqa: S105 - the secret's name


def public_key(secrets: dict[str, str]) -> str:
    """The public half of the installation's signing key, as PEM."""
    key = load_pem_private_key(secrets[SECRET].encode(), None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def app_token(home: Path, shopper_id: str, life: timedelta, now: datetime) -> str:
    """A bearer token for a shopper, as the app would get one. Raises BackroomError where nothing is installed yet."""
    if not (home / "secrets.json").exists():
        raise BackroomError(f"nothing is installed in {home}; start it with `make up`")
    claims = {"sub": shopper_id, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + life}
    return jwt.encode(claims, load_or_make(home)[SECRET], algorithm="EdDSA")
