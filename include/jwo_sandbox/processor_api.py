"""The sandbox's own card processor over HTTP, for stores that do not charge through Amazon: with faults and webhooks.

`/processor/v1/…` is what a store's back office calls; `/sandbox/processor/…` is for whoever watches. A reference is
served once, whatever is repeated. Faults are a function of (seed, subject, operation, attempt), as Amazon's are.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from jwo_sandbox import exact_json, faults
from jwo_sandbox.configuration import Configuration
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.hosted_page import HostedPages
from jwo_sandbox.json_http import Endpoint, body_of, json_answer
from jwo_sandbox.processor_books import ProcessorBooks, Refused, payment_body

HANGS_BEFORE: Final = "HANGS_BEFORE"
SERVER_ERROR_AFTER: Final = "SERVER_ERROR_AFTER"
OPERATIONS: Final = ("authorize", "pay", "adjust", "capture", "void", "refund", "lookup")
KINDS: Final = faults.TRANSPORT | {HANGS_BEFORE, SERVER_ERROR_AFTER, faults.DECLINED, faults.DECLINED_ONCE}
DECLINED_METHOD: Final = "pm_declined"
"""A payment method whose token begins so is always declined."""
_BEFORE: Final = {
    faults.THROTTLED: 429, faults.SERVER_ERROR: 500, faults.UNAVAILABLE: 503, HANGS_BEFORE: 0, faults.DROPPED_BEFORE: 0,
}  # fmt: skip


def processor_routes(configuration: Configuration, payouts: Callable[[ProcessorBooks], str]) -> list[Route]:
    """The processor over one configuration's state folder. `payouts` writes down what it pays out."""
    desk = Desk(configuration)
    base, watched = "/processor/v1/payments", "/sandbox/processor"
    return [
        Route(base, desk.pay(), methods=["POST"]),
        Route(base, desk.look_up(), methods=["GET"]),
        Route(f"{base}/{{id}}", desk.look_at(), methods=["GET"]),
        Route(f"{base}/{{id}}/adjust", desk.change("adjust"), methods=["POST"]),
        Route(f"{base}/{{id}}/capture", desk.change("capture"), methods=["POST"]),
        Route(f"{base}/{{id}}/void", desk.change("void"), methods=["POST"]),
        Route(f"{base}/{{id}}/refunds", desk.refund(), methods=["POST"]),
        Route(f"{base}/{{id}}/refunds", desk.look_up_refund(), methods=["GET"]),
        Route(f"{watched}/books", desk.books_told(), methods=["GET"]),
        Route(f"{watched}/payouts", desk.paid_out(payouts), methods=["GET"]),
        Route(f"{watched}/faults", desk.set_faults(), methods=["POST"]),
        Route(f"{watched}/reset", desk.reset(), methods=["POST"]),
        *desk.hosted_pages(configuration).routes(),
    ]


