"""Prices of a source that knows only those of today: a store's own point of sale, `GET {url}/prices`.

Each change closes the period that was in force and opens a new one, so that history stays and a trip is priced as of
its end. A change counts from the source's own `valid_from`, where that is after the last look, else from `now`: what an
earlier look has seen is never rewritten. A product that the source no longer names has no price from `now` on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.errors import SourceFileError
from backroom.purchases import price_drop, price_sources
from backroom.purchases.price_sources import SourceResult
from backroom.source_files import Amount, Identifier, OptionalInstant, SourceRow

MAX_BYTES = 256_000_000
PATIENCE = httpx.Timeout(30, connect=3)  # a whole book takes longer to answer than a cart
NOT_OFFERED = (404, 405, 501)


class CurrentPrice(SourceRow):
    """One line of the answer: the price per the product's own unit. `valid_from` may be absent or in the future."""

    item_sku: Identifier
    price: Amount
    currency: Identifier
    valid_from: OptionalInstant = None


def source_of(store_id: str) -> str:
    """The name of a store's point of sale among the sources of prices."""
    return f"point-of-sale:{store_id}"


def sync_store(
    engine: Engine, client: httpx.Client, store_id: str, *, now: datetime, drop_percent: int, force: bool = False
) -> SourceResult:
    """Asks the store's point of sale for its prices and brings the price book up to them, in one transaction.

    The call is made outside of any transaction. A point of sale that does not answer, or wrongly, leaves the prices in
    force and raises an alert. One without `/prices` (404) is left to the price files.
    """
    source = source_of(store_id)
    with engine.connect() as connection:
        store = connection.execute(
            text("select point_of_sale_url, currency from store where store_id = :id"), {"id": store_id}
        ).one()
    try:
        body = fetch(client, f"{store.point_of_sale_url.rstrip('/')}/prices")
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in NOT_OFFERED:
            return SourceResult(source, "NOT_OFFERED", reason=f"it answers {status}")
        return _stopped(engine, source, "UNREACHABLE", f"it answers {status}", store_id, now)
    except httpx.HTTPError as error:
        return _stopped(engine, source, "UNREACHABLE", type(error).__name__, store_id, now)
    digest = hashlib.sha256(body).hexdigest()
    subject = f"{source[-230:]}:{digest[:16]}"
    try:
        with engine.begin() as connection:
            return _bring_up(connection, store_id, store.currency, body, digest, subject, now, drop_percent, force)
    except SourceFileError as error:
        return _stopped(engine, source, "REFUSED", str(error), store_id, now)
    except price_drop.TooManyGone as error:
        with engine.begin() as connection:
            price_drop.ask(connection, source=source, subject=subject, origin=source, drops=error.drops, now=now)
        return SourceResult(source, "WAITS", reason=f"{source} {error}")


def fetch(client: httpx.Client, url: str) -> bytes:
    """The answer's body, whole. Raises httpx.HTTPError: another status than 200, cut off, or beyond MAX_BYTES."""
    accept = {"Accept": "application/x-ndjson, application/json"}
    with client.stream("GET", url, headers=accept, timeout=PATIENCE) as response:
        if response.status_code != 200:
            raise httpx.HTTPStatusError("", request=response.request, response=response)
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise httpx.DecodingError(f"more than {MAX_BYTES} bytes", request=response.request)
        return bytes(body)


def read(body: bytes, source: str) -> Iterator[tuple[int, CurrentPrice]]:
    """(line, price) of NDJSON, or (entry, price) of one JSON list. Raises SourceFileError that names line and field."""
    listed = body.lstrip()[:1] == b"["
    part = "entry" if listed else "line"
    for number, entry in enumerate(_list(body, source) if listed else body.splitlines(), 1):
        if not listed and not entry.strip():
            continue
        try:
            price = CurrentPrice.model_validate(entry if listed else _json(entry))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise SourceFileError(f"{source}: {part} {number}, field {field!r}: {first['msg']}") from error
        except ValueError as error:
            raise SourceFileError(f"{source}: {part} {number}: not JSON ({error})") from error
        yield number, price


def _list(body: bytes, source: str) -> list[Any]:
    try:
        entries: list[Any] = _json(body)
    except ValueError as error:
        raise SourceFileError(f"{source}: not JSON ({error})") from error
    return entries


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _bring_up(
    connection: Connection,
    store_id: str,
    currency: str,
    body: bytes,
    digest: str,
    subject: str,
    now: datetime,
    drop_percent: int,
    force: bool,
) -> SourceResult:
    source = source_of(store_id)
    price_sources.lock(connection)
    before = price_sources.known(connection).get(source)
    if before is not None and before.content_hash == digest:
        price_sources.unchanged(connection, [source], now=now)
        return SourceResult(source, "UNCHANGED")
    rows = _stage(connection, body, currency, source)
    if force:
        price_drop.settle_open(connection, subject, now=now)
    elif not price_drop.decided_to_load(connection, subject):
        price_drop.refuse_large(source, _drops(connection, store_id, now), drop_percent)
    _apply(connection, store_id, seen_at=before.seen_at if before else None, now=now)
    price_sources.loaded(connection, source, content_hash=digest, rows=rows, now=now)
    return SourceResult(source, "LOADED", rows)


