"""The totals of a store's day, by SQL: what the report shows, frozen in the run's row. Amounts are exact text.

Nearly all of it is about the trips of that day, whenever their money moved: a capture that becomes final after
midnight belongs to the day of its trip. So each figure can be held against the ledger's postings about the same trips.
What happened on the day, whatever its trips are, is beside it (happened.py).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from backroom.feeds.completeness import windows
from backroom.ledger import unbilled_booking
from backroom.money import round_amount
from backroom.reconciliation import happened, ledger_checks, merging, outside_figures
from backroom.reconciliation.begun_refunds import STANDS
from backroom.reconciliation.sections import SECTIONS
from backroom.settings import settings

ZERO = Decimal(0)

Row = dict[str, Any]


def of_day(connection: Connection, *, store_id: str, business_date: date, now: datetime) -> Row:
    """Every figure of the report of that store and day, ready for JSON; its trips are judged. Ages are as of `now`."""
    store = connection.execute(
        text("select name, time_zone, currency, tax_jurisdiction, feeds, test from store where store_id = :store_id"),
        {"store_id": store_id},
    ).one()
    day = _Day(connection, store_id, business_date, store.currency)
    repeat = settings().authorization_repeat_offender_debts
    sections = {one.key: day.all(one.query, now=now, repeat=repeat) for one in SECTIONS if one.query is not None}
    on_the_day = happened.of_day(
        connection, store_id=store_id, business_date=business_date, zone=store.time_zone, currency=store.currency
    )
    found: Row = {
        "store": {
            "name": store.name,
            "time_zone": store.time_zone,
            "currency": store.currency,
            "jurisdiction": store.tax_jurisdiction,
            "feeds": list(store.feeds),
            "test": store.test,
        },
        "sales": day.one(SALES),
        "settlement": day.one(SETTLEMENT),
        "trips": day.all(TRIPS_BY_STATE),
        "hours": day.all(HOURS, zone=store.time_zone),
        "categories": _categories(sections["sales_by_entry"], store.currency),
        "tax": day.all(TAX),
        "amazon": day.one(outside_figures.AMAZON),
        "payouts": day.one(outside_figures.PAYOUTS) if day.one(outside_figures.OWN_PROCESSOR)["is_own"] else None,
        "breaks": day.all(BREAKS),
        "files": _files(day, store.time_zone) if "FILES" in store.feeds else None,
        "ledger": day.all(LEDGER),
        "posted": day.one(happened.TRANSACTIONS),
        "sections": sections | on_the_day.sections,
    }
    found["checks"] = _checks(found, store.currency, in_the_books=not store.test)
    if not store.test:
        memo = unbilled_booking.at_shelf_prices(connection, store_id=store_id, business_date=business_date)
        found["checks"] += ledger_checks.of_trips(found, memo_at_shelf_prices=memo)
        found["checks"] += ledger_checks.of_what_happened(on_the_day, store.currency)
    return found


class _Day:
    """Runs one query after another about the same store and day; money comes back as text in its currency's places."""

    def __init__(self, connection: Connection, store_id: str, business_date: date, currency: str) -> None:
        self.connection, self.currency = connection, currency
        self.business_date = business_date
        self.parameters = {"store_id": store_id, "business_date": business_date}

    def all(self, query: str, **more: Any) -> list[Row]:
        """Every row."""
        given = {name: value for name, value in (self.parameters | more).items() if f":{name}" in query}
        rows = self.connection.execute(text(query), given).mappings()
        return [{name: self._plain(value) for name, value in row.items()} for row in rows]

    def one(self, query: str, **more: Any) -> Row:
        """The one row of a query that has one."""
        return self.all(query, **more)[0]

    def _plain(self, value: Any) -> Any:
        return str(round_amount(value, self.currency)) if isinstance(value, Decimal) else value


# Sales are without tax, also where shelf prices hold it: list - promotions = net, net + tax = total.
SALES = """
    select count(*) as trips, count(*) filter (where sold) as priced,
           count(*) filter (where state = 'EMPTY') as empty,
           count(*) filter (where state in ('BAD_CART', 'NOT_CHARGEABLE')) as unpriced,
           coalesce(sum(list_total - tax_included_total) filter (where sold), 0) as list,
           coalesce(sum(promotion_total) filter (where sold), 0) as promotions,
           coalesce(sum(total - tax_total) filter (where sold), 0) as net,
           coalesce(sum(tax_total) filter (where sold), 0) as tax,
           coalesce(sum(total) filter (where sold), 0) as total,
           coalesce(sum(total) filter (where state = 'PRICED'), 0) as by_card,
           coalesce(sum(total) filter (where state = 'SETTLED_OTHERWISE'), 0) as otherwise,
           count(*) filter (where state = 'SETTLED_OTHERWISE') as trips_otherwise,
           coalesce(avg(total) filter (where sold), 0) as average_basket
    from (select *, state in ('PRICED', 'SETTLED_OTHERWISE') as sold from purchase
          where store_id = :store_id and business_date = :business_date) of_the_day
"""

