"""The questions of the verification that the database answers: each gives (subject, what, expected, found), if any."""

from __future__ import annotations

from typing import Final

from sqlalchemy import TextClause, text

from backroom.ledger.accounts import Account

_NAMES: Final = ", ".join(f"'{account}'" for account in Account)
_TAX_AND_REFUNDS: Final = f"{Account.TAX_PAYABLE} + {Account.REFUNDS}"
_SOURCES: Final = (("charge_event", "event_id"), ("debt_event", "event_id"), ("refund_event", "event_id"))


def _query(sql: str) -> TextClause:
    return text(sql.replace(":", "\\:"))


_IN_BALANCE: Final = """
    select 'transaction ' || transaction_id as subject, 'sum of its ' || currency || ' postings' as what,
           0.0 as expected, sum(amount) as found
    from ledger_posting group by transaction_id, currency having sum(amount) <> 0
"""
_WHOLE: Final = """
    select 'transaction ' || transaction_id as subject, 'its postings' as what, 'some' as expected, 'none' as found
    from ledger_transaction t
    where not exists (select from ledger_posting p where p.transaction_id = t.transaction_id)
"""
_ACCOUNTS: Final = f"""
    select 'transaction ' || p.transaction_id as subject, 'account and currency' as what,
           'an account of the chart, ' || s.currency as expected, p.account || ', ' || p.currency as found
    from ledger_posting p join ledger_transaction t using (transaction_id) join store s using (store_id)
    where p.account not in ({_NAMES}) or p.currency <> s.currency
"""  # noqa: S608 - constants of the code


def _orphans(table: str, key: str) -> str:
    return f"""
    select 'transaction ' || t.transaction_id as subject, 'what it books' as what,
           'an event of trip ' || coalesce(t.shopping_trip_id, '?') as expected, t.source as found
    from ledger_transaction t
    where starts_with(t.source, '{table}:') and not exists (
        select from {table} e
        where '{table}:' || e.{key} = t.source and e.shopping_trip_id = t.shopping_trip_id)
    """  # noqa: S608 - constants of the code


