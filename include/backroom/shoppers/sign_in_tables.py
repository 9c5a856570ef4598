"""How shoppers get into the portal: addresses (sealed), one-time links, sessions, and what is counted against guessing.

Nothing here can be read without the key of the environment: addresses are sealed, tokens are kept as hashes.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from backroom.db.metadata import Identifier, Instant, metadata

shopper_contact = Table(
    "shopper_contact",
    metadata,
    Column("contact_id", BigInteger, Identity(), primary_key=True),
    Column("holder_kind", Text, nullable=False, comment="SHOPPER: a shopper_id; CARD: Amazon's token for a card"),
    Column("holder_id", Identifier, nullable=False),
    Column("address_sealed", Text, nullable=False, comment="the e-mail address, encrypted"),
    Column("address_index", Text, nullable=False, comment="keyed hash of the address, to find it by"),
    Column("language", Text, nullable=False, server_default="en"),
    Column("source", Text, nullable=False, comment="RETAILER: told by us; AMAZON: by Get Shopper Identity"),
    Column("added_at", Instant, nullable=False),
    UniqueConstraint("holder_kind", "holder_id"),
    CheckConstraint("holder_kind in ('SHOPPER','CARD')", name="holder_kind"),
    CheckConstraint("source in ('RETAILER','AMAZON')", name="source"),
)
Index("ix_shopper_contact_address_index", shopper_contact.c.address_index)

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("link_id", BigInteger, Identity(), primary_key=True),
    Column("asked_sealed", Text, comment="what was typed, encrypted; null once it was looked at"),
    Column("language", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="ASKED"),
    Column("asked_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("token_hash", Text, unique=True, comment="SHA-256 of the link's token"),
    Column("address_index", Text, comment="whose link it is"),
    Column("expires_at", Instant),
    Column("used_at", Instant),
    CheckConstraint("state in ('ASKED','NO_MATCH','SENDING','SENT','FAILED','USED')", name="state"),
)
Index("ix_sign_in_link_asked", sign_in_link.c.link_id, postgresql_where=sign_in_link.c.state == "ASKED")

portal_session = Table(
    "portal_session",
    metadata,
    Column("session_hash", Text, primary_key=True, comment="SHA-256 of the cookie"),
    Column("scope", Text, nullable=False, comment="SHOPPER: all of an address; RECEIPT, PAYMENT: of one trip"),
    Column("address_index", Text),
    Column("shopping_trip_id", Identifier),
    Column("began_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    CheckConstraint("scope in ('SHOPPER','RECEIPT','PAYMENT')", name="scope"),
    CheckConstraint("(scope = 'SHOPPER') = (address_index is not null)", name="of_an_address"),
    CheckConstraint("(scope = 'SHOPPER') = (shopping_trip_id is null)", name="of_a_trip"),
)
Index("ix_portal_session_seen_at", portal_session.c.seen_at)

rate_count = Table(
    "rate_count",
    metadata,
    Column("bucket", Text, nullable=False, comment="what is counted, and a keyed hash of whom"),
    Column("window_start", Instant, nullable=False),
    Column("times", Integer, nullable=False),
    PrimaryKeyConstraint("bucket", "window_start"),
)
Index("ix_rate_count_window_start", rate_count.c.window_start)

privacy_request = Table(
    "privacy_request",
    metadata,
    Column("request_id", BigInteger, Identity(), primary_key=True),
    Column("address_index", Text, comment="whose data; null once they are gone"),
    Column("asked_at", Instant, nullable=False),
    Column("state", Text, nullable=False, server_default="ASKED", comment="HELD: money is still under way"),
    Column("done_at", Instant),
    Column("problem", Text),
    CheckConstraint("state in ('ASKED','HELD','DONE')", name="state"),
)
Index(
    "uq_privacy_request_open",
    privacy_request.c.address_index,
    unique=True,
    postgresql_where=privacy_request.c.state != "DONE",
)
