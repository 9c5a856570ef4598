"""The certificate authorities that are trusted: read once a process, since that takes longer than a call."""

from __future__ import annotations

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=1)
def authorities() -> ssl.SSLContext:
    """httpx's own choice (certifi's), whatever the environment says; shared by every client."""
    return httpx.create_ssl_context(trust_env=False)
