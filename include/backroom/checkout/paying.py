"""A shopper pays a debt on a hosted page: the payoff's intent, one page for it, what became of it. Never twice.

A payoff has one page, made under the payoff's own reference: asking again leads to the same page. While it may still be
paid, or nobody knows whether it was, no other payment of the trip can begin (debts.payoff sees to that). What the page
says is settled by whoever hears it first: the shopper's return, the processor's webhook, or the pipeline's look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, RowMapping, insert, select, text, update

from backroom.amazon.outcomes import Outcome
from backroom.checkout.pages import HostedPages, Page, PageState, Told
from backroom.checkout.tables import payoff_checkout
from backroom.debts import account, payoff
from backroom.debts.payoff import PayoffRefused
from backroom.debts.payoff_record import OPEN, PaymentOutcome, Payoff, PayoffState, open_payoff
from backroom.errors import BackroomError


class PageUnavailable(BackroomError):
    """The processor made no page now; nothing was taken. Trying again is safe."""


@dataclass(frozen=True)
class Standing:
    """Where the latest payment of a trip by page stands. `url` is there while the page may be paid."""

    state: PayoffState
    page: PageState | None
    url: str | None = None


def pay(
    engine: Engine,
    pages: HostedPages,
    *,
    shopping_trip_id: str,
    asked_by: str,
    return_url: str,
    subject: str,
    language: str,
    now: datetime,
) -> str:
    """The address of the page on which all that is due on the trip can be paid: of the one that is open, or a new one.

    Raises NoSuchDebt, PayoffRefused (it can't be paid now), PageUnavailable.
    """
    with engine.begin() as connection:
        row = _open_checkout(connection, shopping_trip_id)
        if row is None:
            begun = payoff.begin(
                connection,
                shopping_trip_id=shopping_trip_id,
                method=pages.name,
                instrument={},
                asked_by=asked_by,
                now=now,
                reason="paid by the shopper on the processor's page",
            )
            words = {"subject": subject, "return_url": return_url, "language": language}
            row = _keep(connection, begun, pages.name, words, now)
        mine = payoff.get(connection, row["payoff_id"])
    if row["page_id"] is not None:
        told = pages.look(row["page_id"])
        _settle(engine, row, told, now=now)
        if told.page is not None and told.page.state is not PageState.OPEN:
            raise PayoffRefused(f"trip {shopping_trip_id!r}: its payment page is {told.page.state}; look again")
        return str(row["page_url"])
    # word for word what the first click said, in whatever language this one is: else no processor takes it for a repeat
    told = pages.make(
        mine.reference,
        mine.amount,
        subject=row["subject"] or subject,
        return_url=row["return_url"],
        language=row["language"] or language,
    )
    if told.page is None:
        if told.outcome is not Outcome.UNKNOWN:  # no page: what nobody can see, nobody can pay
            _end_unmade(engine, row, told, now)
        raise PageUnavailable(f"{pages.name} made no page for trip {shopping_trip_id!r}: {told.problem}")
    if not _hand_out(engine, row["payoff_id"], told.page):
        pages.end(told.page.page_id)  # its address was never told to anybody
        raise PageUnavailable(f"{pages.name}: the payment of trip {shopping_trip_id!r} was given up meanwhile")
    return told.page.url


def look(engine: Engine, pages: HostedPages, shopping_trip_id: str, *, now: datetime, end: bool = False) -> Standing:
    """Asks the processor how the trip's open page stands (`end`: ends it) and settles the payoff by what it says.

    Where none is open: how the latest payment by page ended. Raises BackroomError where there never was one.
    """
    with engine.begin() as connection:
        row = _open_checkout(connection, shopping_trip_id)
    if row is None:
        return latest(engine, shopping_trip_id)
    if row["page_id"] is None:
        if end:
            _end_unmade(engine, row, Told(Outcome.NOT_SENT, problem="given up before there was a page"), now)
            return latest(engine, shopping_trip_id)
        return Standing(PayoffState.INTENDED, None)
    told = pages.end(row["page_id"]) if end else pages.look(row["page_id"])
    _settle(engine, row, told, now=now)
    if told.page is None:
        return Standing(PayoffState.UNKNOWN, None)
    if told.page.state is PageState.OPEN:
        return Standing(PayoffState.INTENDED, PageState.OPEN, told.page.url)
    return latest(engine, shopping_trip_id)


def outcome_under(connection: Connection, pages: HostedPages, reference: str) -> PaymentOutcome | None:
    """What became of the payoff with that reference, where it was asked for by a page; None where it was not."""
    row = (
        connection.execute(select(payoff_checkout).where(payoff_checkout.c.reference == reference))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    if row["page_id"] is None:
        return PaymentOutcome(PayoffState.NOT_SENT, details={"page": "its address was never known to anybody"})
    return _outcome(pages.look(row["page_id"]))


def has_page(connection: Connection, reference: str) -> bool:
    """Whether the payoff with that reference is paid by a page."""
    query = select(payoff_checkout.c.payoff_id).where(payoff_checkout.c.reference == reference)
    return connection.execute(query).first() is not None


_LATEST: Final = text(
    """
    select p.state from payoff p join payoff_checkout c using (payoff_id)
    where p.shopping_trip_id = :trip order by p.payoff_id desc limit 1
    """
)


def latest(engine: Engine, shopping_trip_id: str) -> Standing:
    """How the latest payment of the trip by page stands, by our books alone. Raises BackroomError for none."""
    with engine.connect() as connection:
        state = connection.execute(_LATEST, {"trip": shopping_trip_id}).scalar_one_or_none()
    if state is None:
        raise BackroomError(f"trip {shopping_trip_id!r} was never paid on a page")
    return Standing(PayoffState(state), None)


def _open_checkout(connection: Connection, shopping_trip_id: str) -> RowMapping | None:
    """The page of the trip's open payoff. Raises PayoffRefused where the open payoff is paid in another way."""
    mine = open_payoff(connection, shopping_trip_id)
    if mine is None:
        return None
    row = (
        connection.execute(select(payoff_checkout).where(payoff_checkout.c.payoff_id == mine.payoff_id))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise PayoffRefused(f"trip {shopping_trip_id!r}: payoff {mine.payoff_id} of it is {mine.state}")
    return row


def _keep(connection: Connection, begun: Payoff, processor: str, words: dict[str, str], now: datetime) -> RowMapping:
    values = {
        "payoff_id": begun.payoff_id,
        "reference": begun.reference,
        "shopping_trip_id": begun.shopping_trip_id,
        "processor": processor,
        **words,
        "made_at": now,
    }
    return connection.execute(insert(payoff_checkout).values(values).returning(payoff_checkout)).mappings().one()


def _settle(engine: Engine, row: RowMapping, told: Told, *, now: datetime) -> None:
    outcome = _outcome(told)
    still_open = told.page is not None and told.page.state is PageState.OPEN
    with engine.begin() as connection:
        if not still_open:
            payoff.settle(connection, row["payoff_id"], outcome, now=now)
        ended = payoff.get(connection, row["payoff_id"]).state not in OPEN
        connection.execute(
            update(payoff_checkout)
            .where(payoff_checkout.c.payoff_id == row["payoff_id"])
            .values(looked_at=now, **({"state": "ENDED"} if ended else {}))
        )


def _hand_out(engine: Engine, payoff_id: int, page: Page) -> bool:
    """Keeps the page as the payoff's, to be told to the shopper; False where the payoff was ended meanwhile."""
    mine = payoff_checkout.c.payoff_id == payoff_id
    values = {"state": "OPEN", "page_id": page.page_id, "page_url": page.url}
    with engine.begin() as connection:
        kept = connection.execute(
            update(payoff_checkout).where(mine, payoff_checkout.c.state == "INTENDED").values(values)
        )
        if kept.rowcount:
            return True
        known = select(payoff_checkout.c.state, payoff_checkout.c.page_id).where(mine)
        return tuple(connection.execute(known).one()) == ("OPEN", page.page_id)  # by another click


def _end_unmade(engine: Engine, row: RowMapping, told: Told, now: datetime) -> None:
    """There is no page that anybody knows: the payoff ends, and another can begin.

    Where another call has made the page meanwhile, nothing ends: it may be paid.
    """
    outcome = PaymentOutcome(PayoffState.NOT_SENT, details={"problem": told.problem[:200]})
    with engine.begin() as connection:
        account.lock(connection, row["shopping_trip_id"])
        ended = connection.execute(
            update(payoff_checkout)
            .where(payoff_checkout.c.payoff_id == row["payoff_id"], payoff_checkout.c.page_id.is_(None))
            .values(state="ENDED")
        )
        if ended.rowcount:
            payoff.settle(connection, row["payoff_id"], outcome, now=now)


def _outcome(told: Told) -> PaymentOutcome:
    if told.page is None:
        return PaymentOutcome(PayoffState.UNKNOWN, details={"problem": told.problem[:200]})
    return _of_page(told.page)


def _of_page(page: Page) -> PaymentOutcome:
    details = {"page": page.page_id, "state": page.state.value}
    states = {PageState.PAID: PayoffState.PAID, PageState.ENDED: PayoffState.NOT_SENT}
    return PaymentOutcome(states.get(page.state, PayoffState.UNKNOWN), page.payment, details)
