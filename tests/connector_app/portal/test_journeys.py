"""Shoppers' journeys in Chromium on a telephone, against the sandbox: from a closed gate to a paid debt."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine
from werkzeug.serving import make_server

from backroom.amazon.payment_status_client import PaymentStatusClient
from backroom.db.embedded import free_port
from backroom.debts import looking_up, payment_status, reporting
from backroom.debts.processors import port_of
from backroom.entry.issuing import IssuingRules, MayNotEnter, issue_scan_code
from backroom.mailing import SesMailer
from backroom.settings import settings
from connector_app.portal import create_app
from tests.connector_app.portal.as_portal import as_portal
from tests.connector_app.portal.conftest import AUDIENCE, ISSUER, KEYS, PRIVACY_KEY, public_pem
from tests.connector_app.portal.shopping import Postbox, Shopping, link_in, shopping_over
from tests.sandbox_fixtures import SandboxClient

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PICTURES = os.environ.get("BACKROOM_TEST_PICTURES")


@dataclass
class Stack:
    url: str
    world: Shopping
    post: Postbox
    sandbox: SandboxClient
    clock: list[datetime]

    def live_trip(self, store: str = "STORE-001") -> str:
        return str(self.sandbox.post("/sandbox/trips", {"store_id": store})["shoppingTripId"])


@pytest.fixture(scope="module")
def stack(
    database: Engine, sandbox: SandboxClient, small_world: Path, module_patch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """The portal over HTTP as its own database role, SES by moto, payment pages by the sandbox."""
    port = free_port()
    for name, value in {
        "BACKROOM_PRIVACY_KEYS": PRIVACY_KEY,
        "BACKROOM_PORTAL_APP_PUBLIC_KEY": public_pem(KEYS["EdDSA"]),
        "BACKROOM_PORTAL_APP_ISSUER": ISSUER,
        "BACKROOM_PORTAL_APP_AUDIENCE": AUDIENCE,
        "BACKROOM_PORTAL_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BACKROOM_PORTAL_PAYMENT_PAGE": "SANDBOX",
        "BACKROOM_SANDBOX_PROCESSOR_URL": sandbox.url,
        "BACKROOM_MAIL_SENDER": "receipts@backroom.test",
    }.items():
        module_patch.setenv(name, value)
    sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 1, "faults": "none"})
    sandbox.post("/sandbox/clock", {"now": datetime.now(UTC).isoformat()})
    with as_portal(module_patch) as admin:
        clock = [datetime.now(UTC)]
        post = Postbox(SesMailer(settings()))
        server = make_server("127.0.0.1", port, create_app(settings(), lambda: clock[0], post), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Stack(f"http://127.0.0.1:{port}", shopping_over(admin, settings()), post, sandbox, clock)
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def phone(stack: Stack, browser: Browser) -> Iterator[Callable[..., Page]]:
    """A telephone's page; whatever it complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_one(**options: object) -> Page:
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, device_scale_factor=2 if PICTURES else 1, locale="en-US", **options
        )  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert [said for said in complaints if "410 (Gone)" not in said] == []  # a payment page that was given up


