"""A source that lacks or changes a large share of a store's products waits for a person: it may be cut short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.reviews.cases import open_case

KIND: Final = "CATALOG_CHANGE"
SEND: Final = "send"


@dataclass(frozen=True)
class Limits:
    """Percent of a store's products that may be gone or changed; so many `items` may always."""

    gone_percent: int
    changed_percent: int
    items: int


@dataclass(frozen=True)
class Excess:
    """A store whose source goes beyond a limit. `fingerprint` names exactly this content of its source."""

    store_id: str
    had: int
    gone: int
    changed: int
    fingerprint: str

    @property
    def subject(self) -> str:
        """What its case is about: the content, so that the decision holds for it and for no other."""
        return f"{self.store_id}:{self.fingerprint}"

    def __str__(self) -> str:
        return f"{self.gone} of the {self.had} products of store {self.store_id} gone, {self.changed} changed"


def hold_back(connection: Connection, *, run_id: int, limits: Limits, now: datetime) -> list[str]:
    """Takes the stores that go beyond a limit out of `different_item`, unless a person has said that it is meant.

    Asks about each, once for the same content. Returns the stores that were held back: they stay as they are, at
    Amazon and here; the others go on.
    """
    held = [excess for excess in _beyond(connection, limits) if _decision(connection, excess) != SEND]
    for excess in held:
        connection.execute(text("delete from different_item where store_id = :store"), {"store": excess.store_id})
        if _decision(connection, excess) is None:
            _ask(connection, excess, run_id, now)
    return [excess.store_id for excess in held]


def released(connection: Connection) -> dict[str, int]:
    """Stores whose held source a person has let on and which no run has read since, each with its case."""
    rows = connection.execute(_RELEASED, {"kind": KIND, "send": SEND}).all()
    return {row.store_id: row.case_id for row in rows}


def _beyond(connection: Connection, limits: Limits) -> list[Excess]:
    rows = connection.execute(
        _SHARES,
        {
            "items": limits.items,
            "gone_percent": limits.gone_percent,
            "changed_percent": limits.changed_percent,
        },
    ).all()
    return [
        Excess(
            row.store_id,
            row.had,
            row.gone,
            row.changed,
            connection.execute(_FINGERPRINT, {"store": row.store_id}).scalar_one(),
        )
        for row in rows
    ]


def _decision(connection: Connection, excess: Excess) -> str | None:
    return connection.scalar(_DECIDED, {"kind": KIND, "subject": excess.subject})


def _ask(connection: Connection, excess: Excess, run_id: int, now: datetime) -> None:
    opened = open_case(
        connection,
        kind=KIND,
        subject=excess.subject,
        store_id=excess.store_id,
        asked_by="catalog",
        question=f"Catalog run {run_id} finds {excess}. Is the source whole, and is that meant?",
        known={"run": run_id, "products": excess.had, "gone": excess.gone, "changed": excess.changed},
        choices=[
            (SEND, "the store's source counts as it is; what it lacks is archived once no store has it"),
            ("keep", "the store's catalog stays as it was until its source has other content"),
        ],
        now=now,
    )
    if opened is not None:
        raise_alert(
            connection,
            key=f"catalog-change:{excess.subject}",
            severity="critical",
            title=f"The catalog of store {excess.store_id} is not sent: {excess}",
            what_to_do=f"look at the source; then decide case {opened}: `backroom review decide {opened} send|keep`",
            now=now,
            subject=excess.store_id,
            store_id=excess.store_id,
        )


_SHARES = text(
    """
    with share as (
        select store_id, t.good - count(*) filter (where d.how = 'NEW') + count(*) filter (where d.how = 'GONE') as had,
            count(*) filter (where d.how = 'GONE') as gone,
            count(*) filter (where d.how in ('CHANGED', 'UNIT')) as changed
        from staged_store t join different_item d using (store_id)
        group by store_id, t.good
    )
    select store_id, had, gone, changed from share
    where (gone > :items and gone * 100 > had * :gone_percent)
        or (changed > :items and changed * 100 > had * :changed_percent)
    order by store_id
    """
)

# Whatever the order of the rows. 60 bits of each hash, added up, tell two contents apart well enough. The unit is no
# part of the record, but prices hang on it.
_FINGERPRINT = text(
    """
    select left(encode(sha256(convert_to(
        concat_ws(':', count(*), sum(('x' || left(content_hash, 15))::bit(60)::bigint),
            sum(hashtextextended(item_sku || ':' || unit, 0)::numeric) filter (where unit <> 'unit')),
        'UTF8')), 'hex'), 16)
    from staged_item where store_id = :store
    """
)

_DECIDED = text(
    "select decision from review_case where kind = :kind and subject = :subject and decision is not null"
    " order by case_id desc limit 1"
)

# A run in which the store was not held has read it since; a later case is about other content.
_RELEASED = text(
    """
    select c.store_id, max(c.case_id) as case_id from review_case c
    where c.kind = :kind and c.decision = :send
        and not exists (
            select from review_case l where l.kind = :kind and l.store_id = c.store_id and l.case_id > c.case_id)
        and not exists (
            select from catalog_run r
            where r.run_id > (c.known ->> 'run')::bigint and r.state not in ('READING', 'FAILED')
                and (r.store_id is null or r.store_id = c.store_id) and not c.store_id = any(r.held_stores))
    group by c.store_id order by c.store_id
    """
)
