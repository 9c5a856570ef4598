"""Every file and event that Amazon sent, as it came."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from backroom.db.metadata import Identifier, Instant, Json, metadata

feed_file = Table(
    "feed_file",
    metadata,
    Column("file_id", BigInteger, Identity(), primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Text, nullable=False, comment="versionId, else sequencer, else eTag and eventTime"),
    Column("sequencer", Text, nullable=False, server_default=""),
    Column("announced_at", Instant, nullable=False, comment="eventTime"),
    Column("announcements", Integer, nullable=False, server_default="1"),
    Column("store_id", Identifier, comment="null: the key names no store of ours"),
    Column("window_start", Instant),
    Column("window_end", Instant, comment="from the key's name; the file covers the hour before"),
    Column("copy_key", Text, comment="in our bucket"),
    Column("sha256", Text, index=True),
    Column("size", BigInteger),
    Column("state", Text, nullable=False, comment="ANNOUNCED, COPIED, INGESTED, SAME_CONTENT, SUPERSEDED, FAILED"),
    Column("reason", Text),
    Column("rows_read", Integer, nullable=False, server_default="0"),
    Column("rows_applied", Integer, nullable=False, server_default="0", comment="new or newer than what we had"),
    Column("rows_stale", Integer, nullable=False, server_default="0", comment="older than what we had"),
    Column("rows_quarantined", Integer, nullable=False, server_default="0"),
    Column("received_at", Instant, nullable=False),
    Column("ingested_at", Instant),
    Column("retry_asked_at", Instant, comment="a person wants it taken from our copy again"),
    UniqueConstraint("bucket", "key", "version"),
)
Index("ix_feed_file_window", feed_file.c.store_id, feed_file.c.window_end)
Index("ix_feed_file_retry", feed_file.c.file_id, postgresql_where=text("retry_asked_at is not null"))

feed_quarantine = Table(
    "feed_quarantine",
    metadata,
    Column("file_id", BigInteger, ForeignKey("feed_file.file_id"), nullable=False),
    Column("line", Integer, nullable=False, comment="in the file; the header is line 1"),
    Column("column_name", Text),
    Column("reason", Text, nullable=False),
    Column("raw", Json, nullable=False),
    Column("state", Text, nullable=False, server_default="WAITING", comment="WAITING, RETRIED"),
    PrimaryKeyConstraint("file_id", "line"),
)

feed_file_day = Table(
    "feed_file_day",
    metadata,
    Column("file_id", BigInteger, ForeignKey("feed_file.file_id"), nullable=False),
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False, comment="of the orders that the file speaks of"),
    Column("to_release", Boolean, nullable=False, comment="it changed the day since the day's latest release"),
    Column("to_land", Boolean, nullable=False, comment="it changed the day since the day's Parquet file"),
    PrimaryKeyConstraint("file_id", "business_date"),
)
Index("ix_feed_file_day_day", feed_file_day.c.store_id, feed_file_day.c.business_date)
Index(
    "ix_feed_file_day_open",
    feed_file_day.c.store_id,
    feed_file_day.c.business_date,
    postgresql_where=text("to_release or to_land"),
)

feed_event = Table(
    "feed_event",
    metadata,
    Column("event_id", Identifier, primary_key=True, comment="the envelope's id: at least once becomes once"),
    Column("detail_type", Text, nullable=False, comment="CART, PAYMENT, SHOPPER or another"),
    Column("subtype", Text, comment="of PAYMENT: CaptureApproved, CaptureDeclined, AuthorizationApproved, …"),
    Column("shopping_trip_id", Identifier, index=True),
    Column("store_id", Identifier),
    Column("happened_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("known", Boolean, nullable=False, server_default="true", comment="false: kept and counted, not understood"),
    Column("envelope", Json, nullable=False),
    Column("to_hear", Boolean, nullable=False, server_default="true", comment="its charge may not know it yet"),
)
Index(
    "ix_feed_event_to_hear",
    feed_event.c.shopping_trip_id,
    postgresql_where=text("to_hear and detail_type = 'PAYMENT' and subtype in ('CaptureApproved', 'CaptureDeclined')"),
)

day_release = Table(
    "day_release",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("complete", Boolean, nullable=False, comment="false: released at the cut-off with windows missing"),
    Column("released_at", Instant, nullable=False),
    Column("missing_windows", Integer, nullable=False, server_default="0"),
    Column(
        "correction",
        Boolean,
        nullable=False,
        server_default="false",
        comment="late data changed a day that was released before",
    ),
    PrimaryKeyConstraint("store_id", "business_date", "revision"),
)

day_release_wanted = Table(
    "day_release_wanted",
    metadata,
    Column("store_id", Identifier, nullable=False),
    Column("business_date", Date, nullable=False, comment="is released with the windows that it has"),
    Column("wanted_at", Instant, nullable=False),
    Column("wanted_by", Text, nullable=False),
    PrimaryKeyConstraint("store_id", "business_date"),
)
