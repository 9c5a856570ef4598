"""Who may see what: each page as its owner, as another shopper, as nobody; signing in; forms; headers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from backroom.amazon.outcomes import Outcome
from backroom.checkout import paying
from backroom.checkout.gate_news import GateNews, gate_news
from backroom.checkout.pages import Page, PageState, Told
from backroom.db.engine import engine
from backroom.languages.words import translations
from backroom.money import Money
from connector_app.portal import create_app
from connector_app.portal.links import PATIENCE_SECONDS
from connector_app.portal.pages import visit as visiting
from connector_app.portal.pages.amounts import typed_amount
from connector_app.portal.pages.visit import OF_PAYMENT, OF_RECEIPT, OPEN_PAGES
from tests.connector_app.portal.as_portal import as_portal
from tests.connector_app.portal.conftest import portal_settings
from tests.connector_app.portal.shopping import NOW, Postbox, Shopping, link_in, shopping_over
from tests.shoppers.accounts import add_account


@dataclass
class Visit:
    """One browser without JavaScript."""

    client: FlaskClient
    shop: Shop

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=headers)

    def post(self, path: str, form_on: str = "", **fields: Any) -> TestResponse:
        """Sends a form with the token of the page `form_on` (none: the sign-in page's)."""
        page = self.client.get(form_on or "/sign-in").text
        token = re.search(r'name="form" value="(\w+)"', page)
        return self.client.post(path, data={"form": token[1] if token else "", **fields})


@dataclass
class Shop:
    world: Shopping
    post: Postbox
    app: Any
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    def visit(self, address: str = "") -> Visit:
        made = Visit(self.app.test_client(), self)
        if address:
            made.post("/sign-in", who=address)
            self.app.config["LINKS"].send()
            path = link_in(self.post.mails[-1]).split("8001", 1)[1]
            assert made.post(path, form_on=path).headers["Location"] == "/trips"
        return made


@pytest.fixture(scope="module")
def shop_of_module(database: Engine, module_patch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with as_portal(module_patch) as admin:
        config = portal_settings(portal_payment_page="SANDBOX", sandbox_processor_url="http://127.0.0.1:1")
        post, clock = Postbox(), [NOW]
        app = create_app(config, lambda: clock[0], post)
        app.config["LINKS"].wake = lambda: None  # sent by hand, so that tests know when
        yield Shop(shopping_over(admin, config), post, app, clock)


@pytest.fixture
def shop(shop_of_module: Shop) -> Shop:
    shop_of_module.clock[0] = NOW
    shop_of_module.world.run("delete from rate_count")
    return shop_of_module


def pages(shop: Shop) -> list[tuple[str, str, str]]:
    """(endpoint, method, rule) of every page."""
    return [
        (rule.endpoint, method, rule.rule)
        for rule in shop.app.url_map.iter_rules()
        if rule.endpoint.startswith("pages_")
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
    ]


def test_every_page_leads_nobody_anywhere_but_to_the_sign_in_except_the_open_ones(shop: Shop) -> None:
    trip = shop.world.trip()
    found = pages(shop)
    assert len(found) > 20
    assert {endpoint for endpoint, _, _ in found} >= OPEN_PAGES
    for endpoint, method, rule in found:
        if endpoint in OPEN_PAGES:
            continue
        answer = shop.visit().client.open(rule.replace("<trip>", trip), method=method)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in"), (method, rule)


def test_a_second_shopper_finds_nothing_under_the_first_ones_ids_on_any_route(shop: Shop) -> None:
    paid, owed = shop.world.trip(), shop.world.trip(paid=False)
    ana, bo = shop.visit("ana@shopper.test"), shop.visit("bo@shopper.test")
    card = shop.visit("cy@shopper.test")
    with_trip = [(method, rule) for _, method, rule in pages(shop) if "<trip>" in rule]
    assert len(with_trip) == 8
    for trip in (paid, owed):
        for method, rule in with_trip:
            path = rule.replace("<trip>", trip)
            if method == "GET":
                assert ana.get(path).status_code == 200, path
                assert (bo.get(path).status_code, card.get(path).status_code) == (404, 404), path
            else:
                fields = {"reason": "OTHER", "amount": "1.00", "key": "k", "what": "give-up"}
                assert bo.post(path, form_on="/account", **fields).status_code == 404, path
    for path in ("/trips", "/to-pay", f"/trips?transaction={paid}", "/account/data.json"):
        assert f"/trips/{paid}" not in bo.get(path).text
        assert f"/trips/{owed}" not in bo.get(path).text
    assert shop.world.rows("select * from payoff") == shop.world.rows("select * from refund_request") == []


def test_a_cards_trips_are_its_holders_and_no_app_shoppers(shop: Shop) -> None:
    mine = shop.world.trip(None, card="amzn1.card.cy")
    apps = shop.world.trip("bo", card="amzn1.card.cy")
    cy = shop.visit("cy@shopper.test")
    assert (cy.get(f"/trips/{mine}").status_code, cy.get(f"/trips/{apps}").status_code) == (200, 404)
    assert "You come in with your card" in cy.get("/entry-code").text


def test_asking_for_a_link_is_answered_alike_for_known_and_unknown_and_sends_to_the_known_alone(shop: Shop) -> None:
    before = len(shop.post.mails)
    answers = [
        shop.visit().post("/sign-in", who=who)
        for who in ("ana@shopper.test", "nobody@shopper.test", "a number", "ANA@shopper.test ")
    ]
    assert len({(answer.status_code, re.sub(r'value="\w+"', "", answer.text)) for answer in answers}) == 1
    assert shop.world.rows("select distinct state from sign_in_link where state <> 'USED'") == [{"state": "ASKED"}]
    shop.app.config["LINKS"].send()
    assert [mail.to for mail in shop.post.mails[before:]] == ["ana@shopper.test", "ana@shopper.test"]
    assert shop.world.rows("select * from sign_in_link where asked_sealed is not null") == []


def test_a_loyalty_number_signs_in_by_the_address_of_its_holder(shop: Shop) -> None:
    with shop.world.engine.begin() as connection:
        add_account(connection, "L1", "9 4471 02", "p", "bo", seal=shop.world.seal)
    shop.visit().post("/sign-in", who=" 9 4471 02 ")
    shop.app.config["LINKS"].send()
    assert shop.post.mails[-1].to == "bo@shopper.test"


def test_a_link_is_good_once_and_for_minutes_and_a_look_at_it_does_not_use_it(shop: Shop) -> None:
    def link() -> str:
        shop.visit().post("/sign-in", who="ana@shopper.test")
        shop.app.config["LINKS"].send()
        return link_in(shop.post.mails[-1]).split("8001", 1)[1]

    used = link()
    assert [shop.visit().get(used).status_code for _ in range(3)] == [200, 200, 200]
    assert shop.visit().post(used, form_on=used).status_code == 303
    assert shop.visit().post(used, form_on=used).status_code == 410
    late = link()
    shop.clock[0] += timedelta(minutes=16)
    assert shop.visit().post(late, form_on=late).status_code == 410
    assert shop.world.rows("select * from sign_in_link where token_hash = :t", t=used.rsplit("/", 1)[1]) == []


def test_who_tries_too_often_is_told_to_wait(shop: Shop) -> None:
    statuses = [shop.visit().post("/sign-in", who="ana@shopper.test").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    day = {"day": "2026-11-23", "amount": "12.30", "tail": "4242", "transaction": "WRONG"}
    statuses = [shop.visit().post("/look-up/paid", **day).status_code for _ in range(7)]
    assert statuses == [404] * 5 + [429] * 2
    shop.clock[0] += timedelta(hours=1)
    assert shop.visit().post("/sign-in", who="ana@shopper.test").status_code == 200


def test_a_session_ends_by_itself_and_by_signing_out(shop: Shop) -> None:
    visit = shop.visit("ana@shopper.test")
    for _ in range(3):
        shop.clock[0] += timedelta(minutes=15)
        assert visit.get("/trips").status_code == 200
    shop.clock[0] += timedelta(minutes=21)
    assert visit.get("/trips").status_code == 303
    shop.clock[0] = NOW
    visit = shop.visit("ana@shopper.test")
    cookie = visit.client.get_cookie("session")
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site) == (True, "Lax")
    visit.post("/sign-out", form_on="/account")
    visit.client.set_cookie("session", cookie.value)
    assert visit.get("/trips").status_code == 303


def test_a_form_that_is_not_ours_changes_nothing(shop: Shop) -> None:
    visit = shop.visit("ana@shopper.test")
    other = re.search(r'name="form" value="(\w+)"', shop.visit("bo@shopper.test").get("/account").text)
    assert other is not None
    for sent in ({}, {"form": "x"}, {"form": other[1]}):
        assert visit.client.post("/account/erase", data={"sure": "yes", **sent}).status_code == 403
    mine = re.search(r'name="form" value="(\w+)"', visit.get("/account").text)
    assert mine is not None
    abroad = visit.client.post(
        "/account/erase", data={"sure": "yes", "form": mine[1]}, headers={"Origin": "https://elsewhere.test"}
    )
    assert abroad.status_code == 403
    assert shop.world.rows("select * from privacy_request") == []


def test_every_page_is_strict_about_where_things_come_from(shop: Shop) -> None:
    for path in ("/sign-in", "/nothing-here", "/healthz", "/trips/x/receipt.pdf", "/portal.css"):
        answer = shop.visit().get(path, Accept="text/html")
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;")
        assert "frame-ancestors 'none'; form-action 'self'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert shop.visit().get("/sign-in").headers["Cache-Control"] == "no-store"
    secure = create_app(portal_settings(portal_public_url="https://shop.test"), lambda: NOW, Postbox())
    answer = secure.test_client().get("/sign-in")
    assert answer.headers["Strict-Transport-Security"]
    assert re.match(r"__Host-visit=\S+; Secure; HttpOnly; Path=/; SameSite=Strict", answer.headers["Set-Cookie"])


def test_a_line_of_a_statement_opens_that_trip_alone(shop: Shop) -> None:
    trip, other = shop.world.trip(None, card="c1", transaction="A1B2C3"), shop.world.trip(None, card="c1")
    right = {"day": "2026-11-23", "amount": "12.30", "tail": "4242", "transaction": "a1b2c3"}
    for wrong in ({"day": "2026-11-22"}, {"amount": "12.31"}, {"tail": "4243"}, {"transaction": "A1B2C4"}):
        assert shop.visit().post("/look-up/paid", **{**right, **wrong}).status_code == 404
        shop.world.run("delete from rate_count")
    visit = shop.visit()
    assert visit.post("/look-up/paid", **right).headers["Location"] == f"/trips/{trip}"
    assert "Sourdough bread" in visit.get(f"/trips/{trip}").text
    assert visit.get(f"/trips/{other}").status_code == 404
    for endpoint, method, rule in pages(shop):
        if endpoint not in OF_RECEIPT | OPEN_PAGES and method == "GET":
            assert visit.get(rule.replace("<trip>", trip)).status_code == 404, rule


def test_a_card_opens_the_amount_and_the_payment_of_its_unpaid_trip_and_no_more(shop: Shop) -> None:
    trip = shop.world.trip(None, card="c2", paid=False, store="STORE-002", at=NOW - timedelta(days=3))
    right = {"store_id": "STORE-002", "day": "2026-11-21", "brand": "VISA", "tail": "4242", "month": "4", "year": "29"}
    for wrong in (
        {"store_id": "STORE-001"},
        {"day": "2026-11-22"},
        {"brand": "AMEX"},
        {"year": "2028"},
        {"month": "5"},
    ):
        assert shop.visit().post("/look-up/unpaid", **{**right, **wrong}).status_code == 404
        shop.world.run("delete from rate_count")
    again = shop.visit().post("/look-up/unpaid", **{**right, "month": "5", "tail": '4"<2'}).text
    assert 'value="2026-11-21"' in again
    assert 'value="4&#34;&lt;2"' in again
    assert '<option value="STORE-002" selected>' in again
    assert 'href="/look-up?lang=es"' in again
    visit = shop.visit()
    assert visit.post("/look-up/unpaid", **right).headers["Location"] == f"/trips/{trip}/payment"
    page = visit.get(f"/trips/{trip}/payment").text
    assert "Pay $12.30" in page
    assert "Sourdough" not in page
    for endpoint, method, rule in pages(shop):
        if endpoint not in OF_PAYMENT | OPEN_PAGES and method == "GET":
            assert visit.get(rule.replace("<trip>", trip)).status_code == 404, rule


def test_a_receipt_shows_lines_promotions_taxes_payment_and_the_cards_data(shop: Shop) -> None:
    trip = shop.world.trip()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shop.visit("ana@shopper.test").get(f"/trips/{trip}").text))
    for said in (
        "Hudson Yards Nov 23, 2026, 12:00 PM EST", "Sourdough bread 1 × $5.25", "Bakery week: −$0.75", "2 × $1.50",
        "0.79 lb × $5.00 / lb", "Goods $12.20", "Promotions −$0.75", "Tax NY 12.25% $0.85", "Total $12.30",
        "VISA •••• 4242 $12.30", "Entry mode contactless chip", "Application id (AID) A0000000031010",
    ):  # fmt: skip
        assert said in text.replace("\u202f", " "), said
    assert "None" not in text


