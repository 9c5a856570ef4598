"""The sandbox's own card processor over HTTP: for demos, tests and the simulation. One attempt a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx

from backroom.amazon import exact_json
from backroom.amazon.authorities import authorities
from backroom.amazon.transport import is_loopback, parsed
from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.processors.port import Instrument, Outcome, Payment, PaymentState, Problem, Refunded, Result
from backroom.settings import Settings

CONNECT_SECONDS: Final = 3.0
BASE: Final = "/processor/v1"
_BY_STATUS: Final = {
    400: Problem.BAD_REQUEST,
    401: Problem.NOT_ALLOWED,
    402: Problem.DECLINED,
    403: Problem.NOT_ALLOWED,
    404: Problem.NOT_FOUND,
    409: Problem.WRONG_STATE,
    410: Problem.EXPIRED,
    429: Problem.THROTTLED,
}


class SandboxProcessor:
    """Thread-safe; one per process."""

    name = "SANDBOX"

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError for a host that is neither this machine nor named as one for tests."""
        url = parsed(config.sandbox_processor_url)
        if not is_loopback(url.host) and config.env == "production":
            raise ConfigurationError(
                "BACKROOM_SANDBOX_PROCESSOR_URL: the sandbox moves no real money, so production does not charge by it"
            )
        key = config.sandbox_processor_key
        timeout = config.processor_timeout_seconds
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=5),
            headers={"User-Agent": "backroom"} | ({"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}),
            trust_env=False,
            verify=authorities(),
        )

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def authorize(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """Holds an amount; the reference is the idempotency key."""
        return self._pay(reference, amount, instrument, subject, capture=False)

    def pay(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """Takes an amount at once."""
        return self._pay(reference, amount, instrument, subject, capture=True)

    def _pay(self, reference: str, amount: Money, instrument: Instrument, subject: str, *, capture: bool) -> Result:
        body = {
            "reference": reference,
            "subject": subject,
            "customer": instrument.customer_token,
            "method": instrument.method_token,
            "amount": amount.amount,
            "currency": amount.currency,
            "capture": capture,
        }
        return self._ask("POST", "/payments", body, payment_of)

    def adjust(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Raises a hold to the whole amount."""
        return self._on(processor_reference, "adjust", {"reference": reference, "amount": amount.amount})

    def capture(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Takes so much of a hold."""
        return self._on(processor_reference, "capture", {"reference": reference, "amount": amount.amount})

    def void(self, reference: str, processor_reference: str) -> Result:
        """Ends a hold."""
        return self._on(processor_reference, "void", {"reference": reference})

    def refund(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Gives back so much of a payment."""
        body = {"reference": reference, "amount": amount.amount}
        return self._ask("POST", f"/payments/{quote(processor_reference, safe='')}/refunds", body, refunded=refund_of)

    def lookup(self, reference: str, instrument: Instrument) -> Result:
        """The payment under our reference."""
        return _found(self._ask("GET", f"/payments?reference={quote(reference, safe='')}", None, payment_of))

    def look_at(self, processor_reference: str) -> Result:
        """The payment with that name."""
        return self._ask("GET", f"/payments/{quote(processor_reference, safe='')}", None, payment_of)

    def lookup_refund(self, reference: str, processor_reference: str) -> Result:
        """The refund under our reference."""
        path = f"/payments/{quote(processor_reference, safe='')}/refunds?reference={quote(reference, safe='')}"
        return _found(self._ask("GET", path, None, refunded=refund_of))

    def _on(self, processor_reference: str, what: str, body: Mapping[str, Any]) -> Result:
        return self._ask("POST", f"/payments/{quote(processor_reference, safe='')}/{what}", body, payment_of)

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        paid: Callable[[Any], Payment] | None = None,
        *,
        refunded: Callable[[Any], Refunded] | None = None,
    ) -> Result:
        started = time.perf_counter()
        content = exact_json.dumps(body).encode() if body is not None else None
        try:
            response = self._client.request(method, f"{BASE}{path}", content=content)
            result = _judge(response, paid, refunded)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            result = Result(Outcome.NOT_SENT, Problem.UNREACHABLE, message=_named(error))
        except httpx.TimeoutException as error:
            result = Result(Outcome.UNKNOWN, Problem.TIMED_OUT, message=_named(error))
        except httpx.HTTPError as error:
            result = Result(Outcome.UNKNOWN, Problem.CONNECTION_LOST, message=_named(error))
        return result.taking(time.perf_counter() - started)


def payment_of(body: Any) -> Payment:
    """A payment of the sandbox's, from an answer or a webhook. Raises ValueError, KeyError or TypeError otherwise."""
    currency = str(body["currency"])
    return Payment(
        str(body["id"]),
        PaymentState(body["state"]),
        currency,
        _amount(body["held"], currency),
        _amount(body["captured"], currency),
        body.get("reference"),
    )


def refund_of(body: Any) -> Refunded:
    """A refund of the sandbox's, from an answer or a webhook. Raises as `payment_of` does."""
    currency = str(body["currency"])
    return Refunded(
        str(body["id"]),
        PaymentState(body["state"]),
        currency,
        _amount(body["amount"], currency),
        body.get("reference"),
    )


def _amount(value: Any, currency: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("an amount is a number")
    return Money.of(value, currency).amount


def _judge(
    response: httpx.Response, paid: Callable[[Any], Payment] | None, refunded: Callable[[Any], Refunded] | None
) -> Result:
    status = response.status_code
    try:
        body = exact_json.loads(response.content) if response.content.strip() else None
        if status == 200:
            payment = paid(body) if paid is not None else None
            refund = refunded(body) if refunded is not None else None
            return Result(Outcome.SUCCEEDED, None, payment, refund, status=status)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message=f"it answered: {error!r}", status=status)
    message = str(body.get("message", "")) if isinstance(body, dict) else ""
    if (problem := _BY_STATUS.get(status)) is not None:
        return Result(Outcome.REFUSED, problem, message=message, status=status)
    problem = Problem.SERVER_ERROR if status >= 500 else Problem.UNINTELLIGIBLE
    return Result(Outcome.UNKNOWN, problem, message=message, status=status)


def _found(result: Result) -> Result:
    """A look-up that could not ask says nothing of what was looked for."""
    if result.outcome is Outcome.REFUSED and result.problem is not Problem.NOT_FOUND:
        return Result(Outcome.UNKNOWN, result.problem, message=result.message, status=result.status)
    return result


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
