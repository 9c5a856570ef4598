"""Addresses and loyalty ids at rest: encrypted with a key of the environment, found by a keyed hash.

Keys turn: the newest seals, all of them open. The index comes from the oldest, so that it outlives every turn.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backroom.errors import ConfigurationError
from backroom.settings import Settings

_PURPOSE: Final = b"backroom address index"


class Seal:
    """Seals, opens and indexes short texts about a person."""

    def __init__(self, keys: str) -> None:
        """`keys`: Fernet keys, the newest first, separated by commas. Raises ConfigurationError."""
        names = [key.strip() for key in keys.split(",") if key.strip()]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in names])
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                "BACKROOM_PRIVACY_KEYS: not Fernet keys; make one with "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`'
            ) from error
        self._index_key = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(names[-1].encode())

    def seal(self, text: str) -> str:
        """Encrypted; the same text twice looks different."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises ConfigurationError where none of the keys has sealed it."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise ConfigurationError(
                "BACKROOM_PRIVACY_KEYS opens not everything that was sealed: a key that was in use is missing"
            ) from error

    def turn(self, sealed: str) -> str:
        """The same, sealed with the newest key. Raises ConfigurationError as `open` does."""
        try:
            return self._fernet.rotate(sealed).decode()
        except InvalidToken as error:
            raise ConfigurationError("BACKROOM_PRIVACY_KEYS lacks a key that was in use") from error

    def index(self, text: str) -> str:
        """A keyed hash: equal for equal texts, and of no use without the key."""
        return hmac.new(self._index_key, text.encode(), hashlib.sha256).hexdigest()


def seal_of(config: Settings) -> Seal:
    """By the settings. Raises ConfigurationError where no key is set."""
    if config.privacy_keys is None:
        raise ConfigurationError(
            "BACKROOM_PRIVACY_KEYS is not set: shoppers' addresses and loyalty ids are kept sealed with it only"
        )
    return _seal(config.privacy_keys.get_secret_value())


@lru_cache(maxsize=4)
def _seal(keys: str) -> Seal:
    return Seal(keys)
