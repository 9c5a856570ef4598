"""One day's work in a real browser: on a wide screen, on a phone, by the keyboard, without JavaScript; and by a process
of its own, as it is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PageError

from backroom.db.embedded import free_port
from tests.connector_app.console.world import PASSWORD, Console, World

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PHONE = {"width": 390, "height": 844}
COLOURFUL = ("Today", "Breaks", "Debts")  # pages that between them show every colour of the one stylesheet's states
PICTURES = os.environ.get("BACKROOM_TEST_PICTURES", "")  # a folder to leave screenshots in, to look at


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address(console: Console) -> Iterator[str]:
    """The app over HTTP, at the clock of the tests."""
    server = make_server("127.0.0.1", 0, console.app, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


def sign_in(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def until(page: Page, expression: str) -> None:
    """Waits for it, asking from outside: the page's policy lets nothing in it wait for an expression."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            if page.evaluate(expression):
                return
        except PageError:  # the page was left while it was asked
            pass
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=whole)


def accessible(page: Page, *, contrast: bool = True) -> list[str]:
    """What axe finds wrong with the page, in one line each. The contrast of colours takes longer than all the rest."""
    options = {} if contrast else {"rules": {"color-contrast": {"enabled": False}}}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


def fits(page: Page) -> bool:
    """Nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_day_s_work_of_finance_and_operations(chromium: Browser, address: str, world: World) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, java_script_enabled=True)
    page = context.new_page()
    outside: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(address) else outside.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{address}/debts?state=all")
    picture(page, "sign-in")
    assert accessible(page) == []
    page.reload()
    page.keyboard.type("fay")  # the first field has the focus
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/debts?state=all")

    page.goto(address)
    picture(page, "console", whole=True)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")

    looked = {}
    for title in page.locator("nav.menu a").all_inner_texts():
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=title, exact=True).click()
        looked[title] = accessible(page, contrast=title in COLOURFUL) + ([] if fits(page) else ["too wide"])
        picture(page, title.lower().replace(" ", "-"))
    assert looked == {title: [] for title in looked}
    assert len(looked) >= 10

    page.goto(f"{address}/debts")
    page.evaluate("window.same = true")
    page.get_by_label("State").select_option("all")
    page.get_by_role("button", name="Filter").press("Enter")
    page.wait_for_url("**/debts?state=all*")
    until(page, "document.activeElement.id === 'f-filter' && !document.querySelector('.htmx-settling')")
    assert page.evaluate("window.same")  # the list alone is new
    kept = page.evaluate("[...Object.entries(localStorage), ...Object.entries(sessionStorage)]")
    assert kept == [["htmx-current-path-for-history", "/debts?state=all&bucket=any&store=&who="]]  # no page
    page.go_back()
    until(page, "window.same === undefined && document.readyState === 'complete'")  # loaded anew
    assert page.url == f"{address}/debts"

    page.goto(f"{address}/charges")
    page.get_by_role("link", name="Unknown capture").click()
    picture(page, "case", whole=True)
    assert accessible(page) == []
    page.get_by_role("radio", name="Captured", exact=False).first.check()
    page.get_by_label("Reason").fill("Amazon's ticket 4 says so")
    page.get_by_role("button", name="Decide").click()
    assert "is decided: captured" in page.get_by_role("status").inner_text()

    page.goto(f"{address}/breaks/{world.ids['break']}")
    picture(page, "break", whole=True)
    page.get_by_label("Reason").fill("rounding, agreed with Amazon")
    page.get_by_role("button", name="Force the match").click()
    assert "No money has moved" in page.get_by_role("status").inner_text()
    page.goto(f"{address}/months/2026-03/STORE-002")
    picture(page, "month", whole=True)
    assert accessible(page) == []
    page.goto(f"{address}/refunds/ask?trip={world.trips['captured']}")
    page.get_by_role("radio", name="Lines").check()
    page.get_by_role("checkbox", name="Line 1").check()
    page.get_by_label("Reason").fill("a cracked lid")
    picture(page, "refund-ask", whole=True)
    assert accessible(page) == []
    page.get_by_role("button", name="Ask for the refund").click()
    assert "goes its way" in page.get_by_role("status").inner_text()
    page.goto(f"{address}/reports")
    picture(page, "reports-and-months")
    page.get_by_role("link", name="Open").click()
    assert "finance report" in page.title()
    with page.expect_download() as download:
        page.get_by_role("link", name="STORE-002.xlsx").click()
    assert download.value.suggested_filename.endswith("STORE-002.xlsx")
    assert [one for one in complaints if "status of 4" not in one] == []
    assert outside == []
    context.close()


def test_a_bad_cart_is_resolved_on_a_phone_without_javascript(chromium: Browser, address: str, world: World) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False, has_touch=True)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, address, "olga")
    picture(page, "phone-today")
    page.get_by_role("link", name="bad carts").first.click()
    page.get_by_role("link", name=world.trips["bad"]).click()
    page.get_by_label("SKU of line 2").fill("SOAP")
    page.get_by_label("Reason").fill("seen on the shelf")
    picture(page, "phone-cart", whole=True)
    page.get_by_role("button", name="Resolve the cart").click()
    assert "8.60 USD are to be charged" in page.get_by_role("status").inner_text()
    context.close()
    seen = chromium.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = seen.new_page()
    sign_in(page, address, "olga")
    for path in ("/", "/cases", "/gaps", "/quarantine", "/catalog?by=amazon", f"/carts/{world.trips['bad']}"):
        page.goto(address + path)
        assert (path, fits(page)) == (path, True)
        if path in ("/", "/gaps", "/quarantine"):
            assert accessible(page) == []
        picture(page, f"phone{path.replace('/', '-')[:12]}")
    seen.close()
    seen = chromium.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = seen.new_page()
    sign_in(page, address, "fay")
    for path in ("/months", "/months/2026-03/STORE-002", f"/refunds/ask?trip={world.trips['captured']}", "/reports"):
        page.goto(address + path)
        assert (path, fits(page)) == (path, True)
        here = page.locator(".menu [aria-current]").bounding_box()
        assert (path, here is not None and here["x"] >= 0 and here["x"] + here["width"] <= 390) == (path, True)
        picture(page, f"phone-fay{path.replace('/', '-')[:12]}", whole=True)
    seen.close()


def start(log: Path, **environment: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "connector_app.console"],
            env={**os.environ, **environment}, stdout=output, stderr=output,
        )  # fmt: skip


def test_it_serves_by_its_role_and_logs_no_secret(console: Console, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    process = start(log, BACKROOM_CONSOLE_PORT=str(port))
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=url, follow_redirects=True) as client:
            page = client.get("/debts").text
            token = page.split('name="form_token" value="')[1].split('"')[0]
            fields = {"form_token": token, "name": "fay", "password": PASSWORD, "next": "/debts"}
            answer = client.post("/sign-in", data=fields)
            assert (answer.status_code, answer.url.path) == (200, "/debts")
            assert client.get("/static/console.css").headers["Content-Type"].startswith("text/css")
            cookies = list(client.cookies.values())
        large = httpx.post(f"{url}/sign-in", content=b"name=" + b"x" * 60_000)
        assert large.status_code in (403, 413)
    finally:
        process.terminate()
        process.wait(20)
    written = log.read_text()
    calls = [json.loads(line) for line in written.splitlines()]
    assert any((call.get("path"), call.get("who"), call.get("status")) == ("/debts", "fay", 200) for call in calls)
    for secret in (PASSWORD, token, *cookies):
        assert secret not in written


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
