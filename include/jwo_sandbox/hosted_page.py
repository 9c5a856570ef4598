"""The card processor's hosted payment page: what a shopper is sent to, to pay with any card.

No card is typed: the shopper chooses what their bank will say. The page works without JavaScript.
"""

from __future__ import annotations

import asyncio
import html
import sqlite3
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from jwo_sandbox.json_http import Endpoint, body_of, json_answer
from jwo_sandbox.minor_amounts import to_decimal, to_minor
from jwo_sandbox.processor_books import ProcessorBooks, Refused, payment_body

OPEN, PAID, ENDED = "OPEN", "PAID", "ENDED"
LIFE_SECONDS: Final = 1800
CARDS: Final = {
    "pays": "Card of a bank that pays",
    "declines": "Card of a bank that declines",
    "silent": "Card of a bank that pays, but we never hear of it for a while",
}
SILENCE_SECONDS: Final = 6
_SCHEMA: Final = """
create table if not exists page (
  id text primary key, reference text not null unique, amount integer not null, currency text not null,
  subject text not null, return_url text not null, ended integer not null default 0, made_at real not null,
  silent_until real not null default 0
)
"""


class HostedPages:
    """The pages, in a SQLite file of their own; the money is in the processor's books."""

    def __init__(
        self,
        folder: Path | None,
        public_url: str,
        books: ProcessorBooks,
        allowed: Callable[[Request], bool],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        """`allowed`: whether a call brings the store's key; `tell` sends the webhook of a payment."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if folder is None else str(folder / "pages.sqlite")
        self._connection = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute(_SCHEMA)
        self._url, self._books, self._allowed, self._tell = public_url, books, allowed, tell

    def routes(self) -> list[Route]:
        """What the store calls, and what the shopper sees."""
        base = "/processor/v1/pages"
        return [
            Route(base, self._checked(self._make), methods=["POST"]),
            Route(f"{base}/{{id}}", self._checked(self._look), methods=["GET"]),
            Route(f"{base}/{{id}}/end", self._checked(self._end), methods=["POST"]),
            Route("/pay/{id}", self._show, methods=["GET"]),
            Route("/pay/{id}", self._paid, methods=["POST"]),
        ]

    def _checked(self, serve: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if not self._allowed(request):
                return json_answer(401, {"message": "the key is not known"})
            return await serve(request)

        return endpoint

    async def _make(self, request: Request) -> Response:
        asked = await body_of(request)
        names = ("reference", "currency", "subject", "return_url")
        if not all(isinstance(asked.get(name), str) and asked[name] for name in names):
            return json_answer(400, {"message": f"needed: {', '.join(names)}, amount"})
        try:
            amount = to_minor(Decimal(asked["amount"]), asked["currency"])
        except (KeyError, ValueError, ArithmeticError, TypeError):
            return json_answer(400, {"message": "amount: not one of this currency"})
        self._connection.execute(
            "insert into page (id, reference, amount, currency, subject, return_url, made_at)"
            " values (?, ?, ?, ?, ?, ?, ?) on conflict (reference) do nothing",
            (
                f"page_{uuid.uuid4().hex}", asked["reference"], amount, asked["currency"], asked["subject"],
                asked["return_url"], time.time(),
            ),
        )  # fmt: skip
        found = self._connection.execute("select * from page where reference = ?", (asked["reference"],)).fetchone()
        return json_answer(200, self._told(found))

    async def _look(self, request: Request) -> Response:
        page = self._page(request)
        if page is None:
            return json_answer(404, {"message": "no such page"})
        if page["silent_until"] > time.time():
            return json_answer(503, {"message": "the bank has not answered yet"})
        return json_answer(200, self._told(page))

    async def _end(self, request: Request) -> Response:
        page = self._page(request)
        if page is None:
            return json_answer(404, {"message": "no such page"})
        if page["silent_until"] > time.time():
            return json_answer(503, {"message": "the bank has not answered yet"})
        if self._state(page) == OPEN:
            self._connection.execute("update page set ended = 1 where id = ?", (page["id"],))
        return json_answer(200, self._told(self._page(request)))

    async def _show(self, request: Request) -> Response:
        page = self._page(request)
        if page is None or self._state(page) != OPEN:
            return HTMLResponse(_document("<h1>This page has ended</h1><p>Go back to the store's site.</p>"), 410)
        return HTMLResponse(_form(page))

    async def _paid(self, request: Request) -> Response:
        page = self._page(request)
        if page is None or self._state(page) != OPEN:
            return HTMLResponse(_document("<h1>This page has ended</h1><p>Nothing was taken now.</p>"), 410)
        said = parse_qs((await request.body()).decode("latin-1"))
        card = said.get("card", [""])[0]
        if "back" in said or card not in CARDS:
            return RedirectResponse(page["return_url"], 303)
        if card == "declines":
            return HTMLResponse(_form(page, "Your bank has declined this card. Choose another one."))
        body = payment_body(
            self._books.pay(
                {
                    "reference": page["reference"],
                    "subject": page["subject"],
                    "customer": "guest",
                    "method": "pm_page",
                    "amount": to_decimal(page["amount"], page["currency"]),
                    "currency": page["currency"],
                    "capture": True,
                },
                declined=False,
            )
        )
        if card == "silent":
            until = time.time() + SILENCE_SECONDS
            self._connection.execute("update page set silent_until = ? where id = ?", (until, page["id"]))
            asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._tell, body)
        else:
            self._tell(body)
        return RedirectResponse(page["return_url"], 303)

    def _page(self, request: Request) -> sqlite3.Row | None:
        query = "select * from page where id = ?"
        found: sqlite3.Row | None = self._connection.execute(query, (request.path_params["id"],)).fetchone()
        return found

    def _state(self, page: sqlite3.Row) -> str:
        if self._payment(page) is not None:
            return PAID
        return ENDED if page["ended"] or time.time() > page["made_at"] + LIFE_SECONDS else OPEN

    def _payment(self, page: sqlite3.Row) -> str | None:
        try:
            return str(self._books.payment_under(page["reference"])["id"])
        except Refused:
            return None

    def _told(self, page: sqlite3.Row | None) -> dict[str, Any]:
        assert page is not None
        told = {"id": page["id"], "url": f"{self._url}/pay/{page['id']}", "state": self._state(page)}
        payment = self._payment(page)
        return told | ({"payment": payment} if payment is not None else {})


def _form(page: sqlite3.Row, problem: str = "") -> str:
    amount = f"{to_decimal(page['amount'], page['currency'])} {html.escape(page['currency'])}"
    cards = "".join(
        f'<p><input type="radio" name="card" id="{name}" value="{name}"{" checked" if name == "pays" else ""}>'
        f'<label for="{name}">{label}</label></p>'
        for name, label in CARDS.items()
    )
    said = f'<p role="alert"><strong>{problem}</strong></p>' if problem else ""
    return _document(
        f"<h1>Pay {amount}</h1><p>{html.escape(page['subject'])}</p>{said}"
        f'<form method="post"><fieldset><legend>Which card?</legend>{cards}</fieldset>'
        f"<button>Pay {amount}</button> "
        '<button name="back" value="yes" class="plain">Back without paying</button></form>'
    )


def _document(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox payments</title>'
        '<link rel="icon" href="data:,">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        "body{font:17px/1.5 system-ui,sans-serif;margin:0 auto;max-width:30rem;padding:1.5rem;color:#1b1b1f}"
        "fieldset{border:1px solid #888;border-radius:.5rem;margin:0 0 1rem}label{padding:.5rem}"
        "button{font:inherit;padding:.7rem 1rem;border-radius:.5rem;border:1px solid #123c69;background:#123c69;"
        "color:#fff}button.plain{background:#fff;color:#123c69}</style></head><body><main>"
        f"{body}<p><small>This is the sandbox: no money moves.</small></p></main></body></html>"
    )
