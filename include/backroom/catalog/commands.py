"""backroom catalog: status, diff, history, skus, rejections, refused, retry; and `sync`, as every night."""

from __future__ import annotations

import getpass
import json
import time
from datetime import UTC

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom import command_line
from backroom.amazon.catalog import CatalogClient
from backroom.catalog import difference, notifications, sending_again, source, sync
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.settings import settings
from backroom.stores.registry import require_store

app = typer.Typer(help="The product catalog and what Amazon has of it.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="for machines")
LIMIT = typer.Option(20, "--limit", min=1, help="show at most so many")


@app.command()
def status(
    run: int = typer.Option(0, "--run", help="the batches of one run, instead of the latest runs"),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """Show the latest runs, or one run's batches."""
    if run:
        command_line.show_query(
            "select batch_id, kind, store_id, state, item_count, tries, ingestion_id, sent_at, settled_at, reason"
            " from catalog_batch where run_id = :run order by batch_id limit :limit",
            {"run": run, "limit": limit},
            as_json=as_json,
        )
        return
    command_line.show_query(
        "select run_id, business_date, store_id, state, items_read, items_rejected, items_new, items_changed,"
        " items_unchanged, items_gone, items_refused, array_to_string(held_stores, ', ') as held_stores,"
        " (select count(*) from catalog_batch b where b.run_id = r.run_id) as batches,"
        " (select count(*) from catalog_batch b where b.run_id = r.run_id and b.settled_at is null) as open_batches,"
        " reason from catalog_run r order by run_id desc limit :limit",
        {"limit": limit},
        as_json=as_json,
    )


@app.command()
def diff(
    store: str = typer.Option(None, "--store", help="of one store only"),
    items: bool = typer.Option(False, "--items", help="the items themselves, without the unchanged ones"),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """Count what Amazon would be told now: new, changed, unchanged, gone; refused and under way apart."""
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
        if not items:
            found = difference.count(connection, store)
    if items:
        command_line.show_query(difference.ITEMS, {"store": store, "limit": limit}, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(found.__dict__))
    else:
        table = Table(*(name.replace("_", " ") for name in found.__dict__))
        table.add_row(*map(str, found.__dict__.values()))
        Console().print(table)


@app.command()
def history(sku: str, limit: int = LIMIT, as_json: bool = AS_JSON) -> None:
    """Show what was sent to Amazon about a product, the newest first, and what came of it."""
    check_reachable(engine())
    with engine().connect() as connection:
        if not connection.execute(
            text("select exists (select from catalog_item where item_sku = :sku)"), {"sku": sku}
        ).scalar():
            raise BackroomError(
                f"no store has a product {sku!r}; `backroom catalog skus --store STORE` lists a store's"
            )
    command_line.show_query(
        "select b.run_id, b.batch_id, b.kind, i.store_id, b.state, i.status, i.error_code, i.error_message, b.sent_at,"
        " left(i.content_hash, 12) as content from catalog_batch_item i join catalog_batch b using (batch_id)"
        " where i.item_sku = :sku order by b.batch_id desc, i.store_id limit :limit",
        {"sku": sku, "limit": limit},
        as_json=as_json,
    )


@app.command()
def skus(
    store: str = typer.Option(..., "--store", help="the store"), limit: int = LIMIT, as_json: bool = AS_JSON
) -> None:
    """List a store's products, one SKU a line."""
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
        found = connection.execute(
            text(
                "select item_sku from catalog_item where store_id = :store and not gone order by item_sku limit :limit"
            ),
            {"store": store, "limit": limit},
        ).scalars()
        listed = list(found)
    if not listed:
        raise BackroomError(f"the catalog has no product of store {store!r}; run `backroom catalog sync`")
    typer.echo(json.dumps(listed) if as_json else "\n".join(listed))


@app.command()
def rejections(
    run: int = typer.Option(0, "--run", help="a run's id; the newest by default"),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """Show the source's rows that can't be sent: file, line, field, reason."""
    command_line.show_query(
        "select file, line, store_id, item_sku, field, reason from catalog_rejection"
        " where run_id = case when :run = 0 then (select max(run_id) from catalog_run) else :run end"
        " order by file, line limit :limit",
        {"run": run, "limit": limit},
        as_json=as_json,
    )


@app.command()
def refused(
    store: str = typer.Option(None, "--store", help="of one store only"), limit: int = LIMIT, as_json: bool = AS_JSON
) -> None:
    """Show what Amazon rejected and why: it goes again once the source has corrected it, or by `retry`."""
    command_line.show_query(
        "select store_id, item_sku, kind, error_code, error_message, refused_at, batch_id from catalog_refusal"
        " where cast(:store as text) is null or store_id = :store order by refused_at desc, store_id, item_sku"
        " limit :limit",
        {"store": store, "limit": limit},
        as_json=as_json,
    )


@app.command()
def retry(
    sku: str,
    reason: str = typer.Option(..., "--reason", help="why it may be accepted now; kept in the audit trail"),
    store: str = typer.Option(None, "--store", help="of one store only"),
    now: str = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default"),
) -> None:
    """Let a product that Amazon rejected go again as it is, with the next run."""
    moment, why = command_line.moment(now), command_line.needed(reason)
    check_reachable(engine())
    with engine().begin() as connection:
        count = sending_again.send_again(connection, sku, store_id=store, by=getpass.getuser(), reason=why, now=moment)
    typer.echo(f"{sku}: {count} items go again with the next run")


@app.command(name="sync")
def synchronise(
    folder: str = typer.Option(
        "", "--folder", help="a folder, s3://bucket/prefix or sql; the setting BACKROOM_CATALOG_SOURCE by default"
    ),
    store: str = typer.Option(None, "--store", help="one store only"),
    wait_seconds: int = typer.Option(600, "--wait", min=1, help="give up waiting for Amazon after so many seconds"),
    poll_seconds: float = typer.Option(1.0, "--poll", min=0.05, help="seconds between two questions for a status"),
    now: str = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default"),
    as_json: bool = AS_JSON,
) -> None:
    """Read the source, send the difference, wait for Amazon. Exits 1 where something was refused or a store is held."""
    moment = command_line.moment(now)
    check_reachable(engine())
    config = settings()
    place = source.configured(config, folder)
    source.require_place(place)
    with engine().connect() as connection:
        require_store(connection, store)
    with CatalogClient(config, engine()) as client:
        run_id = sync.start_run(
            engine(),
            source=place,
            business_date=moment.astimezone(UTC).date(),
            now=moment,
            store_id=store,
        )
        sync.upload(engine(), client, run_id=run_id, now=moment)
        deadline, box = time.monotonic() + wait_seconds, notifications.inbox(config)
        with Console(stderr=True).status(f"Amazon works on catalog run {run_id}"):
            while not sync.poll(engine(), client, run_id=run_id, now=moment, box=box):
                if time.monotonic() > deadline:
                    raise BackroomError(
                        f"Amazon is not done with catalog run {run_id} after {wait_seconds} s; "
                        "the next run follows it up, `backroom catalog status` shows where it stands"
                    )
                time.sleep(poll_seconds)
        summary = sync.apply_reports(engine(), client, run_id=run_id, now=moment)
    if as_json:
        typer.echo(json.dumps(summary.__dict__))
    else:
        held = f"; waiting for a person: {', '.join(summary.held)} (`backroom review list`)" if summary.held else ""
        typer.echo(
            f"catalog run {summary.run_id}: {summary.items_sent} items sent in {summary.batches} batches,"
            f" {summary.accepted} accepted, {summary.rejected} rejected, {summary.batches_failed} batches failed{held}"
        )
    raise typer.Exit(1 if summary.batches_failed or summary.rejected or summary.held else 0)