# What became of each cent that was charged: the parts add up to the whole.
SETTLEMENT = f"""
    with given_back as (
        select coalesce(sum(r.amount) filter (where not q.is_return), 0) as of_sale,
               coalesce(sum(r.amount) filter (where r.instrument <> 'DEBT'), 0) as paid_back,
               coalesce(sum(r.amount) filter (where r.instrument = 'CAPTURE' and r.state = 'FINAL'), 0) as by_card
        from refund r join refund_request q using (request_id)
        join purchase p on p.shopping_trip_id = r.shopping_trip_id
        where p.store_id = :store_id and p.business_date = :business_date and {STANDS}
    ), parts as (
        select c.state, c.total, c.captured, c.capture_initiated as initiated, coalesce(d.amount, 0) as debt,
               coalesce(d.outstanding, 0) as debt_open,
               coalesce(d.paid, 0) as debt_paid,
               c.total - c.captured - c.capture_initiated - coalesce(d.amount, 0) as rest
        from purchase p join charge c using (shopping_trip_id) left join debt d using (shopping_trip_id)
        where p.store_id = :store_id and p.business_date = :business_date
    )
    select coalesce(sum(total), 0) as charged, coalesce(sum(captured), 0) as captured,
           coalesce(sum(initiated), 0) as initiated, coalesce(sum(debt), 0) as debt,
           coalesce(sum(debt_open), 0) as debt_open, coalesce(sum(debt_paid), 0) as debt_paid,
           coalesce(sum(rest) filter (where state = 'PARKED'), 0) as parked,
           coalesce(sum(rest) filter (where state not in ('PARKED', 'CAPTURED', 'CANCELLED', 'IN_DEBT')), 0) as waiting,
           coalesce(sum(rest) filter (where state in ('CAPTURED', 'CANCELLED', 'IN_DEBT')), 0) as unexplained,
           count(*) filter (where captured > 0) as trips_captured,
           count(*) filter (where initiated > 0) as trips_initiated,
           count(*) filter (where debt > 0) as trips_in_debt,
           count(*) filter (where state = 'CANCELLED') as trips_cancelled,
           count(*) filter (where state = 'PARKED') as trips_parked,
           count(*) filter (where state not in ('PARKED', 'CAPTURED', 'CANCELLED', 'IN_DEBT', 'CAPTURE_INITIATED'))
               as trips_waiting,
           (select of_sale from given_back) as refunded_of_sale,
           (select paid_back from given_back) as paid_back,
           (select by_card from given_back) as card_refunded
    from parts
"""  # noqa: S608 - constants of the code

TRIPS_BY_STATE = """
    select p.entry_method,
           case when p.state = 'SETTLED_OTHERWISE' then p.state else coalesce(c.state, p.state) end as state,
           count(*) as trips,
           coalesce(sum(p.total), 0) as total, coalesce(sum(c.captured), 0) as captured,
           coalesce(sum(d.amount), 0) as debt
    from purchase p
    left join charge c using (shopping_trip_id) left join debt d using (shopping_trip_id)
    where p.store_id = :store_id and p.business_date = :business_date
    group by 1, 2 order by 1, 2
"""

HOURS = """
    select cast(extract(hour from p.trip_ended_at at time zone :zone) as integer) as hour, count(*) as trips,
           sum(c.captured + c.capture_initiated) as captured, sum(coalesce(d.amount, 0)) as debt,
           sum(c.total - c.captured - c.capture_initiated - coalesce(d.amount, 0)) as rest
    from purchase p join charge c using (shopping_trip_id) left join debt d using (shopping_trip_id)
    where p.store_id = :store_id and p.business_date = :business_date
    group by 1 order by 1
"""

TAX = """
    select coalesce(nullif(l.tax_jurisdiction, ''), 'none') as jurisdiction,
           to_char(coalesce(l.tax_rate, 0) * 100, 'FM990.0099') || ' %' as rate, count(*) as lines,
           sum(l.total - l.tax_amount) as net, sum(l.tax_amount) as tax
    from purchase p join purchase_line l using (shopping_trip_id)
    where p.store_id = :store_id and p.business_date = :business_date and p.state in ('PRICED', 'SETTLED_OTHERWISE')
      and l.total is not null
    group by 1, l.tax_rate, 2 order by 1, l.tax_rate
"""

