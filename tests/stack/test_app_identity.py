"""The local identity provider: its tokens are those that the portal of the same installation takes."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backroom.errors import BackroomError
from backroom.settings import Settings
from backroom_stack.app_identity import AUDIENCE, ISSUER, app_token, public_key
from backroom_stack.secrets_file import load_or_make
from connector_app.portal.bearer import NotAuthenticated, identity_provider

NOW = datetime(2026, 3, 22, 17, 10, tzinfo=UTC)


def test_a_token_names_the_shopper_to_the_portal_until_it_expires(tmp_path: Path) -> None:
    secrets = load_or_make(tmp_path)
    provider = identity_provider(
        Settings(
            portal_app_public_key=public_key(secrets), portal_app_issuer=ISSUER, portal_app_audience=AUDIENCE
        )
    )  # fmt: skip
    bearer = f"Bearer {app_token(tmp_path, 'ana', timedelta(minutes=5), NOW)}"
    assert provider.shopper(bearer, NOW) == "ana"
    with pytest.raises(NotAuthenticated, match="EXPIRED"):
        provider.shopper(bearer, NOW + timedelta(minutes=6))


def test_the_signing_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    assert load_or_make(tmp_path)["app_signing_key"] == load_or_make(tmp_path)["app_signing_key"]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_without_an_installation_there_is_no_token(tmp_path: Path) -> None:
    with pytest.raises(BackroomError, match="make up"):
        app_token(tmp_path, "ana", timedelta(minutes=5), NOW)
    assert list(tmp_path.iterdir()) == []
