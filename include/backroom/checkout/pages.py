"""A processor's hosted payment page: made once for a reference, looked at, ended. No card ever passes through us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backroom.amazon.outcomes import Outcome
from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.settings import Settings


class PageState(StrEnum):
    """OPEN: it may still be paid. PAID: the money was taken. ENDED: nothing was taken, and nothing can be any more."""

    OPEN = "OPEN"
    PAID = "PAID"
    ENDED = "ENDED"


@dataclass(frozen=True)
class Page:
    """A page as the processor tells it. `payment` names the payment that was made by it."""

    page_id: str
    url: str
    state: PageState
    payment: str | None = None


@dataclass(frozen=True)
class Told:
    """One call's end; `page` is there where the outcome is SUCCEEDED. REFUSED may mean that there is no such page."""

    outcome: Outcome
    page: Page | None = None
    problem: str = ""


class HostedPages(Protocol):
    """A processor that serves such pages. One attempt a call."""

    @property
    def name(self) -> str:
        """STRIPE or SANDBOX."""

    def make(self, reference: str, amount: Money, *, subject: str, return_url: str, language: str) -> Told:
        """Makes the page; the same reference again gives the same page."""

    def look(self, page_id: str) -> Told:
        """The page as it stands."""

    def end(self, page_id: str) -> Told:
        """Ends it, so that it can't be paid any more; one that was paid stays so."""

    def close(self) -> None:
        """Ends the connections."""


@contextmanager
def pages_of(name: str, config: Settings) -> Iterator[HostedPages]:
    """The pages of that processor. Raises ConfigurationError where it has none, or is not set up."""
    match name:
        case "STRIPE":
            from backroom.checkout.stripe_pages import StripePages

            pages: HostedPages = StripePages(config)
        case "SANDBOX":
            from backroom.checkout.sandbox_pages import SandboxPages

            pages = SandboxPages(config)
        case _:
            raise ConfigurationError(f"{name!r} has no hosted payment page; STRIPE and SANDBOX have")
    try:
        yield pages
    finally:
        pages.close()


def page_of_store(payment_processor: str, config: Settings) -> str | None:
    """Whose page takes payments of debts at a store; None: they are paid in the store."""
    if payment_processor != "AMAZON":
        return payment_processor
    return None if config.portal_payment_page == "NONE" else config.portal_payment_page
