"""What waits for a person."""

from sqlalchemy import BigInteger, Column, Identity, Index, Table, Text, text

from backroom.db.metadata import Identifier, Instant, Json, metadata

review_case = Table(
    "review_case",
    metadata,
    Column("case_id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False, comment="BAD_CART, UNKNOWN_CAPTURE, DIFFERENT_CART, …"),
    Column("subject", Identifier, nullable=False, comment="the trip, event or batch it is about"),
    Column("store_id", Identifier),
    Column("asked_by", Text, nullable=False, comment="the room that asks"),
    Column("question", Text, nullable=False),
    Column("known", Json, nullable=False, comment="what is known, for who decides"),
    Column("choices", Json, nullable=False, comment="list of {choice, effect}"),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant),
    Column("when_overdue", Text, nullable=False, server_default="", comment="what happens then, in words"),
    Column("shown_at", Instant, comment="when a run of the DAG review was started for it"),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("decision_reason", Text),
)
Index(
    "uq_review_case_open",
    review_case.c.kind,
    review_case.c.subject,
    unique=True,
    postgresql_where=text("decision is null"),
)
Index("ix_review_case_subject", review_case.c.subject, review_case.c.case_id)