_CHECKS = {
    "select line, currency from incoming where currency <> :currency order by line limit 1": (
        "field 'currency': {!r} is not the store's currency"
    ),
    "select max(line), item_sku from incoming group by item_sku having count(*) > 1 order by 1 limit 1": (
        "field 'item_sku': {!r} is there twice"
    ),
}


def _stage(connection: Connection, body: bytes, currency: str, source: str) -> int:
    connection.execute(
        text(
            "create temporary table incoming (line int, item_sku text, amount numeric, currency text,"
            " starts_at timestamptz) on commit drop"
        )
    )
    driver = connection.connection.driver_connection
    if driver is None:
        raise TypeError("the connection is closed")
    rows = 0
    with driver.cursor() as cursor, cursor.copy("copy incoming from stdin") as copy:
        for line, price in read(body, source):
            copy.write_row((line, price.item_sku, price.price, price.currency, price.valid_from))
            rows += 1
    for query, complaint in _CHECKS.items():
        if found := connection.execute(text(query), {"currency": currency}).first():
            raise SourceFileError(f"{source}: line {found[0]}, {complaint.format(found[1])}")
    connection.execute(text("analyze incoming"))
    return rows


def _drops(connection: Connection, store_id: str, now: datetime) -> list[price_drop.Drop]:
    row = connection.execute(
        text("""
            select count(*) as had, count(*) filter (where incoming.item_sku is null) as gone
            from shelf_price as price left join incoming on incoming.item_sku = price.item_sku
            where price.store_id = :store and price.valid_from <= :now
              and (price.valid_to is null or price.valid_to > :now)
        """),
        {"store": store_id, "now": now},
    ).one()
    return [price_drop.Drop(store_id, row.had, row.gone)]


_FROM_WHEN = """
    update incoming set starts_at = case when starts_at > cast(:seen as timestamptz) then starts_at else :now end
    where starts_at is null or starts_at <= cast(:seen as timestamptz)
"""
_CHANGED = """
    create temporary table changed on commit drop as
    select incoming.*, price.amount is not distinct from incoming.amount as goes_on
    from incoming left join shelf_price as price
      on price.store_id = :store and price.item_sku = incoming.item_sku and price.valid_from <= starts_at
     and (price.valid_to is null or price.valid_to > starts_at)
    where price.amount is distinct from incoming.amount or price.valid_to is not null
"""
_STATEMENTS = (
    # what is known of later times is no longer so, of what has changed and of what is no longer named
    "delete from shelf_price as price using changed where price.store_id = :store"
    " and price.item_sku = changed.item_sku and price.valid_from >= changed.starts_at",
    "delete from shelf_price as price where store_id = :store and valid_from >= :now"
    " and not exists (select from incoming where incoming.item_sku = price.item_sku)",
    "update shelf_price as price set valid_to = case when goes_on then null else starts_at end from changed"
    " where price.store_id = :store and price.item_sku = changed.item_sku"
    " and (price.valid_to is null or price.valid_to > starts_at)",
    "update shelf_price as price set valid_to = :now where store_id = :store and valid_from < :now"
    " and (valid_to is null or valid_to > :now)"
    " and not exists (select from incoming where incoming.item_sku = price.item_sku)",
    "insert into shelf_price (store_id, item_sku, valid_from, amount, currency)"
    " select :store, item_sku, starts_at, amount, currency from changed where not goes_on",
)


def _apply(connection: Connection, store_id: str, *, seen_at: datetime | None, now: datetime) -> None:
    """Touches the rows that change and no other. `seen_at` is the last look at this source."""
    values = {"store": store_id, "now": now, "seen": seen_at.isoformat() if seen_at else "-infinity"}
    connection.execute(text(_FROM_WHEN), values)
    connection.execute(text(_CHANGED), values)
    connection.execute(text("analyze changed"))
    for statement in _STATEMENTS:
        connection.execute(text(statement), values)


def _stopped(
    engine: Engine, source: str, state: price_sources.State, reason: str, store_id: str, now: datetime
) -> SourceResult:
    with engine.begin() as connection:
        raise_alert(
            connection,
            key=f"price-source:{source}:{state}:{now.date()}",
            severity="critical" if state == "REFUSED" else "warning",
            title=f"Store {store_id}'s prices are not loaded, the old ones stay in force: {reason}",
            what_to_do="look at the point of sale; it is asked again every 5 minutes (`backroom prices sync`)",
            now=now,
            subject=source,
            store_id=store_id,
        )
    return SourceResult(source, state, reason=reason)
