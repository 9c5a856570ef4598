"""What is not paid, and its payment on the processor's page: begun once, looked at, given up."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.checkout import paying
from backroom.checkout.gate_news import GateNews, gate_news
from backroom.checkout.pages import PageState, page_of_store, pages_of
from backroom.db.engine import engine, transaction
from backroom.debts.account import NoSuchDebt
from backroom.debts.payoff import PayoffRefused
from backroom.debts.payoff_record import PayoffState
from backroom.errors import BackroomError
from backroom.receipts.receipt import Receipt
from backroom.receipts.trips import owed
from backroom.stores.registry import get_store
from connector_app.portal.pages import visit
from connector_app.portal.pages.presenting import language, page, words
from connector_app.portal.pages.trips import own_receipt

blueprint = Blueprint("pages_debts", __name__)


@blueprint.get("/to-pay")
def listed() -> tuple[str, int]:
    """Each trip that is not paid."""
    with transaction() as connection:
        found = owed(connection, visit.visitor())
    return page("to_pay.html", trips=found, owing=len(found))


@blueprint.post("/trips/<trip>/pay")
def pay(trip: str) -> AnyResponse | tuple[str, int]:
    """Leads to the page where all that is due on the trip can be paid. A second click leads to the same page."""
    receipt = own_receipt(trip)
    name = _processor(receipt)
    if name is None:
        abort(404)
    config = current_app.config["BACKROOM"]
    g.payment_origin = _origin(name)
    subject = words("Shopping trip of %(day)s, %(store)s") % {
        "day": f"{receipt.ended_at:%Y-%m-%d}",
        "store": receipt.store,
    }
    try:
        with pages_of(name, config) as pages:
            url = paying.pay(
                engine(),
                pages,
                shopping_trip_id=trip,
                asked_by=visit.visitor().name,
                return_url=f"{config.portal_public_url.rstrip('/')}{url_for('pages_debts.payment', trip=trip)}",
                subject=subject,
                language=language(),
                now=visit.now(),
            )
    except (PayoffRefused, NoSuchDebt) as error:
        g.outcome = f"PAYOFF_REFUSED {type(error).__name__}"
        return redirect(url_for("pages_debts.payment", trip=trip, done="refused"), 303)
    except paying.PageUnavailable:
        g.outcome = "NO_PAYMENT_PAGE"
        return redirect(url_for("pages_debts.payment", trip=trip, done="no-page"), 303)
    return redirect(url, 303)


@blueprint.get("/trips/<trip>/payment")
def payment(trip: str) -> tuple[str, int]:
    """How the trip's payment stands: where it is open, the processor is asked."""
    return _shown(trip, end=False)


@blueprint.post("/trips/<trip>/payment")
def settle_payment(trip: str) -> AnyResponse:
    """Looks again, or gives a payment up that was begun and not made."""
    _shown(trip, end=request.form.get("what") == "give-up")
    return redirect(url_for("pages_debts.payment", trip=trip), 303)


def _shown(trip: str, *, end: bool) -> tuple[str, int]:
    receipt = own_receipt(trip)
    name = _processor(receipt)
    standing = None
    if name is not None:
        with suppress(BackroomError), pages_of(name, current_app.config["BACKROOM"]) as pages:
            standing = paying.look(engine(), pages, trip, now=visit.now(), end=end)
        receipt = own_receipt(trip)
        g.payment_origin = _origin(name)
    word = _word(receipt, standing)
    news = None
    if word == "PAID":
        with transaction() as connection:
            others = owed(connection, visit.visitor()) if visit.visitor().scope == "SHOPPER" else ()
            news = GateNews.OWES_MORE if others else gate_news(connection, trip)
    return page(
        "payment.html",
        receipt=receipt,
        word=word,
        news=news.value if news else "",
        can_pay=name is not None,
        done=request.args.get("done", ""),
    )


def _word(receipt: Receipt, standing: paying.Standing | None) -> str:
    if receipt.due <= 0:
        return "PAID" if receipt.cause else "NOTHING"
    if standing is None or standing.state not in (PayoffState.INTENDED, PayoffState.UNKNOWN):
        return "DECLINED" if standing and standing.state is PayoffState.DECLINED else "OWED"
    return "OPEN" if standing.page is PageState.OPEN or standing.state is PayoffState.INTENDED else "UNKNOWN"


def _processor(receipt: Receipt) -> str | None:
    with transaction() as connection:
        store = get_store(connection, receipt.store_id)
    if store is None:
        return None
    return page_of_store(store.payment_processor, current_app.config["BACKROOM"])


def _origin(name: str) -> str:
    if name == "STRIPE":
        return "https://checkout.stripe.com"
    parts = urlsplit(current_app.config["BACKROOM"].sandbox_processor_url)
    return f"{parts.scheme}://{parts.netloc}"
