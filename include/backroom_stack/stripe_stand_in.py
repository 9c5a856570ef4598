"""The Stripe stand-in (localstripe) as a part of the stack: on 127.0.0.1 only, and in memory.

As it comes it listens on every address and writes all that it holds to a file that everyone on the machine shares.
"""

from __future__ import annotations

import argparse
import logging
import os

import httpx
from aiohttp import web

WEBHOOK_EVENTS = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.amount_capturable_updated",
)
STAND_IN_KEY = "sk_test_stand_in"
"""Any key that begins with sk_ is taken; this one says what it is."""
HEALTH = "/_config/healthz"
"""Answered without a key."""


def main() -> None:
    """`python -m backroom_stack.stripe_stand_in --port PORT`: serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    # localstripe reads whatever its own file holds, and writes it, unless these do nothing
    from localstripe import resources

    resources.Store.dump_to_disk = lambda _: None
    resources.Store.try_load_from_disk = lambda _: None
    from localstripe.server import app

    logging.basicConfig(level=logging.INFO)
    app.router.add_get(HEALTH, _alive)
    web.run_app(app, host="127.0.0.1", port=asked.port, print=None)


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive")


def tell_webhooks_to(stripe_port: int, portal_port: int, secret: str) -> None:
    """The stand-in tells the portal of payments, signed with that secret."""
    httpx.post(
        f"http://127.0.0.1:{stripe_port}/_config/webhooks/backroom",
        json={
            "url": f"http://127.0.0.1:{portal_port}/processor/v1/webhooks/stripe",
            "secret": secret,
            "events": list(WEBHOOK_EVENTS),
        },
        timeout=10,
    ).raise_for_status()


if __name__ == "__main__":
    os.environ.setdefault("TERM", "dumb")
    main()
