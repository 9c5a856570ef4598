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
from sqlalchemy import Engine, create_engine, make_url
from werkzeug.serving import make_server

from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import engine as own_engine
from backroom.db.roles import set_password
from backroom.entry.issuing import IssuingRules, MayNotEnter, issue_scan_code
from backroom.mailing import SesMailer
from backroom.settings import settings
from connector_app.portal import create_app
from tests.conftest import forget_configuration
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
    postgres: EmbeddedPostgres,
    database: Engine,
    sandbox: SandboxClient,
    small_world: Path,
    module_patch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """The portal over HTTP as its own database role, SES by moto, payment pages by the sandbox."""
    port = free_port()
    admin_url = make_url(os.environ["BACKROOM_DATABASE_URL"])
    admin = create_engine(admin_url.set(drivername="postgresql+psycopg"))
    set_password(admin, "backroom_portal", "tests")
    url = admin_url.set(username="backroom_portal", password="tests").render_as_string(hide_password=False)
    for name, value in {
        "BACKROOM_DATABASE_URL": url,
        "BACKROOM_PRIVACY_KEYS": PRIVACY_KEY,
        "BACKROOM_PORTAL_APP_PUBLIC_KEY": public_pem(KEYS["EdDSA"]),
        "BACKROOM_PORTAL_APP_ISSUER": ISSUER,
        "BACKROOM_PORTAL_APP_AUDIENCE": AUDIENCE,
        "BACKROOM_PORTAL_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BACKROOM_PORTAL_PAYMENT_PAGE": "SANDBOX",
        "BACKROOM_SANDBOX_PROCESSOR_URL": sandbox.url,
        "BACKROOM_MAIL_SENDER": "shop@retailer.test",
    }.items():
        module_patch.setenv(name, value)
    forget_configuration()
    sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 1, "faults": "none"})
    import boto3

    boto3.client("ses", endpoint_url=os.environ["BACKROOM_AWS_ENDPOINT_URL"]).verify_email_identity(
        EmailAddress="shop@retailer.test"
    )
    clock = [datetime.now(UTC)]
    post = Postbox(SesMailer(settings()))
    app = create_app(settings(), lambda: clock[0], post)
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Stack(f"http://127.0.0.1:{port}", shopping_over(admin, settings()), post, sandbox, clock)
    server.shutdown()
    own_engine().dispose()
    module_patch.setenv("BACKROOM_DATABASE_URL", admin_url.render_as_string(hide_password=False))
    forget_configuration()
    admin.dispose()


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
            viewport={"width": 390, "height": 844}, device_scale_factor=2, locale="en-US", **options
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
    assert complaints == []


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