_NO_BREAK: Final = """
    select 'transaction ' || t.transaction_id as subject, 'what it books' as what,
           'what a break of trip ' || coalesce(t.shopping_trip_id, '?') || ' gave up' as expected, t.source as found
    from ledger_transaction t
    where starts_with(t.source, 'break:') and not exists (
        select from reconciliation_break_event e join reconciliation_break b using (break_id)
        where 'break:' || e.break_id || ':' || e.event_id = t.source and b.shopping_trip_id = t.shopping_trip_id
          and e.given_up is not null)
"""
# Each thing that a break gave up or took back is booked over its amount.
_GIVEN_UP: Final = f"""
    select 'break ' || b.break_id || ' (trip ' || b.shopping_trip_id || ')' as subject,
           'its write-off, event ' || e.event_id as what, e.given_up as expected,
           coalesce(sum(p.amount), 0) as found
    from reconciliation_break_event e join reconciliation_break b using (break_id) join store s using (store_id)
    left join ledger_transaction t on t.source = 'break:' || e.break_id || ':' || e.event_id
    left join ledger_posting p on p.transaction_id = t.transaction_id and p.account = '{Account.WRITE_OFF}'
    where e.given_up is not null and not e.to_book and not s.test
    group by b.break_id, e.event_id
    having coalesce(sum(p.amount), 0) <> e.given_up
"""  # noqa: S608 - constants of the code
# What a break gave up stands as long as the decision does.
_STILL_GIVEN_UP: Final = """
    select 'break ' || b.break_id || ' (trip ' || b.shopping_trip_id || ')' as subject,
           'given up, as it is ' || coalesce(b.resolution, 'OPEN') as what, 0.0 as expected, sum(e.given_up) as found
    from reconciliation_break b join reconciliation_break_event e using (break_id)
    where e.given_up is not null and b.resolution is distinct from 'WRITTEN_OFF'
    group by b.break_id having sum(e.given_up) <> 0
"""
# A refund stands by its events: what came after the last reversal counts.
_REFUNDS: Final = """
    refunded as (
        select r.refund_id, r.shopping_trip_id, r.instrument, r.amount, r.state, q.is_return,
               bool_or(e.kind = 'DEBT_REDUCED') as reduced,
               coalesce(bool_or(e.kind = 'FINAL' and e.event_id > coalesce(back.event_id, 0)), false) as final,
               coalesce(bool_or(e.kind = 'INITIATED' and e.event_id > coalesce(back.event_id, 0)), false) as initiated,
               min(e.amount) as least, max(e.amount) as most
        from refund r join refund_request q using (request_id)
        left join lateral (select max(b.event_id) as event_id from refund_event b
                           where b.refund_id = r.refund_id and b.kind = 'REVERSED') back on true
        left join refund_event e using (refund_id)
        group by r.refund_id, q.is_return
    )
"""
_OWED: Final = """
    owed as (
        select shopping_trip_id, sum(case kind when 'DEBT_OPENED' then amount else -amount end) as amount
        from charge_event where kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN') group by 1
    )
"""
# Trips whose news is all booked; test stores stay out of the books.
_TRIPS: Final = """
    marked as (
        select shopping_trip_id from charge where to_book
        union select shopping_trip_id from debt_event where to_book
        union select shopping_trip_id from refund_event where to_book
        union select b.shopping_trip_id from reconciliation_break_event e join reconciliation_break b using (break_id)
              where e.to_book
    ), checked as (
        select c.*, s.test from charge c join store s using (store_id)
        where not exists (select from marked where marked.shopping_trip_id = c.shopping_trip_id)
    )
"""
# Each trip's accounts by the ledger, against what its rows and events add up to.
_BY_TRIP: Final = f"""
    with {_REFUNDS}, {_OWED}, {_TRIPS}, booked as (
        select t.shopping_trip_id, case when p.account in ('{Account.TAX_PAYABLE}', '{Account.REFUNDS}')
               then '{_TAX_AND_REFUNDS}' else p.account end as account, sum(p.amount) as amount
        from ledger_transaction t join ledger_posting p using (transaction_id)
        where p.account not in ('{Account.UNBILLED}', '{Account.UNBILLED_OFFSET}')
          and not exists (select from marked where marked.shopping_trip_id = t.shopping_trip_id)
        group by 1, 2
    ), paid_off as (
        select shopping_trip_id,
               coalesce(sum(amount) filter (where kind = 'RECOVERED'), 0) as recovered,
               coalesce(sum(amount) filter (where kind = 'WRITTEN_OFF'), 0)
                   - coalesce(sum(amount) filter (where kind = 'WRITE_OFF_UNDONE'), 0) as written_off
        from debt_event group by 1
    ), of_breaks as (
        select b.shopping_trip_id,
               coalesce(sum(e.given_up) filter (where e.given_up_of = '{Account.CARD_CLEARING}'), 0) as clearing,
               coalesce(sum(e.given_up) filter (where e.given_up_of = '{Account.SHOPPER_RECEIVABLE}'), 0) as receivable
        from reconciliation_break_event e join reconciliation_break b using (break_id)
        where e.given_up is not null group by 1
    ), taxes as (
        select shopping_trip_id, sum(tax_amount) as amount from purchase_line group by 1
    ), given_back as (
        select shopping_trip_id,
               coalesce(sum(amount) filter (where not is_return and (reduced or initiated or final)), 0) as of_sales,
               coalesce(sum(amount) filter (where is_return and (initiated or final)), 0) as of_returns,
               coalesce(sum(amount) filter (where final and not coalesce(reduced, false)), 0) as final,
               coalesce(sum(amount) filter (where initiated and not final), 0) as begun
        from refunded group by 1
    ), trips as (
        select c.shopping_trip_id, c.capture_initiated, c.captured, coalesce(o.amount, 0) as owed, p.state as sold_as,
               coalesce(p.total, 0) as total, coalesce(p.list_total - p.tax_included_total, 0) as sold,
               coalesce(p.promotion_total, 0) as promotions, case when p.total is null then 0
               else coalesce(x.amount, 0) end as tax,
               coalesce(d.paid, 0) as paid, coalesce(d.reduced, 0) as reduced, coalesce(d.returned, 0) as returned,
               coalesce(d.written_off, 0) as given_up, coalesce(f.recovered, 0) as recovered,
               coalesce(f.written_off, 0) as written_off, coalesce(g.of_sales, 0) as of_sales,
               coalesce(g.of_returns, 0) as of_returns, coalesce(g.final, 0) as refund_final,
               coalesce(g.begun, 0) as refund_begun, coalesce(b.clearing, 0) as clearing_given_up,
               coalesce(b.receivable, 0) as receivable_given_up
        from checked c
        left join purchase p on p.shopping_trip_id = c.shopping_trip_id and p.currency = c.currency
        left join owed o on o.shopping_trip_id = c.shopping_trip_id
        left join taxes x on x.shopping_trip_id = c.shopping_trip_id
        left join debt d on d.shopping_trip_id = c.shopping_trip_id
        left join paid_off f on f.shopping_trip_id = c.shopping_trip_id
        left join given_back g on g.shopping_trip_id = c.shopping_trip_id
        left join of_breaks b on b.shopping_trip_id = c.shopping_trip_id
        where not c.test
    ), expected as (
        select shopping_trip_id, e.account, e.amount
        from trips, lateral (values
            ('{Account.SALES}', -sold), ('{Account.PROMOTIONS}', promotions), ('{_TAX_AND_REFUNDS}', of_sales - tax),
            ('{Account.SETTLED_OTHERWISE}', case when sold_as = 'SETTLED_OTHERWISE' then total else 0 end),
            ('{Account.SHOPPER_RECEIVABLE}', case when sold_as = 'SETTLED_OTHERWISE' then 0 else total end
                - capture_initiated - captured - owed),
            ('{Account.CARD_CLEARING_INITIATED}', capture_initiated), ('{Account.CARD_CLEARING}', captured),
            ('{Account.REFUND_CLEARING_INITIATED}', -refund_begun), ('{Account.REFUND_CLEARING}', -refund_final),
            ('{Account.BAD_DEBT_RECEIVABLE}', owed + returned - paid - reduced - given_up),
            ('{Account.PAYOFF_RECEIPTS}', paid), ('{Account.OWED_TO_SHOPPERS}', of_returns - returned),
            ('{Account.WRITE_OFF}', written_off + clearing_given_up + receivable_given_up),
            ('{Account.CARD_CLEARING_WRITTEN_OFF}', -clearing_given_up),
            ('{Account.RECEIVABLE_WRITTEN_OFF}', -receivable_given_up), ('{Account.RECOVERY}', -recovered)
        ) as e (account, amount)
    )
    select 'trip ' || coalesce(e.shopping_trip_id, b.shopping_trip_id, '?') as subject,
           coalesce(e.account, b.account) as what, coalesce(e.amount, 0) as expected, coalesce(b.amount, 0) as found
    from expected e full join booked b on b.shopping_trip_id = e.shopping_trip_id and b.account = e.account
    where coalesce(e.amount, 0) <> coalesce(b.amount, 0)
"""  # noqa: S608 - constants of the code
# How tax and net of a refund were told apart: nothing more than was sold; nothing left where all was given back.
_TAX: Final = f"""
    with {_REFUNDS}, {_TRIPS}, sold as (
        select l.shopping_trip_id, coalesce(l.tax_jurisdiction, '') as jurisdiction, sum(l.tax_amount) as amount
        from purchase_line l where l.tax_amount is not null group by 1, 2
    ), booked as (
        select t.shopping_trip_id, p.detail as jurisdiction, -sum(p.amount) as amount
        from ledger_transaction t join ledger_posting p using (transaction_id)
        where p.account = '{Account.TAX_PAYABLE}' group by 1, 2
    ), given_back as (
        select shopping_trip_id, sum(amount) as amount from refunded
        where not is_return and (reduced or initiated or final) group by 1
    )
    select 'trip ' || c.shopping_trip_id as subject, '{Account.TAX_PAYABLE} ' || s.jurisdiction as what,
           case when g.amount is null then s.amount when b.amount > s.amount then s.amount else 0 end as expected,
           coalesce(b.amount, 0) as found
    from checked c join purchase p using (shopping_trip_id) join sold s using (shopping_trip_id)
    left join booked b on b.shopping_trip_id = s.shopping_trip_id and b.jurisdiction = s.jurisdiction
    left join given_back g on g.shopping_trip_id = c.shopping_trip_id
    where not c.test and p.currency = c.currency and case
        when g.amount is null then coalesce(b.amount, 0) <> s.amount
        when g.amount >= p.total then coalesce(b.amount, 0) <> 0
        else coalesce(b.amount, 0) not between 0 and s.amount end
"""  # noqa: S608 - constants of the code
_PAYOFFS: Final = f"""
    with {_TRIPS}, booked as (
        select t.shopping_trip_id, p.detail as method, sum(p.amount) as amount
        from ledger_transaction t join ledger_posting p using (transaction_id)
        where p.account = '{Account.PAYOFF_RECEIPTS}' group by 1, 2
    ), took as (
        select f.shopping_trip_id, f.method, sum(f.amount) as amount from payoff f
        where f.state = 'PAID' group by 1, 2
    )
    select 'trip ' || c.shopping_trip_id as subject, 'payoffs by ' || coalesce(t.method, b.method) as what,
           coalesce(t.amount, 0) as expected, coalesce(b.amount, 0) as found
    from (took t full join booked b on b.shopping_trip_id = t.shopping_trip_id and b.method = t.method)
    join checked c on c.shopping_trip_id = coalesce(t.shopping_trip_id, b.shopping_trip_id) and not c.test
    where coalesce(t.amount, 0) <> coalesce(b.amount, 0)
"""  # noqa: S608 - constants of the code
# A debt's columns and state against its history.
_DEBTS: Final = """
    with told as (
        select shopping_trip_id,
               coalesce(sum(amount) filter (where kind in ('PAID', 'RECOVERED')), 0) as paid,
               coalesce(sum(amount) filter (where kind = 'REDUCED'), 0) as reduced,
               coalesce(sum(amount) filter (where kind = 'WRITTEN_OFF'), 0)
                   - coalesce(sum(amount) filter (where kind in ('WRITE_OFF_UNDONE', 'RECOVERED')), 0) as written_off,
               coalesce(sum(amount) filter (where kind = 'PAYOFF_RETURNED'), 0) as returned,
               bool_or(kind = 'FORGIVEN') as forgiven
        from debt_event group by 1
    )
    select 'trip ' || coalesce(d.shopping_trip_id, t.shopping_trip_id) as subject, 'debt, ' || one.what as what,
           one.expected, one.found
    from debt d full join told t using (shopping_trip_id), lateral (values
        ('paid', cast(coalesce(t.paid, 0) as text), cast(coalesce(d.paid, 0) as text)),
        ('reduced', cast(coalesce(t.reduced, 0) as text), cast(coalesce(d.reduced, 0) as text)),
        ('written off', cast(coalesce(t.written_off, 0) as text), cast(coalesce(d.written_off, 0) as text)),
        ('returned', cast(coalesce(t.returned, 0) as text), cast(coalesce(d.returned, 0) as text)),
        ('forgiven', cast(coalesce(t.forgiven, false) as text), cast(d.forgiven_at is not null as text)),
        ('its state', case when d.outstanding > 0 then 'OPEN' when d.written_off > 0 then 'WRITTEN_OFF' else 'PAID' end,
            d.state)
    ) as one (what, expected, found)
    where case when pg_input_is_valid(one.expected, 'numeric') and pg_input_is_valid(one.found, 'numeric')
          then cast(one.expected as numeric) <> cast(one.found as numeric)
          else one.expected is distinct from one.found end
"""
_REFUND_ROWS: Final = f"""
    with {_REFUNDS}
    select 'refund ' || refund_id || ' (trip ' || shopping_trip_id || ')' as subject, one.what, one.expected, one.found
    from refunded, lateral (values
        ('refund, its state by its events',
         case when reduced or final then 'FINAL' when initiated then 'INITIATED' else 'not begun' end,
         case when state in ('FINAL', 'INITIATED') then state
              when state in ('DUE', 'UNKNOWN', 'PARKED') and initiated then 'INITIATED'  -- asked for again
              else 'not begun' end),
        ('refund, its amount by its events', cast(amount as text),
         cast(case when least <> amount then least when most <> amount then most else amount end as text))
    ) as one (what, expected, found)
    where one.expected <> one.found
"""  # noqa: S608 - constants of the code
_REDUCED: Final = f"""
    with {_REFUNDS}, by_refunds as (
        select shopping_trip_id, sum(amount) as amount from refunded where reduced group by 1
    ), by_debts as (
        select shopping_trip_id, sum(amount) as amount from debt_event where kind = 'REDUCED' group by 1
    )
    select 'trip ' || coalesce(r.shopping_trip_id, d.shopping_trip_id) as subject,
           'debt reduced, by its refunds' as what, coalesce(r.amount, 0) as expected, coalesce(d.amount, 0) as found
    from by_refunds r full join by_debts d using (shopping_trip_id)
    where coalesce(r.amount, 0) <> coalesce(d.amount, 0)
"""  # noqa: S608 - constants of the code
_CAPS: Final = """
    with given as (
        select shopping_trip_id, instrument, sum(amount) as amount from refund
        where instrument <> 'DEBT' and state in ('UNKNOWN', 'INITIATED', 'FINAL') group by 1, 2
    )
    select 'trip ' || g.shopping_trip_id as subject, 'refunds of ' || g.instrument || ', at most' as what,
           coalesce(case when g.instrument = 'CAPTURE' then c.captured else p.amount end, 0) as expected,
           g.amount as found
    from given g left join charge c using (shopping_trip_id)
    left join payoff p on 'PAYOFF:' || p.payoff_id = g.instrument and p.state = 'PAID'
    where g.amount > coalesce(case when g.instrument = 'CAPTURE' then c.captured else p.amount end, 0)
"""

QUERIES: Final = tuple(
    _query(sql)
    for sql in (
        _IN_BALANCE, _WHOLE, _ACCOUNTS, *(_orphans(*source) for source in _SOURCES), _NO_BREAK, _GIVEN_UP,
        _STILL_GIVEN_UP, _BY_TRIP, _TAX, _PAYOFFS, _DEBTS, _REFUND_ROWS, _REDUCED, _CAPS,
    )
)  # fmt: skip