class Desk:
    """Takes calls: checks the key, lets the fault befall, keeps the books, tells by webhook."""

    def __init__(self, configuration: Configuration) -> None:
        self._hang_seconds = configuration.hang_seconds
        self._key = os.environ.get("BACKROOM_SANDBOX_PROCESSOR_KEY")
        self._books = ProcessorBooks(configuration.state)
        self._plan = FaultPlan()
        self._webhooks = Webhooks(
            os.environ.get("JWO_SANDBOX_WEBHOOK_URL"), os.environ.get("BACKROOM_SANDBOX_WEBHOOK_SECRET")
        )

    def hosted_pages(self, configuration: Configuration) -> HostedPages:
        """The pages by which shoppers pay; they take money into the same books."""
        return HostedPages(
            configuration.state, configuration.public_url, self._books, self._knows_key, self._webhooks.tell
        )

    def pay(self) -> Endpoint:
        """POST: hold an amount, or take it at once."""

        async def endpoint(request: Request) -> Response:
            asked = await body_of(request)
            names = ("reference", "customer", "method", "currency")
            if not all(isinstance(asked.get(name), str) and asked[name] for name in names):
                return _no(400, f"needed: {', '.join(names)}, amount")
            operation = "pay" if asked.get("capture") else "authorize"
            subject, method = str(asked.get("subject", "")), asked["method"]

            def effect(declined: bool) -> dict[str, Any]:
                refused = declined or method.startswith(DECLINED_METHOD)
                return payment_body(self._books.pay(asked, declined=refused))

            return await self._serve(request, operation, subject, asked["reference"], effect, method)

        return endpoint

    def change(self, operation: str) -> Endpoint:
        """POST: adjust, capture or void a payment."""

        async def endpoint(request: Request) -> Response:
            asked, number = await body_of(request), request.path_params["id"]
            if not isinstance(asked.get("reference"), str):
                return _no(400, "needed: reference")

            def effect(declined: bool) -> dict[str, Any]:
                if operation == "void":
                    return payment_body(self._books.void(number, asked))
                made = self._books.adjust if operation == "adjust" else self._books.capture
                return payment_body(made(number, asked, declined=declined))

            try:
                payment = self._books.payment(number)
            except Refused as error:
                return _no(error.status, str(error))
            method = payment["method"] if operation == "adjust" else ""
            return await self._serve(request, operation, payment["subject"], asked["reference"], effect, method)

        return endpoint

    def refund(self) -> Endpoint:
        """POST: give back."""

        async def endpoint(request: Request) -> Response:
            asked, number = await body_of(request), request.path_params["id"]
            if not isinstance(asked.get("reference"), str):
                return _no(400, "needed: reference")
            return await self._serve(
                request, "refund", asked["reference"], asked["reference"], lambda _: self._books.refund(number, asked)
            )

        return endpoint

    def look_up(self) -> Endpoint:
        """GET ?reference=: the payment under it."""

        async def endpoint(request: Request) -> Response:
            reference = request.query_params.get("reference", "")
            return await self._serve(
                request, "lookup", reference, reference, lambda _: payment_body(self._books.payment_under(reference))
            )

        return endpoint

    def look_at(self) -> Endpoint:
        """GET: one payment."""

        async def endpoint(request: Request) -> Response:
            number = request.path_params["id"]
            return await self._serve(
                request, "lookup", number, number, lambda _: payment_body(self._books.payment(number))
            )

        return endpoint

    def look_up_refund(self) -> Endpoint:
        """GET ?reference=: the payment's refund under it."""

        async def endpoint(request: Request) -> Response:
            number, reference = request.path_params["id"], request.query_params.get("reference", "")

            def effect(_: bool) -> dict[str, Any]:
                found = self._books.refund_under(number, reference)
                if found is None:
                    raise Refused(404, "no refund under this reference")
                return found

            return await self._serve(request, "lookup", reference, reference, effect)

        return endpoint

    def books_told(self) -> Endpoint:
        """GET: everything."""

        async def endpoint(_: Request) -> Response:
            return json_answer(200, self._books.told())

        return endpoint

    def paid_out(self, payouts: Callable[[ProcessorBooks], str]) -> Endpoint:
        """GET: all payouts so far, as the CSV that the retailer gets."""

        async def endpoint(_: Request) -> Response:
            return Response(payouts(self._books), media_type="text/csv")

        return endpoint

    def set_faults(self) -> Endpoint:
        """POST {"seed", "rates": {operation: {kind: rate}}, "subjects": {subject: {operation: [kind, …]}}}."""

        async def endpoint(request: Request) -> Response:
            asked = await body_of(request)
            rates, subjects = asked.get("rates", {}), asked.get("subjects", {})
            try:
                named = [*rates.items(), *(item for one in subjects.values() for item in one.items())]
                strange = [name for name, kinds in named if name not in OPERATIONS or set(kinds) - KINDS - {""}]
                if strange:
                    return _no(400, f"faults: {', '.join(strange)}; operations: {OPERATIONS}, kinds: {sorted(KINDS)}")
                numbers = {name: {kind: float(rate) for kind, rate in kinds.items()} for name, kinds in rates.items()}
                self._plan = FaultPlan(seed=int(asked.get("seed", 0)), rates=numbers, trips=subjects)
            except (AttributeError, TypeError, ValueError) as error:
                return _no(400, f"faults: {error}")
            return json_answer(200, {"set": True})

        return endpoint

    def reset(self) -> Endpoint:
        """POST: forget everything."""

        async def endpoint(_: Request) -> Response:
            self._books.clear()
            self._plan = FaultPlan()
            return json_answer(200, {"cleared": True})

        return endpoint

    async def _serve(
        self,
        request: Request,
        operation: str,
        subject: str,
        reference: str,
        effect: Callable[[bool], dict[str, Any]],
        method: str = "",
    ) -> Response:
        if not self._knows_key(request):
            return _no(401, "the key is not known")
        number, attempt = self._books.begin_call(operation, subject, reference, method)
        fault = self._plan.fault(subject, operation, attempt)
        if fault in _BEFORE:
            self._books.end_call(number, fault, _BEFORE[fault])
            if fault == HANGS_BEFORE:
                await asyncio.sleep(self._hang_seconds)
            return _no(_BEFORE[fault], fault) if _BEFORE[fault] else _Cut()
        try:
            body = effect(fault in (faults.DECLINED, faults.DECLINED_ONCE))
            answer = json_answer(200, body)
        except Refused as error:
            body, answer = {}, _no(error.status, str(error))
        self._books.end_call(number, fault, answer.status_code)
        if operation != "lookup" and "held" in body:
            self._webhooks.tell(body)
        if fault == faults.HANGS_AFTER:
            await asyncio.sleep(self._hang_seconds)
        if fault in (faults.HANGS_AFTER, faults.DROPPED_AFTER):
            return _Cut()
        return _no(500, fault) if fault == SERVER_ERROR_AFTER else answer

    def _knows_key(self, request: Request) -> bool:
        """Whether a call brings the store's key, where one is set."""
        brought = request.headers.get("Authorization", "").encode()
        return self._key is None or hmac.compare_digest(brought, f"Bearer {self._key}".encode())


class Webhooks:
    """Tells what has become of a payment, signed as Stripe signs. Each is sent once; nothing is repeated."""

    def __init__(self, url: str | None, secret: str | None) -> None:
        self._url, self._secret = url, secret
        self._sent = 0
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, payment: dict[str, Any]) -> None:
        """Sends it soon; returns at once."""
        if self._url is None or self._secret is None:
            return
        self._sent += 1
        event = {
            "id": f"evt_{payment['id']}_{payment['state']}_{self._sent}",
            "type": f"payment.{payment['state'].lower()}",
            "data": {"object": payment},
        }
        task = asyncio.get_running_loop().create_task(self._send(exact_json.dumps(event), self._url, self._secret))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, body: str, url: str, secret: str) -> None:
        at = int(time.time())
        signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={signature}"}
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                await client.post(url, content=body.encode(), headers=headers)
        except httpx.HTTPError:
            return  # a webhook that is lost is lost: whoever waits for it has to ask


class _Cut(Response):
    """Begins an answer and ends the connection before it is whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def _no(status: int, message: str) -> Response:
    return json_answer(status, {"message": message})