def sign_in(stack: Stack, page: Page, address: str = "ana@shopper.test") -> None:
    """By the link in the message, which is asked for on the page."""
    before = len(stack.post.mails)
    page.goto(f"{stack.url}/sign-in")
    page.fill("#who", address)
    page.click("text=Send me a link")
    page.wait_for_selector("text=a link is on its way")
    for _ in range(100):
        if len(stack.post.mails) > before:
            break
        page.wait_for_timeout(50)
    page.goto(link_in(stack.post.mails[-1]))
    page.click("main button")
    page.wait_for_url("**/trips")


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def good(page: Page) -> None:
    """WCAG 2.2 AA by axe, no scrolling to the side, under 100 kB."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    size = page.evaluate(
        "document.documentElement.outerHTML.length + performance.getEntriesByType('resource')"
        ".filter(r => r.name.startsWith(location.origin)).reduce((sum, r) => sum + r.decodedBodySize, 0)"
    )
    assert size < 100_000, size


def may_enter(stack: Stack, shopper: str, store: str) -> bool:
    rules = IssuingRules("IMAG", timedelta(seconds=60), timedelta(minutes=10), 1000)
    with stack.world.engine.begin() as connection:
        try:
            issue_scan_code(
                connection, shopper, store_id=store, custom_part="", rules=rules, random_bits=lambda bits: id(rules),
                now=stack.clock[0],
            )  # fmt: skip
        except MayNotEnter:
            return False
    return True


def test_a_shopper_who_owes_pays_on_the_hosted_page_and_the_gate_opens_again(
    stack: Stack, phone: Callable[..., Page]
) -> None:
    trip = stack.world.trip(paid=False, named=stack.live_trip())
    stack.world.trip()
    page = phone()
    assert not may_enter(stack, "ana", "STORE-001")
    sign_in(stack, page)
    picture(page, "trips")
    good(page)
    page.click("nav >> text=Entry")
    picture(page, "entry")
    good(page)
    page.click("text=See and pay")
    picture(page, "to-pay")
    good(page)
    page.click("text=Pay $12.30")
    picture(page, "pay")
    good(page)
    page.click("main button:has-text('Pay $12.30')")
    page.wait_for_selector("text=Pay 12.30 USD")
    picture(page, "hosted")
    page.check("#declines")
    page.click("button:has-text('Pay 12.30')")
    page.wait_for_selector("text=Your bank has declined this card")
    page.check("#pays")
    page.click("button:has-text('Pay 12.30')")
    page.wait_for_selector("text=The gate is open for you again")
    picture(page, "paid")
    good(page)
    assert may_enter(stack, "ana", "STORE-001")
    (debt,) = stack.world.rows("select * from debt where shopping_trip_id = :trip", trip=trip)
    assert (debt["state"], debt["outstanding"]) == ("PAID", 0)
    (paid,) = stack.sandbox.get("/sandbox/processor/books")["payments"]
    assert (paid["state"], str(paid["captured"])) == ("CAPTURED", "12.30")


def test_a_payment_whose_outcome_is_not_known_is_never_made_again_and_amazon_opens_its_gate_within_the_minute(
    stack: Stack, phone: Callable[..., Page]
) -> None:
    trip = stack.world.trip("bo", paid=False, store="STORE-002", named=stack.live_trip("STORE-002"))
    page = phone(java_script_enabled=False)
    sign_in(stack, page, "bo@shopper.test")
    page.goto(f"{stack.url}/trips/{trip}/payment")
    page.click("main button")
    page.check("#silent")
    page.click("button:has-text('Pay 12.30')")
    page.wait_for_selector("text=the bank has not answered yet")
    picture(page, "unknown")
    assert page.locator("button:has-text('Pay')").count() == 0
    for path in ("/to-pay", f"/trips/{trip}"):
        page.goto(stack.url + path)
        page.wait_for_selector("text=See how it stands")
        assert page.locator("main >> text=/^Pay( now| .12)/").count() == 0, "nothing is offered to be paid again"
    page.click("text=See how it stands")
    asked = stack.world.rows("select state, payoff_id from payoff where shopping_trip_id = :trip", trip=trip)
    assert [row["state"] for row in asked] == ["UNKNOWN"]
    page.wait_for_timeout(6_000)
    page.click("text=Look again")
    page.wait_for_selector("text=The gate opens within a minute")
    now = stack.clock[0] + timedelta(seconds=30)
    tell_amazon(stack, now)
    page.reload()
    page.wait_for_selector("text=The gate is open for you again")
    assert len(stack.world.rows("select * from payoff where shopping_trip_id = :trip", trip=trip)) == 1
    reports = stack.world.rows("select state, settled from payment_status_report where shopping_trip_id = :t", t=trip)
    assert [(row["state"], str(row["settled"])) for row in reports] == [("ACCEPTED", "12.3000")]


def tell_amazon(stack: Stack, now: datetime) -> None:
    """One run of the pipeline that runs every minute."""
    engine = stack.world.engine
    looking_up.look_up_due(engine, lambda method: port_of(engine, method, now=now), now=now)
    with engine.begin() as connection:
        payment_status.find_due(connection, now=now)
    with PaymentStatusClient(settings()) as client:
        reporting.report_due(engine, client, store_id="STORE-002", now=now)


def test_a_payment_that_was_begun_can_be_gone_on_with_or_given_up_and_is_looked_up_where_the_shopper_is_gone(
    stack: Stack, phone: Callable[..., Page]
) -> None:
    trip = stack.world.trip("bo", paid=False, named=stack.live_trip())
    page = phone(java_script_enabled=False)
    sign_in(stack, page, "bo@shopper.test")
    payment = f"{stack.url}/trips/{trip}/payment"
    page.goto(payment)
    page.click("main button")
    first = page.url
    page.goto(payment)
    picture(page, "begun")
    page.click("text=Go on with it")
    assert page.url == first
    page.click("text=Back without paying")
    page.click("text=Give it up")
    page.wait_for_selector("text=You pay on the page of our payment provider")
    page.goto(first)
    assert page.inner_text("h1") == "This page has ended"
    page.goto(payment)
    page.click("main button")
    assert page.url != first
    page.check("#pays")
    page.route("**/payment", lambda route: route.abort())  # the shopper's telephone is gone before it is back
    page.click("button:has-text('Pay 12.30')", no_wait_after=True)
    page.wait_for_timeout(500)
    tell_amazon(stack, stack.clock[0] + timedelta(minutes=6))
    states = stack.world.rows("select state from payoff where shopping_trip_id = :trip order by payoff_id", trip=trip)
    assert [row["state"] for row in states] == ["NOT_SENT", "PAID"]


def test_who_came_by_card_finds_the_unpaid_trip_by_it_and_pays(stack: Stack, phone: Callable[..., Page]) -> None:
    trip = stack.world.trip(None, card="amzn1.card.x", paid=False, named=stack.live_trip())
    page = phone()
    page.goto(f"{stack.url}/look-up")
    picture(page, "look-up")
    good(page)
    page.select_option("#store_id", label="Hudson Yards")
    page.fill("[id='day--unpaid']", "2026-11-23")
    page.fill("[id='tail--unpaid']", "4242")
    page.fill("#month", "04")
    page.fill("#year", "2029")
    page.click("text=Find what is to pay")
    page.wait_for_url(f"**/trips/{trip}/payment")
    good(page)
    page.click("main button")
    page.click("button:has-text('Pay 12.30')")
    page.wait_for_selector("text=The gate is open for you again")


def test_a_receipt_is_read_saved_and_a_refund_asked_for_in_another_language(
    stack: Stack, phone: Callable[..., Page]
) -> None:
    trip = stack.world.trip()
    page = phone()
    sign_in(stack, page)
    page.goto(f"{stack.url}/trips/{trip}")
    page.click("summary:has-text('Card details')")
    picture(page, "receipt")
    good(page)
    with page.expect_download() as download:
        page.click("text=Save as PDF")
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.click("footer >> text=Español")
    page.click("text=Pedir un reembolso")
    picture(page, "refund")
    good(page)
    page.check("#line-1")
    page.check("#reason-DAMAGED_ITEM")
    page.dblclick("main button")
    page.wait_for_selector("text=Hemos recibido su solicitud")
    assert len(stack.world.rows("select * from refund_request where shopping_trip_id = :t", t=trip)) == 1
    page.click("nav >> text=Cuenta")
    picture(page, "account")
    good(page)


def test_the_entry_code_renews_itself_in_place(stack: Stack, phone: Callable[..., Page]) -> None:
    page = phone()
    sign_in(stack, page)
    page.goto(f"{stack.url}/entry-code")
    before = page.get_attribute("#code", "src")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    assert page.evaluate("document.getElementById('code').naturalWidth > 0")
    assert page.get_attribute("#code", "src") != before
    assert page.get_attribute("#code", "data-renew") == "30"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
