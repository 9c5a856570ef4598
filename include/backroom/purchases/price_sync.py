"""Brings the price book up to what the retailer's price files say: what has changed is loaded, whole or not at all.

A file that is invalid, half-written or suspiciously short leaves the prices in force as they are. It raises an alert
and is looked at again at the next run. Read docs/prices.md for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.errors import SourceFileError
from backroom.purchases import price_drop, price_sources
from backroom.purchases.current_prices import source_of, sync_store
from backroom.purchases.point_of_sale_client import make_client
from backroom.purchases.price_files import FILES, Look, PriceFile, look, where
from backroom.purchases.price_history import load_keeping_history, stores_named
from backroom.purchases.price_sources import SourceResult
from backroom.purchases.promotion_history import load_promotions_keeping_history
from backroom.settings import Settings

_PRICED_BY_FILES = text("select exists (select from store where active and pricing_provider = 'PRICE_BOOK')")
_POINTS_OF_SALE = text(
    "select store_id from store where active and pricing_provider = 'POINT_OF_SALE' order by store_id"
)
_LOADERS: dict[str, Callable[..., int]] = {
    "prices.csv": load_keeping_history,
    "promotions.csv": load_promotions_keeping_history,
    "taxes.csv": load_keeping_history,
}


def sync_all(
    engine: Engine, config: Settings, *, now: datetime, source: str = "", force: bool = False
) -> list[SourceResult]:
    """The price files, then every point of sale; `source` in place of the configured folder or prefix."""
    results = sync_configured_files(engine, config, source=source, now=now, force=force)
    with make_client(config) as client:
        for store_id in stores_with_point_of_sale(engine):
            results.append(
                sync_store(engine, client, store_id, now=now, drop_percent=config.price_drop_percent, force=force)
            )
    return results


def sync_configured_files(
    engine: Engine, config: Settings, *, now: datetime, source: str = "", force: bool = False
) -> list[SourceResult]:
    """`sync_files` with what the settings say; an S3 client is made where the source is in S3."""
    source = source or where(config)
    s3 = None
    if source.startswith("s3://"):
        from backroom.feeds.aws import aws

        s3 = aws().s3
    share = {"promotions.csv": config.promotion_drop_percent}
    return sync_files(
        engine, source, now=now, drop_percent=config.price_drop_percent, drop_percent_of=share, s3=s3, force=force
    )


def stores_with_point_of_sale(engine: Engine) -> list[str]:
    """The active stores that price by their point of sale, by id."""
    with engine.connect() as connection:
        return list(connection.scalars(_POINTS_OF_SALE))


def sync_files(
    engine: Engine,
    source: str,
    *,
    now: datetime,
    drop_percent: int,
    drop_percent_of: Mapping[str, int] = MappingProxyType({}),
    s3: Any = None,
    force: bool = False,
) -> list[SourceResult]:
    """Loads what has changed in the folder or under the S3 prefix `source`, all of it in one transaction or nothing.

    A change is in force from `now` (business time, UTC) where the file does not date it. `force` loads in spite of a
    large drop: of more than `drop_percent`, or what `drop_percent_of` says for a file. The same content again only
    notes that it was looked at. Safe to repeat.
    """
    try:
        with look(source, s3=s3) as found:
            allowed = {name: drop_percent_of.get(name, drop_percent) for name in FILES}
            return _load_changed(engine, found, now=now, allowed=allowed, force=force)
    except SourceFileError as error:
        return [_refused(engine, "prices", str(error), "unreadable", now)]


def _load_changed(
    engine: Engine, found: Look, *, now: datetime, allowed: Mapping[str, int], force: bool
) -> list[SourceResult]:
    results = [SourceResult(name, "BEING_WRITTEN", reason="looked at again next time") for name in found.being_written]
    with engine.begin() as connection:
        price_sources.lock(connection)
        before = price_sources.known(connection)
        same = [f.name for f in found.files if f.name in before and before[f.name].content_hash == f.sha256]
        price_sources.unchanged(connection, same, now=now)
    changed = [file for file in found.files if file.name not in same]
    results += [SourceResult(name, "UNCHANGED") for name in same]
    results += _missing(engine, found, set(before), now)
    if not changed or found.being_written:
        return results
    try:
        with engine.begin() as connection:
            price_sources.lock(connection)
            return results + _load(connection, changed, now=now, allowed=allowed, force=force)
    except SourceFileError as error:
        wrong = next(file for file in changed if str(file.copy) in str(error))
        reason = str(error).replace(str(wrong.copy), wrong.origin)
        return results + _stopped(changed, _refused(engine, wrong.name, reason, wrong.sha256, now))
    except price_drop.TooManyGone as error:
        wrong = next(file for file in changed if file.name == error.source)
        with engine.begin() as connection:
            price_drop.ask(
                connection, source=wrong.name, subject=_subject(wrong), origin=wrong.origin, drops=error.drops, now=now
            )
        return results + _stopped(changed, SourceResult(wrong.name, "WAITS", reason=f"{wrong.origin} {error}"))


def _load(
    connection: Connection, changed: list[PriceFile], *, now: datetime, allowed: Mapping[str, int], force: bool
) -> list[SourceResult]:
    results = []
    known = price_sources.known(connection)
    for file in sorted(changed, key=lambda file: FILES.index(file.name)):
        seen_at = known[file.name].seen_at if file.name in known else None
        stores = stores_named(file)
        rows = _LOADERS[file.name](connection, file, stores, seen_at=seen_at, now=now)
        if force:
            price_drop.settle_open(connection, _subject(file), now=now)
        elif not price_drop.decided_to_load(connection, _subject(file)):
            drops = price_drop.drops_of_load(connection, file.name, now=now)
            price_drop.refuse_large(file.name, drops, allowed[file.name])
        if file.name == "prices.csv":
            # a store that has prices of its point of sale gets them again at the next look at it
            price_sources.forget_content(connection, map(source_of, stores))
        price_sources.loaded(connection, file.name, content_hash=file.sha256, rows=rows, now=now)
        results.append(SourceResult(file.name, "LOADED", rows))
    return results


def _missing(engine: Engine, found: Look, known: set[str], now: datetime) -> list[SourceResult]:
    """A file that was there once, and the prices even if they never were, are missed: what is loaded stays in force."""
    there = {file.name for file in found.files} | set(found.being_written)
    missing = [name for name in FILES if name not in there and name in known]
    if "prices.csv" not in there | set(missing):
        with engine.connect() as connection:
            missing += ["prices.csv"] if connection.scalar(_PRICED_BY_FILES) else []
    for name in missing:
        with engine.begin() as connection:
            raise_alert(
                connection,
                key=f"price-source:{name}:missing:{now.date()}",
                severity="warning",
                title=f"The source of prices has no {name}; what was loaded before stays in force",
                what_to_do="have it written again, or set BACKROOM_PRICE_SOURCE to where it is",
                now=now,
                subject=name,
            )
    return [SourceResult(name, "MISSING", reason="not at the source") for name in missing]


def _stopped(changed: list[PriceFile], culprit: SourceResult) -> list[SourceResult]:
    """The other files of the same look wait with the one that stops them."""
    others = [file for file in changed if file.name != culprit.source]
    return [culprit, *(SourceResult(file.name, "WAITS", reason=f"goes with {culprit.source}") for file in others)]


def _refused(engine: Engine, source: str, reason: str, content_hash: str, now: datetime) -> SourceResult:
    with engine.begin() as connection:
        raise_alert(
            connection,
            key=f"price-source:{source}:refused:{content_hash[:16]}",
            severity="critical",
            title=f"Prices are not loaded, the old ones stay in force: {reason}",
            what_to_do="correct the file at the source; it is looked at again every 5 minutes (`backroom prices sync`)",
            now=now,
            subject=source,
        )
    return SourceResult(source, "REFUSED", reason=reason)


def _subject(file: PriceFile) -> str:
    return f"{file.name}:{file.sha256[:16]}"
