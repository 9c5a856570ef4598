"""Stripe's hosted pages against answers that are written down here: the stand-in for Stripe serves none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest

from backroom.amazon.outcomes import Outcome
from backroom.checkout.pages import PageState, page_of_store, pages_of
from backroom.checkout.stripe_pages import StripePages
from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.settings import Settings

SESSION = {
    "id": "cs_test_1", "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    "status": "open", "payment_status": "unpaid", "payment_intent": None,
}  # fmt: skip


class Scripted(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, dict[str, Any]]] = (200, SESSION)
    calls: ClassVar[list[tuple[str, str, dict[str, list[str]], str | None]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.calls.append((self.command, self.path, parse_qs(body), self.headers.get("Idempotency-Key")))
        status, told = self.answer
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[StripePages]:
    Scripted.calls.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = StripePages(Settings(stripe_url=f"http://127.0.0.1:{server.server_port}", stripe_secret_key="sk_test_x"))
    yield made
    made.close()
    server.shutdown()


def test_a_session_is_made_under_the_payoffs_reference_and_known_by_it_in_webhooks(pages: StripePages) -> None:
    Scripted.answer = (200, SESSION)
    told = pages.make("ref-1", Money.of("12.30", "USD"), subject="a trip", return_url="https://p.test/x", language="es")
    assert told.page is not None
    assert (told.page.page_id, told.page.state) == ("cs_test_1", PageState.OPEN)
    ((_, path, asked, key),) = Scripted.calls
    assert (path, key) == ("/v1/checkout/sessions", "page-ref-1")
    assert asked["line_items[0][price_data][unit_amount]"] == ["1230"]
    assert asked["payment_intent_data[metadata][backroom_reference]"] == ["ref-1"]


@pytest.mark.parametrize(
    ("told", "state", "payment"),
    [
        ({"status": "complete", "payment_status": "paid", "payment_intent": {"id": "pi_1"}}, PageState.PAID, "pi_1"),
        ({"status": "complete", "payment_status": "unpaid"}, PageState.OPEN, None),
        ({"status": "expired"}, PageState.ENDED, None),
    ],
)
def test_only_paid_is_paid(pages: StripePages, told: dict[str, Any], state: PageState, payment: str | None) -> None:
    Scripted.answer = (200, SESSION | told)
    found = pages.look("cs_test_1").page
    assert found is not None
    assert (found.state, found.payment) == (state, payment)


def test_what_stripe_does_not_say_is_not_known(pages: StripePages) -> None:
    Scripted.answer = (500, {"error": {"message": "x"}})
    assert pages.look("cs_test_1").outcome is Outcome.UNKNOWN
    Scripted.answer = (200, {"id": "cs_test_1"})
    assert pages.look("cs_test_1").outcome is Outcome.UNKNOWN


def test_a_stores_own_processor_comes_before_the_one_of_the_settings() -> None:
    assert page_of_store("AMAZON", Settings()) is None
    assert page_of_store("AMAZON", Settings(portal_payment_page="SANDBOX")) == "SANDBOX"
    assert page_of_store("STRIPE", Settings(portal_payment_page="SANDBOX")) == "STRIPE"
    with pytest.raises(ConfigurationError, match="no hosted payment page"), pages_of("CASH", Settings()):
        pass
