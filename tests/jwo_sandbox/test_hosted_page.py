"""The card processor's hosted page: made once, paid once, declined, ended, and silent for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from jwo_sandbox import hosted_page
from jwo_sandbox.hosted_page import HostedPages
from jwo_sandbox.processor_books import ProcessorBooks

PAGES = "/processor/v1/pages"


@dataclass
class Desk:
    client: TestClient
    books: ProcessorBooks
    told: list[dict[str, Any]] = field(default_factory=list)

    def make(self, reference: str = "ref-1", **changes: Any) -> dict[str, Any]:
        asked = {"reference": reference, "amount": "12.30", "currency": "USD", "subject": "A <b>trip</b>",
                 "return_url": "http://portal.test/trips/t/payment", **changes}  # fmt: skip
        answer = self.client.post(PAGES, json=asked, headers={"Authorization": "key"})
        return {"status": answer.status_code, **answer.json()}

    def ask(self, page: dict[str, Any], then: str = "") -> Any:
        path = f"{PAGES}/{page['id']}{then}"
        return self.client.request("POST" if then else "GET", path, headers={"Authorization": "key"})

    def pay(self, page: dict[str, Any], **said: str) -> Any:
        return self.client.post(page["url"], data=said, follow_redirects=False)


@pytest.fixture
def desk() -> Iterator[Desk]:
    told: list[dict[str, Any]] = []

    def allowed(request: Request) -> bool:
        return request.headers.get("Authorization") == "key"

    books = ProcessorBooks(None)
    pages = HostedPages(None, "http://testserver", books, allowed, told.append)
    with TestClient(Starlette(routes=pages.routes())) as client:
        yield Desk(client, books, told)
    books.close()


def test_only_who_has_the_key_makes_looks_at_or_ends_a_page_and_anybody_may_see_it(desk: Desk) -> None:
    page = desk.make()
    calls = (("POST", PAGES), ("GET", f"{PAGES}/{page['id']}"), ("POST", f"{PAGES}/{page['id']}/end"))
    assert [desk.client.request(method, path).status_code for method, path in calls] == [401, 401, 401]
    shown = desk.client.get(page["url"])
    assert (shown.status_code, "Pay 12.30 USD" in shown.text) == (200, True)
    assert "A &lt;b&gt;trip&lt;/b&gt;" in shown.text


def test_a_reference_has_one_page_that_is_paid_once(desk: Desk) -> None:
    page = desk.make()
    assert desk.make() == page
    paid = desk.pay(page, card="pays")
    assert (paid.status_code, paid.headers["Location"]) == (303, "http://portal.test/trips/t/payment")
    assert desk.pay(page, card="pays").status_code == desk.client.get(page["url"]).status_code == 410
    (payment,) = desk.books.told()["payments"]
    assert (payment["state"], str(payment["captured"]), payment["reference"]) == ("CAPTURED", "12.30", "ref-1")
    told = desk.ask(page, "/end").json()
    assert (told["state"], told["payment"]) == ("PAID", payment["id"])
    assert [one["id"] for one in desk.told] == [payment["id"]]


def test_a_declined_card_a_way_back_and_an_unknown_card_take_nothing(desk: Desk) -> None:
    page = desk.make()
    declined = desk.pay(page, card="declines")
    assert (declined.status_code, "Your bank has declined this card" in declined.text) == (200, True)
    assert [desk.pay(page, **said).status_code for said in ({"card": "pays", "back": "yes"}, {"card": "?"})] == [
        303
    ] * 2
    assert desk.ask(page).json()["state"] == "OPEN"
    assert desk.books.told()["payments"] == desk.told == []


def test_an_ended_or_old_page_takes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, old = desk.make("ended"), desk.make("old")
    assert desk.ask(ended, "/end").json()["state"] == "ENDED"
    monkeypatch.setattr(hosted_page, "LIFE_SECONDS", -1)
    assert desk.ask(old).json()["state"] == "ENDED"
    assert [desk.pay(page, card="pays").status_code for page in (ended, old)] == [410, 410]
    assert desk.books.told()["payments"] == []


def test_a_silent_bank_has_taken_the_money_and_says_so_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_page, "SILENCE_SECONDS", 0.3)
    page = desk.make()
    assert desk.pay(page, card="silent").status_code == 303
    assert (desk.ask(page).status_code, desk.ask(page, "/end").status_code, desk.told) == (503, 503, [])
    assert len(desk.books.told()["payments"]) == 1
    while not desk.told:
        desk.client.get(page["url"])
    assert desk.ask(page).json()["state"] == "PAID"


@pytest.mark.parametrize("wrong", [{"amount": "x"}, {"amount": None}, {"amount": "1.234"}, {"reference": ""}])
def test_what_is_no_page_is_refused_in_words(desk: Desk, wrong: dict[str, Any]) -> None:
    answer = desk.make(**wrong)
    assert answer["status"] == 400
    assert answer["message"].startswith(("amount: ", "needed: "))
    assert desk.client.get("/pay/page_0").status_code == 410
