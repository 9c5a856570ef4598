"""Takes a person out of the tables: the books stay, and their trips stay together under a name that means nobody.

The audit is only ever added to. What a shopper did in the portal is in it without their id, so that after an erasure
nothing in it leads from an id to a trip.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.shoppers.contacts import Holders
from backroom.shoppers.own_trips import OWN, values_of_holders

_TRIPS: Final = text(f"select p.shopping_trip_id from purchase p where {OWN}")  # noqa: S608 - a constant of the code
_CARDS: Final = text(
    "select unnest(cast(:cards as text[]))"
    " union select shopper_identity from purchase where shopping_trip_id = any(:trips) and shopper_identity is not null"
    " union select shopper_identity from shopper_authorization where shopping_trip_id = any(:trips)"
)
_NOBODY: Final = text(
    "insert into shopper (shopper_id, type, active, flagged, created_at)"
    " select :nobody, 'SHOPPER', false, false, :now where exists"
    " (select from payment_instrument where shopper_id = any(:shoppers))"
)
_CARD_DATA: Final = (
    "brand", "tail", "pos_entry_mode", "authorization_response_code", "cryptogram_information_data",
    "pan_sequence_number", "application_id", "expiration_year", "expiration_month",
    "cardholder_verification_method_result", "terminal_id", "reconciliation_id", "card_statement_transaction_id",
)  # fmt: skip
_NO_CARD: Final = ", ".join(["state = 'NOT_TOLD', next_attempt_at = null", *(f"{name} = null" for name in _CARD_DATA)])
_OF_THE_BOOKS: Final = (
    "shoppingTripId", "storeId", "subtype", "status", "amount", "currency", "items", "merchantSku", "quantityValue",
    "priceValue", "taxValue", "listPriceValue", "promotionInfos", "reconciliationId",
)  # fmt: skip
"""Of an event's `detail`: what reconciliation reads. All else goes, also what Amazon may add one day."""
_BOOKS_ONLY: Final = (
    "jsonb_set(envelope, '{detail}', (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each("
    "case jsonb_typeof(envelope -> 'detail') when 'object' then envelope -> 'detail' else '{}' end)"
    " where key = any(:books)))"
)
_ERASE: Final = (
    # what Amazon sent of them
    "update purchase set raw_body = '{}', shopper_identity = null where shopping_trip_id = any(:trips)",
    "update refused_cart set body = '' where shopping_trip_id = any(:trips) and settled_at is not null",
    "update shopper_authorization set shopper_identity = :nobody, raw_body = '{}'"
    " where shopping_trip_id = any(:trips) or shopper_identity = any(:cards)",
    # the gate's answer is repeated for hours at most; as long as that, an erasure is held
    "update gate_decision set shopper_id = cast(:nobody as text), raw_body = '{}', response_body ="
    " case when status = 200 then convert_to(jsonb_set(cast(convert_from(response_body, 'UTF8') as jsonb),"
    " '{visitorDetails,id}', to_jsonb(cast(:nobody as text)))::text, 'UTF8') else response_body end"
    " where shopper_id = any(:shoppers)",
    "delete from identity_answer where shopper_id = any(:shoppers)",
    "update review_case set known = known - array['owed_by', 'shopper', 'second_body']"
    " where subject = any(:trips) or known ->> 'shopper' = any(:shoppers)"
    " or known ->> 'owed_by' = any(cast(:shoppers as text[]) || cast(:cards as text[]))",
    # of the feeds: what the books need, without the card; the day's Parquet file is written anew
    "update feed_event set envelope = {books_only} where shopping_trip_id = any(:trips)",
    "update feed_event set envelope = {books_only} where detail_type not in ('CART', 'PAYMENT')"
    " and exists (select from unnest(cast(:their_cards as text[])) c"
    " where strpos(envelope::text, to_json(c)::text) > 0)",
    "update feed_file_day d set to_land = true from amazon_order o where o.shopping_trip_id = any(:trips)"
    " and (d.store_id, d.business_date) = (o.store_id, o.business_date)",
    "update amazon_order set card_brand = null, card_last_four = null where shopping_trip_id = any(:trips)",
    "update feed_quarantine set raw = jsonb_build_object('shoppingTripId', raw -> 'shoppingTripId')"
    " where raw ->> 'shoppingTripId' = any(:trips)",
    # the books, under another name
    "update purchase set shopper_id = :nobody where shopper_id = any(:shoppers)",
    "update debt set shopper_id = :nobody where shopper_id = any(:shoppers)",
    "update debt set shopper_identity = null where shopping_trip_id = any(:trips) or shopper_identity = any(:cards)",
    "update preauthorization set shopper_id = :nobody where shopper_id = any(:shoppers)",
    "update payment_instrument set shopper_id = cast(:nobody as text), active = false, customer_token = 'erased',"
    " method_token = cast(:nobody as text) || '-' || instrument_id where shopper_id = any(:shoppers)",
    "update payoff set instrument = '{}' where shopping_trip_id = any(:trips)",
    f"update trip_card set {_NO_CARD} where shopping_trip_id = any(:trips)",  # noqa: S608 - constants of the code
    "update receipt_mail set address_sealed = null where shopping_trip_id = any(:trips)",
    # what is of nobody's use any more
    "delete from recognition_key where shopper_id = any(:shoppers)",
    "delete from loyalty_account where shopper_id = any(:shoppers)",
    "delete from card_standing where shopper_identity = any(:cards) and standing = 'TRUSTED'",
    "delete from portal_session where address_index = :index or shopping_trip_id = any(:trips)",
    "delete from sign_in_link where address_index = :index",
    "delete from shopper_contact where address_index = :index",
    "delete from shopper where shopper_id = any(:shoppers)",
)


def erase(connection: Connection, holders: Holders, address_index: str, *, nobody: str, now: datetime) -> None:
    """Takes the person out, in the caller's transaction. `nobody`: the name that their trips go under from now on."""
    values = {**values_of_holders(holders), "nobody": nobody, "index": address_index, "now": now}
    values["books"] = list(_OF_THE_BOOKS)
    values["trips"] = list(connection.execute(_TRIPS, values).scalars())
    values["their_cards"] = list(connection.execute(_CARDS, values).scalars())
    connection.execute(_NOBODY, values)
    for statement in _ERASE:
        connection.execute(text(statement.replace("{books_only}", _BOOKS_ONLY)), values)
    trail.record(connection, at=now, actor="privacy", action="shopper.erase", subject=nobody, reason="asked for")