def test_what_amazon_does_not_tell_of_a_card_leaves_no_hole(shop: Shop) -> None:
    trip = shop.world.trip(told=False)
    page = shop.visit("ana@shopper.test").get(f"/trips/{trip}").text
    assert "Card details" not in page
    assert ">Card</th>" in page


def test_trips_are_found_by_date_card_and_transaction_id(shop: Shop) -> None:
    old = shop.world.trip(at=NOW - timedelta(days=40), transaction="FINDME77")
    new = shop.world.trip()
    visit = shop.visit("ana@shopper.test")

    def found(query: str) -> tuple[bool, bool]:
        page = visit.get(f"/trips?{query}")
        assert page.status_code == 200
        return f"/trips/{old}" in page.text, f"/trips/{new}" in page.text

    assert found("until=2026-10-31") == found("transaction=findme77") == found(f"transaction={old}") == (True, False)
    assert found("since=2026-11-01") == (False, True)
    assert found("tail=4242&since=2026-10-01") == (True, True)
    assert found("tail=9999") == (False, False)
    assert visit.get("/trips?since=yesterday").status_code == 400
    for strange in ("/trips?tail=%00", "/trips/%00", "/trips/%00/receipt.pdf", "/sign-in/%00"):
        assert visit.get(strange).status_code == 404
    strange_form = {"day": "2026-11-23", "amount": "1", "tail": "4242", "transaction": "\0"}
    assert visit.post("/look-up/paid", **strange_form).status_code == 404


