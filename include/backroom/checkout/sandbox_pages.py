"""The hosted payment pages of the sandbox's card processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from backroom.amazon import exact_json
from backroom.amazon.outcomes import Outcome
from backroom.amazon.transport import is_loopback, parsed
from backroom.checkout.pages import Page, PageState, Told
from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.settings import Settings

_BASE: Final = "/processor/v1/pages"


class SandboxPages:
    """Thread-safe."""

    name = "SANDBOX"

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError in production for a host that is not this machine."""
        url = parsed(config.sandbox_processor_url)
        if not is_loopback(url.host) and config.env == "production":
            raise ConfigurationError("BACKROOM_SANDBOX_PROCESSOR_URL: the sandbox takes no real money")
        key = config.sandbox_processor_key
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(config.processor_timeout_seconds, connect=3.0),
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            trust_env=False,
        )

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def make(self, reference: str, amount: Money, *, subject: str, return_url: str, language: str) -> Told:
        """The reference is the idempotency key."""
        body = {
            "reference": reference,
            "amount": amount.amount,
            "currency": amount.currency,
            "subject": subject,
            "return_url": return_url,
            "language": language,
        }
        return self._ask("POST", _BASE, body)

    def look(self, page_id: str) -> Told:
        """The page as it stands."""
        return self._ask("GET", f"{_BASE}/{quote(page_id, safe='')}")

    def end(self, page_id: str) -> Told:
        """Ends it, unless it was paid."""
        return self._ask("POST", f"{_BASE}/{quote(page_id, safe='')}/end")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Told:
        try:
            content = exact_json.dumps(body).encode() if body is not None else None
            response = self._client.request(method, path, content=content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Told(Outcome.NOT_SENT, problem=type(error).__name__)
        except httpx.HTTPError as error:
            return Told(Outcome.UNKNOWN, problem=type(error).__name__)
        if 400 <= response.status_code < 500:
            return Told(Outcome.REFUSED, problem=f"HTTP {response.status_code}")
        try:
            told = response.json()
            page = Page(str(told["id"]), str(told["url"]), PageState(told["state"]), told.get("payment"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Told(Outcome.UNKNOWN, problem=f"HTTP {response.status_code}")
        return Told(Outcome.SUCCEEDED, page)
