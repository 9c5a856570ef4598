"""What Stripe's answers mean: a payment, a refund, a definite no, not sent, or unknown."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import httpx
import stripe

from backroom.money import places
from backroom.processors.port import Outcome, Payment, PaymentState, Problem, Refunded, Result

REFERENCE: Final = "backroom_reference"
SUBJECT: Final = "backroom_subject"
_STATES: Final = {
    "requires_capture": PaymentState.HELD,
    "succeeded": PaymentState.CAPTURED,
    "canceled": PaymentState.VOIDED,
    "requires_payment_method": PaymentState.DECLINED,
    "requires_action": PaymentState.DECLINED,  # the issuer wants the shopper, who is not there
    "requires_confirmation": PaymentState.DECLINED,  # never tried: nothing is held
    "processing": PaymentState.PENDING,
}
_REFUND_STATES: Final = {
    "succeeded": PaymentState.CAPTURED,
    "pending": PaymentState.PENDING,
    "requires_action": PaymentState.PENDING,
    "failed": PaymentState.DECLINED,
    "canceled": PaymentState.DECLINED,
}
_BY_CODE: Final = {
    "charge_expired_for_capture": Problem.EXPIRED,
    "payment_intent_unexpected_state": Problem.WRONG_STATE,
    "charge_already_captured": Problem.WRONG_STATE,
    "charge_already_refunded": Problem.WRONG_STATE,
    "resource_missing": Problem.NOT_FOUND,
}


class TooMany(Exception):
    """More payments than one look-up reads."""


class Nothing(Exception):
    """There is none with that reference."""


def attempt(
    call: Callable[[], Any],
    paid: Callable[[Any], Payment] | None = None,
    *,
    refunded: Callable[[Any], Refunded] | None = None,
) -> Result:
    """Makes one call and judges how it ended; `paid` or `refunded` reads the answer."""
    started = time.perf_counter()
    try:
        answer = call()
        payment = paid(answer) if paid is not None else None
        refund = refunded(answer) if refunded is not None else None
    except Nothing:
        result = Result(Outcome.REFUSED, Problem.NOT_FOUND)
    except TooMany:
        result = Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message="too many payments to look through")
    except stripe.StripeError as error:
        result = _judge(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        result = Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message=f"Stripe answered: {error!r}")
    else:
        result = Result(Outcome.SUCCEEDED, None, payment, refund, status=200)
    return result.taking(time.perf_counter() - started)


def _judge(error: stripe.StripeError) -> Result:
    """A definite no, not sent, or unknown. Whatever Stripe does not publish as a no is unknown."""
    if isinstance(error, stripe.APIConnectionError):
        return _broken(error)
    status, code = error.http_status, str(error.code or "")
    outcome, problem = Outcome.REFUSED, Problem.NOT_ALLOWED
    match error:
        case stripe.CardError():
            problem = _BY_CODE.get(code, Problem.DECLINED)
        case stripe.RateLimitError():
            problem = Problem.THROTTLED
        case stripe.AuthenticationError() | stripe.PermissionError():
            pass
        # an IdempotencyError, another kind: a try with this key is under way, or asked for something else
        case stripe.InvalidRequestError() if status in (400, 402, 404):
            problem = _BY_CODE.get(code, Problem.NOT_FOUND if status == 404 else Problem.BAD_REQUEST)
        case _:
            outcome = Outcome.UNKNOWN
            problem = Problem.SERVER_ERROR if status and status >= 500 else Problem.UNINTELLIGIBLE
    return Result(outcome, problem, message=f"{code} {error.user_message or ''}".strip(), status=status)


def _broken(error: stripe.StripeError) -> Result:
    cause = error.__cause__
    message = f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
    if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return Result(Outcome.NOT_SENT, Problem.UNREACHABLE, message=message)
    problem = Problem.TIMED_OUT if isinstance(cause, httpx.TimeoutException) else Problem.CONNECTION_LOST
    return Result(Outcome.UNKNOWN, problem, message=message)


def held_or_declined(result: Result) -> Result:
    """A PaymentIntent that was made but holds nothing is a decline."""
    if result.payment is None or result.payment.state in (PaymentState.HELD, PaymentState.CAPTURED):
        return result
    if result.payment.state is PaymentState.PENDING:
        return Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message="Stripe is still at it", status=result.status)
    return Result(Outcome.REFUSED, Problem.DECLINED, result.payment, message="nothing is held", status=result.status)


def found(result: Result) -> Result:
    """A look-up that could not ask says nothing of what was looked for."""
    if result.outcome is Outcome.REFUSED and result.problem is not Problem.NOT_FOUND:
        return Result(Outcome.UNKNOWN, result.problem, message=result.message, status=result.status)
    return result


def refund_of(item: Any) -> Refunded:
    """A refund, from an answer or from a webhook. Raises as `payment_of` does."""
    currency = str(_need(item, "currency")).upper()
    return Refunded(
        str(_need(item, "id")),
        _REFUND_STATES[str(_need(item, "status"))],
        currency,
        from_minor(int(_need(item, "amount")), currency),
        field(field(item, "metadata") or {}, REFERENCE),
    )


def field(thing: Any, name: str) -> Any:
    """A field of an object of Stripe's or of a JSON object; None where it is not there."""
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


def _need(thing: Any, name: str) -> Any:
    value = field(thing, name)
    if value is None:
        raise KeyError(name)
    return value


def payment_of(intent: Any) -> Payment:
    """A PaymentIntent, from an answer or from a webhook. Raises ValueError, KeyError or TypeError for anything else."""
    currency = str(_need(intent, "currency")).upper()
    state = _STATES[str(_need(intent, "status"))]
    whole = int(_need(intent, "amount"))
    capturable, received = field(intent, "amount_capturable"), field(intent, "amount_received")
    held = (whole if capturable is None else int(capturable)) if state is PaymentState.HELD else 0
    taken = (whole if received is None else int(received)) if state is PaymentState.CAPTURED else 0
    return Payment(
        str(_need(intent, "id")),
        state,
        currency,
        from_minor(held, currency),
        from_minor(taken, currency),
        field(field(intent, "metadata") or {}, REFERENCE),
    )


def from_minor(amount: int, currency: str) -> Decimal:
    """The amount in whole units, with the currency's places."""
    return Decimal(amount).scaleb(-places(currency))