def test_a_refund_that_could_not_be_asked_for_keeps_what_was_chosen(shop: Shop) -> None:
    trip = shop.world.trip("bo")
    visit, form = shop.visit("bo@shopper.test"), f"/trips/{trip}/refund"
    both = visit.post(form, form_on=form, line="1", amount="2.50", reason="OTHER").text
    assert 'name="line" value="1" checked' in both
    assert 'value="2.50"' in both
    assert 'value="OTHER" checked' in both
    assert "0.79 lb – $4.43" in both


def test_a_refund_shows_what_can_go_back_and_a_doubled_click_asks_once(shop: Shop) -> None:
    trip = shop.world.trip()
    visit = shop.visit("ana@shopper.test")
    path = f"/trips/{trip}/refund"
    page = visit.get(path).text
    assert "Up to $12.30 can go back, if you ask by December 23, 2026" in page
    key = re.search(r'name="key" value="([\w-]+)"', page)
    assert key is not None
    asked = {"line": ["1"], "reason": "DAMAGED_ITEM", "key": key[1]}
    assert [visit.post(path, form_on=path, **asked).status_code for _ in range(2)] == [303, 303]
    (made,) = shop.world.rows("select * from refund_request where shopping_trip_id = :t", t=trip)
    assert (str(made["amount"]), made["requested_by"]) == ("4.5000", "portal: the shopper")
    assert "Up to $7.80 can go back" in visit.get(path).text
    assert "Refund asked for: $4.50" in visit.get(f"/trips/{trip}").text
    for wrong in (
        {"reason": "OTHER"}, {"line": ["1"]}, {"line": ["2"], "amount": "1", "reason": "OTHER"},
        {"amount": "99", "reason": "OTHER"}, {"amount": "NaN", "reason": "OTHER"}, {"line": ["77"], "reason": "OTHER"},
    ):  # fmt: skip
        assert visit.post(path, form_on=path, **{**wrong, "key": "another"}).status_code == 400, wrong
    assert len(shop.world.rows("select * from refund_request where shopping_trip_id = :t", t=trip)) == 1
    late = shop.world.trip(at=NOW - timedelta(days=31))
    assert "It is too late" in visit.get(f"/trips/{late}/refund").text


