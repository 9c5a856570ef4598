"""The control API's part for a world that is watched from outside (see `outside`)."""

from __future__ import annotations

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jwo_sandbox.json_http import Endpoint, body_of, json_answer, wrong
from jwo_sandbox.outside import HeldCalls, changes_of, inquire, inquire_refund, money_of, pay_at_the_till
from jwo_sandbox.sandbox import Sandbox


def outside_routes(sandbox: Sandbox, held: HeldCalls) -> list[Route]:
    """GET changes?after&events_after, money, held; POST inquiries {shopping_trip_id or …}, till {…, amount}."""
    return [
        Route("/sandbox/changes", _changes(sandbox)),
        Route("/sandbox/money", _money(sandbox)),
        Route("/sandbox/held", _held(held)),
        Route("/sandbox/inquiries", _inquiries(sandbox), methods=["POST"]),
        Route("/sandbox/till", _till(sandbox), methods=["POST"]),
    ]


def _changes(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = request.query_params
        try:
            after, events_after = int(asked.get("after", "0")), int(asked.get("events_after", "0"))
        except ValueError as error:
            return wrong(400, f"after: {error}")
        return json_answer(200, changes_of(sandbox, after, events_after))

    return endpoint


def _money(sandbox: Sandbox) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, money_of(sandbox))

    return endpoint


def _held(held: HeldCalls) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, {"held": held.now()})

    return endpoint


def _inquiries(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        try:
            if "refund_request_id" in asked:
                return json_answer(200, inquire_refund(sandbox, asked["refund_request_id"]))
            return json_answer(200, inquire(sandbox, asked["shopping_trip_id"]))
        except KeyError as error:
            return wrong(400, f"shopping_trip_id: {error} is no trip")

    return endpoint


def _till(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        try:
            return json_answer(200, pay_at_the_till(sandbox, asked["shopping_trip_id"], Decimal(str(asked["amount"]))))
        except (KeyError, ValueError, ArithmeticError) as error:
            return wrong(400, f"shopping_trip_id, amount: {error}")

    return endpoint
