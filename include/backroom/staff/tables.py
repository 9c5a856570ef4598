"""Staff: who may sign in to the console, their sessions, and failed tries."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, Table, Text

from backroom.db.metadata import Instant, Json, metadata

staff_member = Table(
    "staff_member",
    metadata,
    Column("name", Text, primary_key=True, comment="in lower case; the actor in the audit trail"),
    Column("roles", ARRAY(Text), nullable=False, comment="finance, operations, support"),
    Column("password_hash", Text, nullable=False, comment="scrypt, with its salt and cost"),
    Column("added_at", Instant, nullable=False),
    Column("password_set_at", Instant, nullable=False),
    Column("disabled_at", Instant, comment="since then nobody signs in by this name"),
    CheckConstraint("roles <@ ARRAY['finance','operations','support'] and cardinality(roles) > 0", name="roles"),
    CheckConstraint("name = lower(name)", name="name"),
)

staff_session = Table(
    "staff_session",
    metadata,
    Column("session_hash", Text, primary_key=True, comment="SHA-256 of the cookie"),
    Column("name", Text, ForeignKey("staff_member.name"), nullable=False, index=True),
    Column("began_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant, comment="signed out, or ended for this person by a change"),
    Column("notice", Json, comment="what the next page says once"),
)
Index("ix_staff_session_seen_at", staff_session.c.seen_at)

staff_sign_in_failure = Table(
    "staff_sign_in_failure",
    metadata,
    Column("failure_id", BigInteger, Identity(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("name_hash", Text, nullable=False, comment="SHA-256: what was typed may be anything"),
    Column("address_hash", Text, nullable=False, comment="SHA-256 of the caller's address and the day"),
)
Index("ix_staff_sign_in_failure_name", staff_sign_in_failure.c.name_hash, staff_sign_in_failure.c.at)
Index("ix_staff_sign_in_failure_address", staff_sign_in_failure.c.address_hash, staff_sign_in_failure.c.at)
