"""Booking what happened to charges: sales, captures, debts; whole sets of trips by a few statements each round."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, TextClause, text

from backroom.ledger.accounts import AMAZONS, Account, Booking

AT_ONCE: Final = 5000  # charges booked by one round of statements

# `skip locked`: a charge whose news is just being written keeps its mark for the next run
_TAKE: Final = text(
    """
    with marked as (
        select shopping_trip_id from charge where to_book order by shopping_trip_id limit :at_once
        for update skip locked
    )
    update charge c set to_book = false from marked where c.shopping_trip_id = marked.shopping_trip_id
    returning c.shopping_trip_id
    """
)

# What stands in the ledger for each of the trips, before the statement that it is part of.
_STANDING: Final = f"""
    standing as (
        select t.shopping_trip_id,
               coalesce(sum(p.amount) filter (where p.account = '{Account.CARD_CLEARING_INITIATED}'), 0) as initiated,
               coalesce(sum(p.amount) filter (where p.account = '{Account.CARD_CLEARING}'), 0) as cleared,
               count(*) filter (where t.kind like 'CAPTURE_%') as capture_postings,
               max(p.detail) filter (where p.account in
                   ('{Account.CARD_CLEARING_INITIATED}', '{Account.CARD_CLEARING}')) as processor,
               max(t.transaction_id) filter (where t.kind in
                   ('{Booking.CAPTURE_INITIATED}', '{Booking.CAPTURE_FINAL}')) as last_capture
        from ledger_transaction t join ledger_posting p using (transaction_id)
        where t.shopping_trip_id = any(:trips)
        group by t.shopping_trip_id
    )
"""  # noqa: S608 - constants of this file only
# Events of the trips that no transaction has booked; test stores stay out of the books.
_UNBOOKED: Final = f"""
    unbooked as (
        select e.*, c.store_id, s.time_zone, c.currency as charge_currency, c.captured, c.capture_initiated,
               case s.payment_processor when 'AMAZON' then '{AMAZONS}' else s.payment_processor end as stores_processor
        from charge_event e join charge c using (shopping_trip_id) join store s using (store_id)
        where e.shopping_trip_id = any(:trips) and not s.test
          and not exists (select from ledger_transaction t where t.source = 'charge_event:' || e.event_id)
    )
