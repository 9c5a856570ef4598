"""What a run does to the breaks: opens what is new, closes what is gone, and lets stand what a person has decided."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

ACTOR: Final = "reconciliation"

# Whoever decides about a break waits until the run is over, and then decides about what it found.
_LOCK: Final = text("""
    select break_id from reconciliation_break where store_id = :store_id and business_date = :day
    order by break_id for update
""")
# What stands of each break that the run found (temporary table found_break), before the run touches it. A difference
# that was not known before is not another one.
_COMPARE: Final = text("""
    create temporary table kept_break on commit drop as
    select f.*, b.break_id,
           case when b.break_id is null then 'OPENED'
                when b.resolution is null and same then 'SEEN'
                when b.resolution is null then 'CHANGED'
                when b.resolution <> 'LATER_DATA' and same then 'DECIDED'
                else 'OPENED_AGAIN' end as news
    from found_break f
    left join reconciliation_break b
           on b.store_id = :store_id and b.business_date = :day and b.shopping_trip_id = f.shopping_trip_id
          and b.line_number = f.line_number and b.kind = f.kind
    cross join lateral (select (b.ours, b.theirs, coalesce(b.difference, f.difference)) is not distinct from
                               (f.ours, f.theirs, f.difference) as same) as compared
""")
_DIFFERS: Final = text("""
    select exists (select from kept_break where news not in ('SEEN', 'DECIDED'))
    or exists (
        select from reconciliation_break b
        where b.store_id = :store_id and b.business_date = :day and b.closed_at is null
          and b.shopping_trip_id in (select shopping_trip_id from judged_trip)
          and not exists (select from found_break f where f.shopping_trip_id = b.shopping_trip_id
                            and f.line_number = b.line_number and f.kind = b.kind))
""")
_OPEN: Final = text("""
    with opened as (
        insert into reconciliation_break
            (store_id, business_date, shopping_trip_id, line_number, kind, ours, theirs, difference, currency,
             explanation, opened_at, last_seen_at)
        select cast(:store_id as text), cast(:day as date), shopping_trip_id, line_number, kind, ours, theirs,
               difference, currency, explanation, cast(:now as timestamptz), cast(:now as timestamptz)
        from kept_break where news = 'OPENED' order by shopping_trip_id, line_number, kind
        returning break_id, ours, theirs, difference
    )
    insert into reconciliation_break_event (break_id, at, actor, kind, ours, theirs, difference)
    select break_id, cast(:now as timestamptz), :actor, 'OPENED', ours, theirs, difference from opened
""")
# What a break's write-off gave up of the books and still stands there, to be taken back.
_TAKEN_BACK: Final = """
    left join lateral (
        select -sum(e.given_up) as amount, (array_agg(e.given_up_of order by e.event_id desc))[1] as asset
        from reconciliation_break_event e
        where e.break_id = {break_id} and e.given_up is not null having sum(e.given_up) <> 0
    ) back on {when}
"""
_REFRESH: Final = text(f"""
    with told as (
        insert into reconciliation_break_event
            (break_id, at, actor, kind, ours, theirs, difference, given_up, given_up_of, to_book)
        select k.break_id, cast(:now as timestamptz), :actor, k.news, k.ours, k.theirs, k.difference, back.amount,
               back.asset, back.amount is not null
        from kept_break k {_TAKEN_BACK.format(break_id="k.break_id", when="k.news = 'OPENED_AGAIN'")}
        where k.news in ('CHANGED', 'OPENED_AGAIN')
    )
    update reconciliation_break b set
        ours = k.ours, theirs = k.theirs, difference = k.difference, currency = k.currency,
        explanation = k.explanation, last_seen_at = :now,
        times_opened = b.times_opened + case when k.news = 'OPENED_AGAIN' then 1 else 0 end,
        closed_at = case when k.news = 'DECIDED' then b.closed_at end,
        resolution = case when k.news = 'DECIDED' then b.resolution end,
        resolved_by = case when k.news = 'DECIDED' then b.resolved_by end,
        resolved_reason = case when k.news = 'DECIDED' then b.resolved_reason end
    from kept_break k
    where k.break_id = b.break_id and k.news <> 'OPENED'
