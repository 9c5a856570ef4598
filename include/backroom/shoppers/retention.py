"""How long what belongs to a person is kept. A dry run counts by the very conditions by which the real one deletes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

from backroom.settings import Settings

# what, table, condition, action; `:until` is now less the days of the rule
_RULES: Final = (
    ("sign-in links", "sign_in_link", "asked_at < :sign_in", "delete"),
    ("portal sessions", "portal_session", "seen_at < :sign_in", "delete"),
    ("counted tries", "rate_count", "window_start < :day", "delete"),
    ("expired entry codes", "recognition_key", "kind = 'TOKEN' and expires_at < :day", "delete"),
    (
        "addresses of sent receipts",
        "receipt_mail",
        "address_sealed is not null and coalesce(sent_at, asked_at) < :mail",
        "update address_sealed = null",
    ),
    (
        "cards of paid trips",
        "trip_card",
        "fetched_at < :card and not exists (select from debt d where d.shopping_trip_id = trip_card.shopping_trip_id"
        " and d.outstanding > 0)",
        "delete",
    ),
    (
        "Parquet files to write anew",
        "feed_file_day",
        "not to_land and exists (select from amazon_order o where o.card_last_four is not null"
        " and o.trip_ended_at < :card and (o.store_id, o.business_date) ="
        " (feed_file_day.store_id, feed_file_day.business_date))",
        "update to_land = true",
    ),
    (
        "cards in orders of the feeds",
        "amazon_order",
        "card_last_four is not null and trip_ended_at < :card",
        "update card_brand = null, card_last_four = null",
    ),
    (
        "cards in events",
        "feed_event",
        "received_at < :card and envelope #> '{detail,cardLastFourDigits}' is not null",
        "update envelope = envelope #- '{detail,cardLastFourDigits}' #- '{detail,brand}'",
    ),
    (
        "rows in quarantine",
        "feed_quarantine",
        "raw <> '{}' and file_id in (select file_id from feed_file where received_at < :card)",
        "update raw = '{}'",
    ),
    (
        "refused carts that were settled",
        "refused_cart",
        "body <> '' and settled_at < :card",
        "update body = ''",
    ),
    (
        "addresses of cards not seen since",
        "shopper_contact",
        "holder_kind = 'CARD' and added_at < :contact and not exists (select from purchase p"
        " where p.shopper_identity = shopper_contact.holder_id and p.trip_ended_at >= :contact)"
        " and not exists (select from debt d where d.shopper_identity = shopper_contact.holder_id"
        " and d.outstanding > 0)",
        "delete",
    ),
    ("finished requests for erasure", "privacy_request", "state = 'DONE' and done_at < :contact", "delete"),
)


def apply(engine: Engine, config: Settings, *, now: datetime, dry_run: bool) -> Mapping[str, int]:
    """Takes out what has been kept long enough, each kind in a transaction of its own; how many of each.

    `dry_run` changes nothing and says how many it would be.
    """
    values = {
        "sign_in": now - timedelta(days=config.retention_sign_in_days),
        "mail": now - timedelta(days=config.retention_mail_days),
        "card": now - timedelta(days=config.retention_card_days),
        "contact": now - timedelta(days=config.retention_contact_days),
        "day": now - timedelta(days=1),
    }
    counts = {}
    for what, table, condition, action in _RULES:
        with engine.begin() as connection:
            needed = {name: value for name, value in values.items() if f":{name}" in condition}
            if dry_run:
                query = text(f"select count(*) from {table} where {condition}")  # noqa: S608 - constants
                counts[what] = connection.execute(query, needed).scalar_one()
            else:
                verb, _, change = action.partition(" ")
                begin = f"delete from {table}" if verb == "delete" else f"update {table} set {change}"  # noqa: S608
                counts[what] = connection.execute(text(f"{begin} where {condition}"), needed).rowcount
    return counts