BREAKS = """
    select kind, count(*) as breaks, count(distinct shopping_trip_id) as trips,
           sum(difference) as difference
    from reconciliation_break
    where store_id = :store_id and business_date = :business_date and closed_at is null
    group by kind order by breaks desc, kind
"""

LEDGER = f"""
    select p.account, p.detail, coalesce(sum(p.amount) filter (where p.amount > 0), 0) as debit,
           -coalesce(sum(p.amount) filter (where p.amount < 0), 0) as credit, sum(p.amount) as balance,
           coalesce(sum(p.amount) filter (where {happened.BY_REFUNDS}), 0) as by_refunds
    from ledger_transaction t join ledger_posting p using (transaction_id)
    where t.store_id = :store_id and t.shopping_trip_id in (
        select shopping_trip_id from reconciliation_trip
        where store_id = :store_id and business_date = :business_date)
    group by 1, 2 order by 1, 2
"""  # noqa: S608 - constants of the code

FILES = """
    select count(distinct window_end) filter (where state in ('INGESTED', 'SAME_CONTENT')) as windows,
           count(*) as files, coalesce(sum(announcements), 0) as announcements,
           count(*) filter (where state = 'SAME_CONTENT') as same_content,
           count(*) filter (where state = 'FAILED') as failed,
           coalesce(sum(rows_read), 0) as rows_read, coalesce(sum(rows_applied), 0) as rows_applied,
           coalesce(sum(rows_stale), 0) as rows_stale, coalesce(sum(rows_quarantined), 0) as rows_quarantined
    from feed_file where store_id = :store_id and window_end between :first and :last
"""


def _files(day: _Day, zone: str) -> Row:
    needed = windows(day.business_date, zone, margin=timedelta(minutes=settings().day_complete_margin_minutes))
    files = day.one(FILES, first=needed[0], last=needed[-1])
    files = {name: int(value) for name, value in files.items()}
    files["expected"] = len(needed)
    files["missing"] = len(needed) - files["windows"]
    return files


def _categories(rows: list[Row], currency: str) -> list[Row]:
    """Sales by category alone, the largest first."""
    added = merging.added(
        rows, keys=("category",), money=("list", "promotions", "net", "tax", "total"), counts=("lines",)
    )
    for row in added:
        row.pop("entry_method", None)
    return sorted(added, key=lambda row: (-Decimal(row["net"]), row["category"]))


def _checks(found: Row, currency: str, *, in_the_books: bool) -> list[Row]:
    """Each headline figure beside the same one from another source."""
    sales, settlement = found["sales"], found["settlement"]
    parts = sum((Decimal(settlement[part]) for part in ("captured", "initiated", "debt", "parked", "waiting")), ZERO)
    checks: list[tuple[str, str, Any, str, Any]] = [
        ("Sold by card = captured + begun + debt + parked + waiting", "purchases", sales["by_card"], "charges", parts),
        ("Sales by category = net sales", "categories", _sum(found["categories"], "net"), "purchases", sales["net"]),
        ("Tax by jurisdiction = tax", "lines", _sum(found["tax"], "tax"), "purchases", sales["tax"]),
    ]
    checks += outside_figures.checks(found)
    if in_the_books:
        checks += [
            ("Sales at shelf price", "purchases", sales["list"], "ledger", _balance(found, "sales", -1)),
            ("Promotions", "purchases", sales["promotions"], "ledger", _balance(found, "promotions", 1)),
            (
                "Tax payable, less what refunds undo",
                "purchases",
                Decimal(sales["tax"]) - Decimal(settlement["refunded_of_sale"]),
                "ledger",
                _balance(found, "tax_payable", -1) - _balance(found, "refunds", 1),
            ),
            (
                "Paid back",
                "refunds",
                settlement["paid_back"],
                "ledger",
                _balance(found, "refund_clearing", -1) + _balance(found, "refund_clearing_initiated", -1),
            ),
            ("Captured, final", "charges", settlement["captured"], "ledger", _balance(found, "card_clearing", 1)),
            (
                "Capture begun",
                "charges",
                settlement["initiated"],
                "ledger",
                _balance(found, "card_clearing_initiated", 1),
            ),
            ("Debt still open", "debts", settlement["debt_open"], "ledger", _balance(found, "bad_debt_receivable", 1)),
            (
                "All postings balance",
                "ledger",
                _sum(found["ledger"], "debit"),
                "ledger",
                _sum(found["ledger"], "credit"),
            ),
        ]
    return [ledger_checks.check(*each, currency) for each in checks]


def _sum(rows: list[Row], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), ZERO)


def _balance(found: Row, account: str, sign: int) -> Decimal:
    return sign * sum((Decimal(row["balance"]) for row in found["ledger"] if row["account"] == account), ZERO)
