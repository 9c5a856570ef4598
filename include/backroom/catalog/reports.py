"""Amazon's report on a batch: fetched by its presigned link, recorded item by item, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
import psycopg
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import CatalogClient
from backroom.catalog.sending import Batch
from backroom.errors import BackroomError

_LINKS = 3  # how often an expired link is renewed
_SECONDS = 30.0
_MOST_BYTES = 64_000_000  # of a report on at most difference.WORDS_A_REPORT items
_WORDS = ("errorCode", "errorMessage")


class ReportMissing(BackroomError):
    """A report can't be fetched or read now."""


@dataclass(frozen=True)
class Summary:
    """A run in figures. States: READING, COMPARED, UPLOADING, DONE, FAILED. `held`: stores that wait for a person."""

    run_id: int
    state: str
    held: tuple[str, ...]
    batches: int
    batches_failed: int
    items_sent: int
    accepted: int
    rejected: int


def fetch(link: str) -> bytes | None:
    """The report behind a presigned link; None where the link has expired. Raises ReportMissing."""
    try:
        with httpx.stream("GET", link, timeout=_SECONDS, follow_redirects=False) as response:
            if response.status_code in (400, 403):  # S3 answers so for a link that has expired
                return None
            if response.status_code != 200:
                raise ReportMissing(f"the report can't be fetched: HTTP {response.status_code}; try again")
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _MOST_BYTES:
                    raise ReportMissing(f"the report is longer than {_MOST_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ReportMissing(f"the report can't be fetched: {error}; try again") from error
    return bytes(content)


def apply(
    engine: Engine,
    client: CatalogClient,
    batch: Batch,
    *,
    now: datetime,
    fetch: Callable[[str], bytes | None] = fetch,
) -> None:
    """Record what became of each item of a batch that is DONE. Raises ReportMissing or CallFailed."""
    assert batch.ingestion_id is not None
    items = items_of(batch.ingestion_id, _download(client, batch, fetch))
    with engine.begin() as connection:
        state = connection.execute(
            text("select settled_at from catalog_batch where batch_id = :batch for update"), {"batch": batch.batch_id}
        ).scalar_one()
        if state is not None:
            return
        stage(connection, items)
        given: dict[str, Any] = {"batch": batch.batch_id, "now": now}
        connection.execute(_RECORD, {"batch": batch.batch_id})
        connection.execute(_ACCEPT_UPLOAD if batch.kind == "UPLOAD" else _ACCEPT_ARCHIVE, given)
        connection.execute(_NOT_REFUSED_ANY_MORE, {"batch": batch.batch_id})
        connection.execute(_REFUSE, given)
        connection.execute(text("drop table reported_item"))
        silent = connection.execute(_SETTLE, given).scalar_one()
        if silent:
            _alert_silent(connection, batch, silent, now)


def give_up(engine: Engine, batch: Batch, reason: str, *, now: datetime) -> bool:
    """A report that could not be read for a day: its items go again with the next run. Whether it is so old."""
    with engine.begin() as connection:
        if not connection.execute(_GIVE_UP, {"batch": batch.batch_id, "now": now, "reason": reason}).rowcount:
            return False
        raise_alert(
            connection,
            key=f"catalog:batch:{batch.batch_id}",
            severity="critical",
            title=f"No report of catalog batch {batch.batch_id} can be read: {reason}"[:500],
            what_to_do="Its items go again with the next run; if that ends so too, ask Amazon with the ingestion id.",
            now=now,
            subject=str(batch.batch_id),
            store_id=batch.store_id,
        )
    return True


def _alert_silent(connection: Connection, batch: Batch, count: int, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"catalog:silent:{batch.batch_id}",
        severity="warning",
        title=f"Amazon's report of catalog batch {batch.batch_id} says nothing of {count} of its items",
        what_to_do=f"They go again with the next run; if they stay silent, ask Amazon about {batch.ingestion_id}.",
        now=now,
        subject=str(batch.batch_id),
        store_id=batch.store_id,
    )


def _download(client: CatalogClient, batch: Batch, fetch: Callable[[str], bytes | None]) -> bytes:
    """By the link that is known while it lives, else by a new one."""
    assert batch.ingestion_id is not None
    if batch.link is not None and (content := fetch(batch.link)) is not None:
        return content
    for _ in range(_LINKS):
        _, link = client.status(batch.ingestion_id)
        if link is None:
            break
        if (content := fetch(link)) is not None:
            return content
    raise ReportMissing(f"catalog batch {batch.batch_id} ({batch.ingestion_id}) is done, but has no report to read")


def items_of(ingestion_id: str, content: bytes) -> list[dict[str, Any]]:
    """The report's items that can be read, each by itself.

    Raises ReportMissing where the report as a whole can't be read or is another's.
    """
    try:
        report = json.loads(content)
        if report["ingestionId"] != ingestion_id:
            raise ReportMissing(f"the report of {ingestion_id} is that of {report['ingestionId']}")
        items = list(report["items"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReportMissing(f"the report of {ingestion_id} is not readable: {error}") from error
    return [item for item in items if _readable(item)]


def _readable(item: Any) -> bool:
    """Whether it says what became of which item; one that does not is as if it were not in the report."""
    if not isinstance(item, dict) or item.get("status") not in ("ACCEPTED", "REJECTED"):
        return False
    named = [item.get("item_sku"), item.get("store_id") or "", *(item.get(name) or "" for name in _WORDS)]
    return all(isinstance(word, str) and "\x00" not in word and _can_be_kept(word) for word in named)


def _can_be_kept(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def stage(connection: Connection, items: list[dict[str, Any]]) -> None:
    """Into the temporary table `reported_item`, until the transaction's end."""
    connection.execute(
        text(
            "create temporary table reported_item (item_sku text, store_id text, status text, error_code text,"
            " error_message text) on commit drop"
        )
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy("copy reported_item from stdin") as copy:
        for item in items:
            copy.write_row([item.get(name) for name in ("item_sku", "store_id", "status", *_WORDS)])


# Of an archive: not there any more, or never, is what was asked for.
_AS_ASKED: Final = """coalesce(b.status = 'ACCEPTED' or b.error_code like '%ALREADY_ARCHIVED%'
        or b.error_code like '%SKU_NOT_FOUND%', false)"""

# An archive is for all stores; should the report not name one, its word holds for each. Of two words about an item the
# rejection counts: it goes again once it is corrected, and nothing is taken for accepted that may not be.
_RECORD = text(
    """
    update catalog_batch_item b set status = r.status, error_code = r.error_code, error_message = r.error_message
    from (select distinct on (item_sku, store_id) * from reported_item order by item_sku, store_id, status desc) r
    where b.batch_id = :batch and b.item_sku = r.item_sku and b.store_id = coalesce(r.store_id, b.store_id)
    """
)

# The report of an older batch that comes late does not undo a newer one's.
_ACCEPT_UPLOAD = text(
    """
    insert into catalog_accepted (store_id, item_sku, content_hash, batch_id, accepted_at)
    select store_id, item_sku, content_hash, batch_id, :now from catalog_batch_item
    where batch_id = :batch and status = 'ACCEPTED'
    on conflict (store_id, item_sku) do update set content_hash = excluded.content_hash,
        batch_id = excluded.batch_id, accepted_at = excluded.accepted_at, archived = false
    where excluded.batch_id > catalog_accepted.batch_id
    """
)

# What no report had accepted before becomes known as archived too.
_ACCEPT_ARCHIVE = text(
    f"""
    insert into catalog_accepted as a (store_id, item_sku, content_hash, batch_id, accepted_at, archived)
    select store_id, item_sku, content_hash, batch_id, :now, true from catalog_batch_item b
    where batch_id = :batch and {_AS_ASKED}
    on conflict (store_id, item_sku) do update set archived = true, batch_id = excluded.batch_id,
        accepted_at = excluded.accepted_at
    where excluded.batch_id > a.batch_id
    """  # noqa: S608
)

# The newest word on an item counts, whichever way it went.
_NOT_REFUSED_ANY_MORE = text(
    f"""
    delete from catalog_refusal r using catalog_batch_item b
    where b.batch_id = :batch and b.batch_id > r.batch_id and {_AS_ASKED}
        and r.store_id = b.store_id and r.item_sku = b.item_sku
    """  # noqa: S608
)

_REFUSE = text(
    f"""
    insert into catalog_refusal (store_id, item_sku, kind, content_hash, batch_id, error_code, error_message,
        refused_at)
    select b.store_id, b.item_sku, c.kind, b.content_hash, b.batch_id, b.error_code, b.error_message, :now
    from catalog_batch_item b join catalog_batch c using (batch_id)
    where b.batch_id = :batch and b.status = 'REJECTED' and not (c.kind = 'ARCHIVE' and {_AS_ASKED})
    on conflict (store_id, item_sku) do update set kind = excluded.kind, content_hash = excluded.content_hash,
        batch_id = excluded.batch_id, error_code = excluded.error_code, error_message = excluded.error_message,
        refused_at = excluded.refused_at
    where excluded.batch_id > catalog_refusal.batch_id
    """  # noqa: S608
)

_SETTLE = text(
    """
    update catalog_batch set settled_at = :now, reason = (
        select nullif(concat_ws(', ', case when rejected > 0 then rejected || ' items rejected' end,
            case when silent > 0 then silent || ' items not in the report' end), '')
        from (select count(*) filter (where status = 'REJECTED') as rejected,
            count(*) filter (where status is null) as silent
            from catalog_batch_item where batch_id = :batch) as counted)
    where batch_id = :batch
    returning (select count(*) from catalog_batch_item where batch_id = :batch and status is null)
    """
)

# By the database's clock. What became of the items is unknown.
_GIVE_UP = text(
    """
    update catalog_batch set state = 'UNKNOWN', settled_at = :now, reason = :reason
    where batch_id = :batch and settled_at is null and state = 'DONE'
        and called_at < clock_timestamp() - interval '1 day'
    """
)
