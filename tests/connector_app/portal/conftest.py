"""A retailer with two stores and four shoppers, an identity provider, and the portal over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.settings import Settings
from backroom.shoppers.registry import register, set_flag
from connector_app.portal import create_app

NOW = datetime(2026, 3, 22, 17, 10, tzinfo=UTC)
ISSUER, AUDIENCE = "https://identity.retailer.test", "the-portal"
PATH = "/app/v1/recognition-tokens"
PRIVACY_KEY = "c2VhbHMtYWRkcmVzc2VzLW9mLXRlc3RzLW9ubHktMTI="
KEYS: dict[str, Any] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}


def public_pem(private_key: Any) -> str:
    return private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def claims(shopper_id: str = "ana", **changes: Any) -> dict[str, Any]:
    """What a good token says at NOW; a change to None leaves a claim out."""
    said = {
        "sub": shopper_id,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(NOW.timestamp()) - 60,
        "exp": int(NOW.timestamp()) + 600,
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def bearer(shopper_id: str = "ana", algorithm: str = "EdDSA", **changes: Any) -> str:
    return "Bearer " + jwt.encode(claims(shopper_id, **changes), KEYS[algorithm], algorithm=algorithm)


def portal_settings(**changes: Any) -> Settings:
    asked = {
        "portal_app_public_key": public_pem(KEYS["EdDSA"]),
        "portal_app_issuer": ISSUER,
        "portal_app_audience": AUDIENCE,
        "privacy_keys": PRIVACY_KEY,
        **changes,
    }
    return Settings(**asked)


@dataclass
class App:
    """The retailer's app, calling the portal in-process."""

    client: FlaskClient
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    def ask(self, body: Any = None, shopper_id: str = "ana") -> TestResponse:
        """Asks for a code, with a token that is good at this moment."""
        now = int(self.clock[0].timestamp())
        headers = {"Authorization": bearer(shopper_id, iat=now, exp=now + 60)}
        return self.client.post(PATH, json={} if body is None else body, headers=headers)

    def wait(self, **time: float) -> None:
        self.clock[0] += timedelta(**time)


def app_over(config: Settings) -> App:
    clock = [NOW]
    return App(create_app(config, lambda: clock[0]).test_client(), clock)


@pytest.fixture(scope="module")
def shop(database: Engine) -> Engine:
    """STORE-001 manages its own risk, STORE-002 leaves it to Amazon; the debtor owes at STORE-002."""
    with database.begin() as connection:
        for store_id, strategy, active in (
            ("STORE-001", "RETAILER_MANAGED", True),
            ("STORE-002", "AMAZON_MANAGED", True),
            ("STORE-003", "AMAZON_MANAGED", False),
        ):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction,"
                    " risk_strategy, preauthorization_amount, feeds, active) values (:id, 'a store', 'm', 'UTC', 'USD',"
                    " 'X', :strategy, 75, '{FILES}', :active)"
                ),
                {"id": store_id, "strategy": strategy, "active": active},
            )
        for shopper_id, kind in (
            ("ana", "SHOPPER"), ("bo", "SHOPPER"), ("flagged", "SHOPPER"), ("gone", "SHOPPER"), ("debtor", "SHOPPER"),
            ("kim", "ASSOCIATE"),
        ):  # fmt: skip
            register(connection, shopper_id, kind)
        set_flag(connection, "flagged", flagged=True, reason="fraud", actor="a test", now=NOW)
        connection.execute(text("update shopper set active = false where shopper_id = 'gone'"))
        connection.execute(
            text(
                "insert into debt (shopping_trip_id, store_id, shopper_id, cause, currency, amount, opened_at)"
                " values ('old-trip', 'STORE-002', 'debtor', 'CAPTURE_DECLINED', 'USD', 12, '2026-03-01Z')"
            )
        )
    return database


@pytest.fixture
def app(shop: Engine) -> App:
    """The portal at NOW, with no token issued yet."""
    with shop.begin() as connection:
        connection.execute(text("delete from recognition_key where kind = 'TOKEN'"))
    return app_over(portal_settings())
