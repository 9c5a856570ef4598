"""What a receipt needs beyond the purchase: the card as Amazon tells it, and each e-mail that was sent."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Integer, Table, Text

from backroom.db.metadata import Identifier, Instant, metadata

trip_card = Table(
    "trip_card",
    metadata,
    Column("shopping_trip_id", Identifier, primary_key=True),
    Column("store_id", Identifier, nullable=False),
    Column("state", Text, nullable=False, server_default="DUE"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Instant, comment="due at; null: nothing to do"),
    Column("fetched_at", Instant),
    Column("brand", Text),
    Column("tail", Text, comment="the card number's last four digits"),
    Column("pos_entry_mode", Text),
    Column("currency", Text),
    Column("authorization_response_code", Text),
    Column("cryptogram_information_data", Text),
    Column("pan_sequence_number", Text),
    Column("application_id", Text),
    Column("expiration_year", Text),
    Column("expiration_month", Text),
    Column("cardholder_verification_method_result", Text),
    Column("terminal_id", Text),
    Column("reconciliation_id", Text),
    Column("card_statement_transaction_id", Text),
    CheckConstraint("state in ('DUE','KNOWN','NOT_TOLD')", name="state"),
    CheckConstraint("tail ~ '^[0-9]{4}$'", name="tail"),
)
Index("ix_trip_card_due", trip_card.c.store_id, postgresql_where=trip_card.c.state == "DUE")
Index("ix_trip_card_statement", trip_card.c.card_statement_transaction_id)
Index("ix_trip_card_tail", trip_card.c.tail, trip_card.c.store_id)

receipt_mail = Table(
    "receipt_mail",
    metadata,
    Column("mail_id", BigInteger, Identity(), primary_key=True),
    Column("shopping_trip_id", Identifier, nullable=False),
    Column("store_id", Identifier, nullable=False),
    Column("kind", Text, nullable=False, comment="FIRST: once per trip, by itself; RESEND: asked for"),
    Column("state", Text, nullable=False, server_default="DUE"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("next_attempt_at", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("address_sealed", Text, comment="where it went, encrypted"),
    Column("message_id", Text, unique=True, comment="SES's"),
    Column("sent_at", Instant),
    Column("bounced_at", Instant),
    Column("problem", Text, comment="why it did not arrive"),
    CheckConstraint("kind in ('FIRST','RESEND')", name="kind"),
    CheckConstraint("state in ('DUE','SENDING','SENT','NO_ADDRESS','UNKNOWN','REFUSED','BOUNCED')", name="state"),
)
Index("ix_receipt_mail_trip", receipt_mail.c.shopping_trip_id)
Index(
    "uq_receipt_mail_first",
    receipt_mail.c.shopping_trip_id,
    unique=True,
    postgresql_where=receipt_mail.c.kind == "FIRST",
)
Index("ix_receipt_mail_due", receipt_mail.c.mail_id, postgresql_where=receipt_mail.c.state == "DUE")
