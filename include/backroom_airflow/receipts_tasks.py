"""Tasks of the DAG receipts: what is due, the cards' data, the e-mails, what came back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backroom_airflow import business_time


def gather(**context: Any) -> list[str]:
    """Makes due what is final; returns the stores with a card to ask about."""
    from backroom.db.engine import transaction
    from backroom.receipts import card_data, mails

    now = business_time.of(context)
    with transaction() as connection:
        card_data.find_due(connection, now=now)
        mails.find_due(connection, now=now)
        return list(card_data.stores_with_due(connection, now=now))


def fetch_cards(store_id: str, **context: Any) -> dict[str, int]:
    """Asks Amazon about the cards of the store's trips; returns what became of it."""
    from backroom.amazon.receipt_data_client import ReceiptDataClient
    from backroom.db.engine import engine
    from backroom.receipts.card_data import fetch_due
    from backroom.settings import settings

    with ReceiptDataClient(settings()) as client:
        return dict(fetch_due(engine(), client, store_id=store_id, now=business_time.of(context)))


def send(**context: Any) -> dict[str, int]:
    """Sends the receipts that are due; returns what became of them. Nothing is sent without a sender's address."""
    from backroom.amazon.receipt_data_client import ReceiptDataClient
    from backroom.db.engine import engine
    from backroom.mailing import SesMailer
    from backroom.receipts.composing import compose
    from backroom.receipts.mails import Composer, send_due
    from backroom.settings import settings
    from backroom.shoppers.sealing import seal_of

    config = settings()
    if not config.mail_sender:
        return {"no sender is set": 0}
    portal = config.portal_public_url
    composer = Composer(
        lambda receipt, address, language: compose(receipt, address, language, portal=portal),
        timedelta(hours=config.receipt_data_hours),
    )
    now = business_time.of(context)
    with ReceiptDataClient(config) as amazon:
        return dict(send_due(engine(), seal_of(config), SesMailer(config), amazon, composer, now=now))


def take_in_bounces(**context: Any) -> dict[str, int]:
    """Marks the receipts that did not arrive; returns the notices by kind."""
    from backroom.db.engine import engine
    from backroom.feeds.aws import aws
    from backroom.receipts.bounces import take_in
    from backroom.settings import settings

    queue = settings().mail_bounce_queue
    if not queue:
        return {}
    clients = aws()
    return dict(take_in(engine(), clients.sqs, clients.queue_url(queue), now=business_time.of(context)))