def test_no_code_for_who_may_not_enter_with_the_way_to_put_it_right(shop: Shop) -> None:
    shop.world.shopper("eve", "eve@shopper.test")
    visit = shop.visit("eve@shopper.test")
    assert 'data-renew="30"' in visit.get("/entry-code").text
    assert visit.get("/entry-code.svg").mimetype == "image/svg+xml"
    shop.world.run("update store set risk_strategy = 'RETAILER_MANAGED'")
    shop.world.trip("eve", paid=False)
    refused = visit.get("/entry-code").text
    assert "No entry code just now" in refused
    assert "Pay it, and you have a code again at once" in refused
    assert visit.get("/entry-code.svg").status_code == 403
    shop.world.run("update store set risk_strategy = 'AMAZON_MANAGED' where store_id = 'STORE-002'")
    shop.world.shopper("mal", "mal@shopper.test")
    shop.world.run("update shopper set flagged = true where shopper_id = 'mal'")
    assert "Please speak with us in the store" in shop.visit("mal@shopper.test").get("/entry-code").text


def test_the_payment_page_says_that_the_gate_is_open_only_where_it_is(shop: Shop) -> None:
    shop.world.shopper("ivy", "ivy@shopper.test")
    paid, owed = shop.world.trip("ivy"), shop.world.trip("ivy", paid=False, named="ivys-trip", transaction="IVY1")
    visit = shop.visit("ivy@shopper.test")
    assert "Nothing is to pay for this trip" in visit.get(f"/trips/{paid}/payment").text
    shop.world.run("update debt set paid = amount, state = 'PAID' where shopping_trip_id = :t", t=owed)
    assert "The gate is open for you again" in visit.get(f"/trips/{owed}/payment").text
    shop.world.run("update shopper set flagged = true where shopper_id = 'ivy'")
    assert "The gate is open" not in visit.get(f"/trips/{owed}/payment").text
    shop.world.run("update shopper set flagged = false where shopper_id = 'ivy'")
    other = shop.world.trip("ivy", paid=False)
    assert "There is more to pay" in visit.get(f"/trips/{owed}/payment").text
    with shop.world.engine.connect() as connection:
        assert gate_news(connection, owed) is GateNews.NOT_SAID
    shop.world.run("update debt set paid = amount, state = 'PAID' where shopping_trip_id = :t", t=other)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("12.30", "12.30"), ("12,30", "12.30"), ("$ 5", "5.0"), ("1,234", "1234.0"), ("1.234,50", "1234.50"),
     ("$1,234.50", "1234.50"), ("1 234,5", "1234.5")],
)  # fmt: skip
def test_an_amount_is_read_as_people_write_it(said: str, meant: str) -> None:
    assert str(typed_amount(said)) == meant


