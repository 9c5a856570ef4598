"""Which processor moves a store's money, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine

from backroom.amazon.payments import PaymentsClient
from backroom.charges.payments_port import Payments
from backroom.errors import ConfigurationError
from backroom.processors.charge_adapter import ProcessorPayments
from backroom.processors.port import Processor
from backroom.processors.sandbox_adapter import SandboxProcessor
from backroom.processors.stripe_adapter import StripeProcessor
from backroom.settings import Settings
from backroom.stores.registry import Store

AMAZON = "AMAZON"
_CALLS_IN_A_LEASE = 5
"""Most calls to a processor for one operation of a charge: looks at what is open, a raise, a hold anew, a void."""


@contextmanager
def payments_for(store: Store, engine: Engine, config: Settings, *, now: datetime) -> Iterator[Payments]:
    """Whoever moves the store's money, at one business time. Raises ConfigurationError where that can't be reached."""
    if store.payment_processor == AMAZON:
        with PaymentsClient(config) as client:
            yield client
        return
    if config.charge_lease_seconds <= _CALLS_IN_A_LEASE * config.processor_timeout_seconds:
        raise ConfigurationError(
            f"BACKROOM_CHARGE_LEASE_SECONDS must be longer than {_CALLS_IN_A_LEASE} times "
            "BACKROOM_PROCESSOR_TIMEOUT_SECONDS, so that no lease ends while its calls are under way"
        )
    with processor_of(store.payment_processor, config) as processor:
        yield ProcessorPayments(engine, processor, now=now)


@contextmanager
def processor_of(name: str, config: Settings) -> Iterator[Processor]:
    """A client of the processor with that name. Raises ConfigurationError where it can't be reached as configured."""
    match name:
        case "STRIPE":
            processor: Processor = StripeProcessor(config)
        case "SANDBOX":
            processor = SandboxProcessor(config)
        case _:
            raise ConfigurationError(f"{name!r} is not a processor; there are STRIPE and SANDBOX")
    try:
        yield processor
    finally:
        processor.close()
