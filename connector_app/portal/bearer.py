"""Whose app calls: a signed JWT of the retailer's identity provider, checked against its one public key.

The algorithm is pinned by the key's own kind (RSA: RS256, P-256: ES256, Ed25519: EdDSA), never by the token's header.
Times are checked here, by the app's clock, with the leeway of the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from backroom.errors import ConfigurationError
from backroom.settings import Settings

LONGEST_TOKEN = 8_192
LEAST_RSA_BITS = 2_048
LATEST = 1e12
"""Epoch seconds, beyond the year 33,000."""
_OPTIONS: Any = {
    "require": ["exp", "sub", "iss", "aud"],
    "verify_exp": False,  # times: see _check_times
    "verify_nbf": False,
    "verify_iat": False,
}


class NotAuthenticated(Exception):
    """The call brings no token that we accept. `reason` is one word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class IdentityProvider:
    """Who vouches for shoppers: its public key, the one algorithm of that key, issuer, audience, leeway in seconds."""

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    algorithm: str
    issuer: str
    audience: str
    leeway_seconds: int

    def shopper(self, authorization: str | None, now: datetime) -> str:
        """The shopper's id, from the token's `sub`. `authorization` is the header. Raises NotAuthenticated."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip() or len(token) > LONGEST_TOKEN:
            raise NotAuthenticated("NO_TOKEN")
        try:
            claims = jwt.decode(
                token.strip(),
                self.key,
                algorithms=[self.algorithm],
                issuer=self.issuer,
                audience=self.audience,
                options=_OPTIONS,
            )
        except jwt.InvalidTokenError as error:
            raise NotAuthenticated(type(error).__name__) from error
        except (ValueError, TypeError, RecursionError) as error:  # claims of a shape that the library does not expect
            raise NotAuthenticated("MALFORMED") from error
        self._check_times(claims, now.timestamp())
        return _subject(claims)

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        if now >= _seconds(claims["exp"]) + self.leeway_seconds:
            raise NotAuthenticated("EXPIRED")
        for name in ("nbf", "iat"):
            if name in claims and _seconds(claims[name]) > now + self.leeway_seconds:
                raise NotAuthenticated("NOT_YET_VALID")


def identity_provider(config: Settings) -> IdentityProvider:
    """The one that the settings name. Raises ConfigurationError where something is missing or too weak."""
    if not (config.portal_app_public_key and config.portal_app_issuer and config.portal_app_audience):
        raise ConfigurationError(
            "the portal needs BACKROOM_PORTAL_APP_PUBLIC_KEY, BACKROOM_PORTAL_APP_ISSUER and "
            "BACKROOM_PORTAL_APP_AUDIENCE: without them it can't tell who calls"
        )
    try:
        key = load_pem_public_key(config.portal_app_public_key.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("BACKROOM_PORTAL_APP_PUBLIC_KEY is not the PEM of a public key") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        algorithm = "RS256"
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        algorithm = "ES256"
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithm = "EdDSA"
    else:
        raise ConfigurationError(
            f"BACKROOM_PORTAL_APP_PUBLIC_KEY must be RSA of at least {LEAST_RSA_BITS} bits, P-256 or Ed25519"
        )
    return IdentityProvider(
        key, algorithm, config.portal_app_issuer, config.portal_app_audience, config.portal_app_leeway_seconds
    )


def _seconds(claim: Any) -> float:
    """A NumericDate of RFC 7519; one that no clock reaches is malformed."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not 0 <= claim < LATEST:
        raise NotAuthenticated("MALFORMED")
    return float(claim)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or "\0" in subject or not _encodes(subject):
        raise NotAuthenticated("MALFORMED")
    return subject


def _encodes(subject: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in subject)