@pytest.mark.parametrize("said", ["", "x", "1e9", "NaN", "-1", "1.2.3", "1,23,4", "9" * 30, "١٢"])
def test_what_is_no_amount_is_none(shop: Shop, said: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        typed_amount(said)


def test_tries_from_one_network_of_ipv6_are_counted_together(shop: Shop) -> None:
    def caller(address: str) -> str:
        with shop.app.test_request_context("/", environ_base={"REMOTE_ADDR": address}):
            return visiting.caller()

    assert caller("2001:db8:1:2:3:4:5:6") == caller("2001:db8:1:2::9") != caller("2001:db8:1:3::9")
    assert caller("192.0.2.7") == "192.0.2.7"


def test_links_are_tried_ever_less_often_while_the_database_is_away_in_one_line_each(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away() -> None:
        raise OperationalError("select", {}, Exception("connection refused\nis the server running?"))

    links = shop.app.config["LINKS"]
    with monkeypatch.context() as patch:
        patch.setattr(links, "send", away)
        waits = [PATIENCE_SECONDS]
        for _ in range(7):
            waits.append(links.send_or_wait(waits[-1]))
    assert waits == [15, 30, 60, 120, 240, 480, 600, 600]
    said = capsys.readouterr()
    assert (said.out + said.err).count("connection refused") == 7
    assert "Traceback" not in said.out + said.err
    assert links.send_or_wait(600.0) == PATIENCE_SECONDS


def test_a_payment_page_that_can_not_be_had_takes_nothing_and_can_be_asked_for_again(shop: Shop) -> None:
    trip = shop.world.trip(paid=False)
    visit = shop.visit("ana@shopper.test")
    for _ in range(2):
        answer = visit.post(f"/trips/{trip}/pay", form_on=f"/trips/{trip}/payment")
        assert answer.headers["Location"] == f"/trips/{trip}/payment?done=no-page"
    rows = shop.world.rows("select state from payoff where shopping_trip_id = :t", t=trip)
    assert rows == [{"state": "NOT_SENT"}, {"state": "NOT_SENT"}]


@dataclass
class Pages:
    """A processor's pages; what happens while one is made is up to the test."""

    meanwhile: Callable[[], object] = lambda: None
    makes: Outcome = Outcome.SUCCEEDED
    ended: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    name: str = "SANDBOX"

    def make(self, reference: str, amount: Money, **said: str) -> Told:
        self.asked.append((reference, said))
        self.meanwhile()
        made = self.makes is Outcome.SUCCEEDED
        return Told(self.makes, Page(f"page-{reference}", f"https://pay/{reference}", PageState.OPEN) if made else None)

    def look(self, page_id: str) -> Told:
        return Told(Outcome.SUCCEEDED, Page(page_id, "", PageState.OPEN))

    def end(self, page_id: str) -> Told:
        self.ended.append(page_id)
        return Told(Outcome.SUCCEEDED, Page(page_id, "", PageState.ENDED))

    def close(self) -> None:
        """Nothing is open."""

    def pay(self, shop: Shop, trip: str, **other: str) -> str:
        said = {"return_url": "r", "subject": "s", "language": "en", "asked_by": "a test", **other}
        return paying.pay(engine(), self, shopping_trip_id=trip, now=NOW, **said)


def test_of_two_clicks_at_once_none_leaves_a_page_that_could_be_paid_beside_another(shop: Shop) -> None:
    def refused() -> None:
        with pytest.raises(paying.PageUnavailable):
            Pages(makes=Outcome.REFUSED).pay(shop, trip)

    trip = shop.world.trip(paid=False)
    slow = Pages(refused)
    with pytest.raises(paying.PageUnavailable, match="given up meanwhile"):
        slow.pay(shop, trip)
    (first,) = shop.world.rows("select reference, state from payoff where shopping_trip_id = :t", t=trip)
    assert (first["state"], slow.ended) == ("NOT_SENT", [f"page-{first['reference']}"])
    urls: list[str] = []
    with pytest.raises(paying.PageUnavailable):
        Pages(lambda: urls.append(Pages().pay(shop, trip)), Outcome.REFUSED).pay(shop, trip)
    assert Pages().pay(shop, trip) == urls[0]
    open_ones = "select reference from payoff where shopping_trip_id = :t and state = 'INTENDED'"
    assert [f"https://pay/{row['reference']}" for row in shop.world.rows(open_ones, t=trip)] == urls


def test_a_page_that_is_asked_for_again_in_another_language_is_asked_for_in_the_same_words(shop: Shop) -> None:
    trip = shop.world.trip(paid=False)
    pages = Pages(makes=Outcome.UNKNOWN)
    with pytest.raises(paying.PageUnavailable):
        pages.pay(shop, trip)
    pages.makes = Outcome.SUCCEEDED
    pages.pay(shop, trip, language="es", subject="viaje", return_url="elsewhere")
    first, again = pages.asked
    assert first == again
    assert first[1] == {"return_url": "r", "subject": "s", "language": "en"}


def test_a_page_speaks_spanish_where_it_is_wanted_and_no_message_is_missing(shop: Shop) -> None:
    page = shop.visit().get("/sign-in", **{"Accept-Language": "es-MX,es;q=0.9"}).text
    assert '<html lang="es">' in page
    assert "Iniciar sesión" in page
    assert '<html lang="en">' in shop.visit().get("/sign-in?lang=en", **{"Accept-Language": "es"}).text


def test_what_is_known_of_a_shopper_is_told_whole_and_to_them_alone(shop: Shop) -> None:
    values = {"at": NOW, "said": b"{}"}
    shop.world.run(
        "insert into gate_decision (auth_event_id, request_id, store_id, key_hash, auth_event_at, status, reason,"
        " shopper_id, response_body, raw_body, received_at) values"
        " ('bo-1', 'r', 'STORE-001', 'secret', :at, 200, 'ADMITTED', 'bo', :said, '{}', :at),"
        " ('ana-1', 'r', 'STORE-002', 'h', :at, 401, 'X', 'ana', :said, '{}', :at)",
        **values,
    )
    shop.world.run(
        "insert into identity_answer (operation, idempotency_key, store_id, key_hash, status, reason, shopper_id,"
        " response_body, raw_body, received_at) values ('SCAN', 'bo-2', 'STORE-001', 'secret', 200, 'x', 'bo', :said,"
        " '{}', :at)", **values,
    )  # fmt: skip
    shop.world.run(
        "insert into payment_instrument (shopper_id, processor, customer_token, method_token, brand, last_four,"
        " created_at) values ('bo', 'SANDBOX', 'secret', 'secret', 'VISA', '4242', :at)", at=NOW,
    )  # fmt: skip
    shop.world.run(
        "insert into preauthorization (auth_event_id, store_id, shopper_id, processor, currency, amount, intended_at)"
        " values ('bo-1', 'STORE-001', 'bo', 'SANDBOX', 'USD', 50, :at)", at=NOW,
    )  # fmt: skip
    with shop.world.engine.begin() as connection:
        add_account(connection, "club-of-bo", "a card of bo", "Club", "bo", seal=shop.world.seal)
    said = shop.visit("bo@shopper.test").get("/account/data.json").text
    told = json.loads(said)
    assert [(one["store_id"], one["admitted"]) for one in told["gate_decisions"]] == [("STORE-001", True)]
    assert [one["operation"] for one in told["scans"]] == ["SCAN"]
    assert [(one["brand"], one["last_four"]) for one in told["payment_instruments"]] == [("VISA", "4242")]
    assert [one["amount"] for one in told["holds"]] == ["50.0000"]
    assert "club-of-bo" in [one["loyalty_id"] for one in told["loyalty"]]
    assert told["sessions"][-1]["ended_at"] is None
    assert told["sign_ins"][-1]["state"] == "USED"
    assert "secret" not in said, "no token, no hash of a key"
    assert [one["address"] for one in told["addresses"]] == ["bo@shopper.test"]
    assert {trip["shopping_trip_id"] for trip in told["trips"]} == {
        row["shopping_trip_id"]
        for row in shop.world.rows("select shopping_trip_id from purchase where shopper_id = 'bo'")
    }


@pytest.mark.parametrize("path", ["/trips/x", "/trips/x/refund", "/no-such-page"])
def test_what_is_not_there_is_said_in_words(shop: Shop, path: str) -> None:
    answer = shop.visit("ana@shopper.test").get(path, Accept="text/html")
    assert (answer.status_code, "There is nothing here" in answer.text) == (404, True)


def test_the_words_are_all_translated(extracted: Callable[[], set[str]]) -> None:
    catalog = translations("es")
    missing = {message for message in extracted() if catalog.ugettext(message) == message and message not in SAME}
    assert sorted(missing) == []


SAME = {"Total", "Terminal", "chip"}
"""Words that are the same in Spanish."""


@pytest.fixture
def extracted() -> Callable[[], set[str]]:
    from backroom.languages.messages import messages

    return messages