""")  # noqa: S608 - constants of this file only
# A break that was written off closes anew where the money came after all: what was given up is taken back.
_CLOSE: Final = text(f"""
    with closed as (
        update reconciliation_break b set closed_at = :now, resolution = 'LATER_DATA', resolved_by = :actor,
               resolved_reason = null
        where b.store_id = :store_id and b.business_date = :day
          and (b.closed_at is null or b.resolution = 'WRITTEN_OFF' and (
              select sum(e.given_up) from reconciliation_break_event e where e.break_id = b.break_id) <> 0)
          and (:whole or b.shopping_trip_id in (select shopping_trip_id from judged_trip))
          and not exists (
            select from found_break f
            where f.shopping_trip_id = b.shopping_trip_id and f.line_number = b.line_number and f.kind = b.kind)
        returning break_id, ours, theirs, difference
    ), told as (
        insert into reconciliation_break_event
            (break_id, at, actor, kind, ours, theirs, difference, given_up, given_up_of, to_book)
        select c.break_id, cast(:now as timestamptz), :actor, 'CLOSED_BY_LATER_DATA', c.ours, c.theirs, c.difference,
               back.amount, back.asset, back.amount is not null
        from closed c {_TAKEN_BACK.format(break_id="c.break_id", when="true")}
    )
    select count(*) from closed
""")  # noqa: S608 - constants of this file only
# A trip whose every break has been decided by a person is settled, unless it waits for something else.
_SETTLE: Final = text("""
    update judged_trip j set outcome = case when j.waits then 'EXPECTED' else 'MATCHED' end,
           note = concat_ws('; ', d.how, nullif(j.note, ''))
    from (
        select k.shopping_trip_id, string_agg(distinct
                   case b.resolution when 'FORCE_MATCHED' then 'force-matched by ' else 'written off by ' end
                   || b.resolved_by, '; ') as how
        from kept_break k left join reconciliation_break b on b.break_id = k.break_id
        group by k.shopping_trip_id having bool_and(k.news = 'DECIDED')
    ) d
    where j.shopping_trip_id = d.shopping_trip_id
""")


def compare(connection: Connection, store_id: str, business_date: date) -> None:
    """Holds what was found against what stands (temporary table kept_break), and settles trips that are decided."""
    connection.execute(text("drop table if exists pg_temp.kept_break"))
    connection.execute(_LOCK, {"store_id": store_id, "day": business_date})
    connection.execute(_COMPARE, {"store_id": store_id, "day": business_date})
    connection.execute(_SETTLE)


def differs(connection: Connection, store_id: str, business_date: date) -> bool:
    """Whether, of the trips that were judged, a break is new, another or gone; after `compare`."""
    return bool(connection.execute(_DIFFERS, {"store_id": store_id, "day": business_date}).scalar_one())


def keep(
    connection: Connection, store_id: str, business_date: date, now: datetime, *, whole: bool = True
) -> tuple[int, int]:
    """(breaks opened or opened again, breaks closed) by this run; after `compare`.

    `whole`: all trips of the day were judged; else breaks of the others are left as they are.
    """
    day = {"store_id": store_id, "day": business_date, "now": now, "actor": ACTOR, "whole": whole}
    opened = connection.execute(_OPEN, day).rowcount
    connection.execute(_REFRESH, day)
    again = connection.execute(text("select count(*) from kept_break where news = 'OPENED_AGAIN'")).scalar_one()
    closed = connection.execute(_CLOSE, day).scalar_one()
    connection.execute(text("drop table pg_temp.kept_break"))
    return int(opened) + int(again), int(closed)
