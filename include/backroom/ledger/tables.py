"""Double entry: a transaction's postings sum to zero, per currency (a deferred constraint checks it)."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from backroom.db.metadata import Amount, Identifier, Instant, metadata

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    Column("transaction_id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False, unique=True, comment="the event it books, once: charge_event:42"),
    Column("kind", Text, nullable=False),
    Column("store_id", Identifier, ForeignKey("store.store_id"), nullable=False),
    Column("shopping_trip_id", Identifier, index=True),
    Column("business_date", Date, nullable=False),
    Column("happened_at", Instant, nullable=False),
    Column("reverses", BigInteger, ForeignKey("ledger_transaction.transaction_id")),
    Column("description", Text, nullable=False, server_default=""),
    Column("belongs_to", Date, comment="the day that it is about, where that day's month was closed already"),
)
Index(
    "ix_ledger_transaction_belongs_to",
    ledger_transaction.c.store_id,
    ledger_transaction.c.belongs_to,
    postgresql_where=ledger_transaction.c.belongs_to.is_not(None),
)
Index("ix_ledger_transaction_day", ledger_transaction.c.store_id, ledger_transaction.c.business_date)

ledger_posting = Table(
    "ledger_posting",
    metadata,
    Column("transaction_id", BigInteger, ForeignKey("ledger_transaction.transaction_id"), nullable=False),
    Column("posting_number", Integer, nullable=False),
    Column("account", Text, nullable=False, comment="backroom.ledger.accounts names them"),
    Column("detail", Text, nullable=False, server_default="", comment="sub-account: a tax jurisdiction"),
    Column("amount", Amount, nullable=False, comment="debit positive, credit negative"),
    Column("currency", Text, nullable=False),
    PrimaryKeyConstraint("transaction_id", "posting_number"),
    CheckConstraint("amount <> 0", name="amount"),
)
Index("ix_ledger_posting_account", ledger_posting.c.account)