"""  # noqa: S608 - constants of the code
_EVENTS_DAY: Final = "(happened_at at time zone time_zone)::date"


def _booking(kind: str, chosen: str, postings: str, day: str = _EVENTS_DAY) -> TextClause:
    """A statement that books `chosen` events (columns of `unbooked`, and `reverses`) with `postings` each.

    `postings` is a list of SQL rows (account, detail, amount) over the columns of `chosen`; zero amounts are left out.
    """
    return text(
        f"""
        with {_STANDING}, {_UNBOOKED}, chosen as materialized ({chosen}), moved as materialized (
            select chosen.event_id, chosen.charge_currency, m.account, m.detail, m.amount
            from chosen cross join lateral ({postings}) as m (account, detail, amount)
            where m.amount <> 0
        ), booked as (
            insert into ledger_transaction
                (source, kind, store_id, shopping_trip_id, business_date, happened_at, reverses)
            select 'charge_event:' || event_id, {kind}, store_id, shopping_trip_id,
                   {day}, happened_at, reverses
            from chosen where event_id in (select event_id from moved)
            returning transaction_id, source
        ), posted as (
            insert into ledger_posting (transaction_id, posting_number, account, detail, amount, currency)
            select b.transaction_id, row_number() over (partition by b.transaction_id order by m.account, m.detail),
                   m.account, m.detail, m.amount, m.charge_currency
            from booked b join moved m on b.source = 'charge_event:' || m.event_id
        )
        select count(*) from booked
        """  # noqa: S608 - constants of this file only
    )


# Sales are without tax: what the shelf prices hold of it is owed to the tax office like tax on top of them.
_SALE: Final = _booking(
    f"'{Booking.SALE}'",
    """
    select distinct on (u.shopping_trip_id) u.*, p.business_date as sold_on, p.promotion_total,
           p.list_total - p.tax_included_total as sold, p.total, p.state as sold_as, null::bigint as reverses
    from unbooked u join purchase p using (shopping_trip_id)
    where u.kind = 'OPENED' and p.currency = u.charge_currency
    order by u.shopping_trip_id, u.event_id
    """,
    f"""
    select case chosen.sold_as when 'SETTLED_OTHERWISE' then '{Account.SETTLED_OTHERWISE}'
           else '{Account.SHOPPER_RECEIVABLE}' end, '', chosen.total
    union all select '{Account.PROMOTIONS}', '', chosen.promotion_total
    union all select '{Account.SALES}', '', -chosen.sold
    union all select '{Account.TAX_PAYABLE}', coalesce(l.tax_jurisdiction, ''), -sum(l.tax_amount)
              from purchase_line l where l.shopping_trip_id = chosen.shopping_trip_id and l.tax_amount is not null
              group by l.tax_jurisdiction
    """,  # noqa: S608 - constants of this file only
    day="sold_on",
)
# Late news of a beginning, heard after the end was booked, moves nothing any more.
_INITIATED: Final = _booking(
    f"'{Booking.CAPTURE_INITIATED}'",
    """
    select distinct on (u.shopping_trip_id) u.*, coalesce(standing.processor, u.stores_processor) as processor,
           null::bigint as reverses
    from unbooked u left join standing using (shopping_trip_id)
    where u.kind = 'CAPTURE_INITIATED' and coalesce(standing.initiated, 0) = 0 and coalesce(standing.cleared, 0) = 0
      and (u.capture_initiated > 0 or u.captured > 0 or coalesce(standing.capture_postings, 0) = 0)
    order by u.shopping_trip_id, u.event_id
    """,
    f"""
    select '{Account.CARD_CLEARING_INITIATED}', chosen.processor, chosen.amount
    union all select '{Account.SHOPPER_RECEIVABLE}', '', -chosen.amount
    """,
)
_FINAL: Final = _booking(
    f"'{Booking.CAPTURE_FINAL}'",
    """
    select distinct on (u.shopping_trip_id) u.*, coalesce(standing.initiated, 0) as initiated,
           coalesce(standing.cleared, 0) as cleared, coalesce(standing.processor, u.stores_processor) as processor,
           null::bigint as reverses
    from unbooked u left join standing using (shopping_trip_id)
    where u.kind = 'CAPTURE_APPROVED' and u.captured > 0 and coalesce(standing.cleared, 0) <> u.captured
    order by u.shopping_trip_id, u.event_id
    """,
    f"""
    select '{Account.CARD_CLEARING}', chosen.processor, chosen.captured - chosen.cleared
    union all select '{Account.CARD_CLEARING_INITIATED}', chosen.processor, -chosen.initiated
    union all select '{Account.SHOPPER_RECEIVABLE}', '', chosen.initiated + chosen.cleared - chosen.captured
    """,
)
_REVERSED: Final = _booking(
    f"'{Booking.CAPTURE_REVERSED}'",
    """
    select distinct on (u.shopping_trip_id) u.*, standing.initiated, standing.cleared, standing.processor,
           standing.last_capture as reverses
    from unbooked u join standing using (shopping_trip_id)
    where u.kind in ('CAPTURE_DECLINED', 'CAPTURE_RULED_OUT') and u.captured = 0
      and (u.capture_initiated = 0 or exists (
          select from unbooked again where again.shopping_trip_id = u.shopping_trip_id
            and again.kind = 'CAPTURE_INITIATED' and again.event_id > u.event_id))
      and (standing.initiated <> 0 or standing.cleared <> 0)
    order by u.shopping_trip_id, u.event_id desc
    """,
    f"""
    select '{Account.CARD_CLEARING_INITIATED}', chosen.processor, -chosen.initiated
    union all select '{Account.CARD_CLEARING}', chosen.processor, -chosen.cleared
    union all select '{Account.SHOPPER_RECEIVABLE}', '', chosen.initiated + chosen.cleared
    """,
)
_DEBT: Final = _booking(
    f"case kind when 'DEBT_OPENED' then '{Booking.DEBT_OPENED}' else '{Booking.DEBT_WITHDRAWN}' end",
    """
    select u.*, case u.kind when 'DEBT_OPENED' then u.amount else -u.amount end as owed, null::bigint as reverses
    from unbooked u where u.kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN')
    """,
    f"""
    select '{Account.BAD_DEBT_RECEIVABLE}', '', chosen.owed
    union all select '{Account.SHOPPER_RECEIVABLE}', '', -chosen.owed
    """,
)
# Begun, ruled out and begun again since the last run: the second beginning follows the reversal.
_IN_ORDER: Final = (_SALE, _INITIATED, _FINAL, _REVERSED, _INITIATED, _DEBT)


def post_charges(connection: Connection) -> int:
    """Books the marked charges' events; returns how many transactions that made."""
    posted = 0
    while trips := list(connection.execute(_TAKE, {"at_once": AT_ONCE}).scalars()):
        for statement in _IN_ORDER:
            posted += connection.execute(statement, {"trips": trips}).scalar_one()
    return posted
