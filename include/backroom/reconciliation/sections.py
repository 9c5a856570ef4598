"""The report's further tables: one query each over a store's day, shown alike on the page, in the workbook and as data.

Amounts are in the store's currency. A column that counts a state rather than a flow keeps, over several days, the value
of the last one. The page cuts what is long (folding.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backroom.reconciliation import payout_lines


class Cell(StrEnum):
    """What a column holds."""

    TEXT = "text"
    CODE = "code"  # one of our codes, shown in words
    TRIP = "trip"  # a trip's id
    WORDS = "words"  # sentences
    COUNT = "count"
    MONEY = "money"
    CHANGE = "change"  # an amount that is shown with its sign
    COUNT_STATE = "count_state"
    MONEY_STATE = "money_state"


@dataclass(frozen=True)
class Column:
    """A column of the query, its head, and what it holds."""

    name: str
    head: str
    cell: Cell

    @property
    def is_key(self) -> bool:
        """Whether it names the row."""
        return self.cell in (Cell.TEXT, Cell.CODE, Cell.TRIP, Cell.WORDS)

    @property
    def is_money(self) -> bool:
        """Whether it is an amount."""
        return self.cell in (Cell.MONEY, Cell.CHANGE, Cell.MONEY_STATE)

    @property
    def adds_up(self) -> bool:
        """Whether its values make a total."""
        return self.cell in (Cell.COUNT, Cell.MONEY, Cell.CHANGE)


@dataclass(frozen=True)
class Section:
    """A table of the report, of the day's trips: the query takes :store_id, :business_date, :now and :repeat.

    Without a query it tells what happened on the day or in the period, whatever its trips are (happened.py). A table
    that grows with the trade names the column by which its rows are `largest`; they are listed in that order. Where
    rows of unlike meaning would be added, there is no total.
    """

    key: str
    title: str
    says: str
    columns: tuple[Column, ...]
    query: str | None
    largest: str | None = None
    has_total: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return tuple(column.name for column in self.columns if column.is_key)

    @property
    def sheet(self) -> str:
        """Its sheet in the workbook; Excel allows 31 characters."""
        return self.title[:31]


def _columns(*given: tuple[str, str, Cell]) -> tuple[Column, ...]:
    return tuple(Column(*one) for one in given)


_SOLD: Final = (
    "p.store_id = :store_id and p.business_date = :business_date and p.state in ('PRICED', 'SETTLED_OTHERWISE')"
)
_OF_DAY: Final = (
    "join purchase p using (shopping_trip_id) where p.store_id = :store_id and p.business_date = :business_date"
)

SECTIONS: Final = (
    Section(
        "sales_by_entry",
        "Sales by category and entry",
        "What was sold, by how its shopper came in.",
        _columns(
            ("category", "Category", Cell.TEXT),
            ("entry_method", "Entry", Cell.CODE),
            ("lines", "Lines", Cell.COUNT),
            ("list", "At shelf price", Cell.MONEY),
            ("promotions", "Promotions", Cell.MONEY),
            ("net", "Net", Cell.MONEY),
            ("tax", "Tax", Cell.MONEY),
            ("total", "With tax", Cell.MONEY),
        ),
        f"""
        select coalesce(nullif(i.product_category, ''), 'Not in the catalog') as category, p.entry_method,
               count(*) as lines, sum(l.list_amount - case when l.tax_included then l.tax_amount else 0 end) as list,
               sum(l.promotion_amount) as promotions, sum(l.total - l.tax_amount) as net, sum(l.tax_amount) as tax,
               sum(l.total) as total
        from purchase p join purchase_line l using (shopping_trip_id)
        left join catalog_item i on i.store_id = p.store_id and i.item_sku = l.item_sku
        where {_SOLD} and l.total is not null
        group by 1, 2 order by net desc, 1, 2
        """,  # noqa: S608 - constants of this file only
        largest="net",
    ),
    Section(
        "promotions",
        "Promotions",
        "What each took off the shelf prices.",
        _columns(
            ("promotion", "Promotion", Cell.TEXT),
            ("description", "What it is", Cell.WORDS),
            ("lines", "Lines", Cell.COUNT),
            ("amount", "Taken off", Cell.MONEY),
        ),
        f"""
        select coalesce(t.promotion ->> 'promotion_id', 'not told') as promotion,
               coalesce(max(t.promotion ->> 'description'), '') as description, count(*) as lines,
               sum(coalesce(cast(t.promotion ->> 'amount' as numeric), l.promotion_amount)) as amount
        from purchase p join purchase_line l using (shopping_trip_id)
        left join lateral jsonb_array_elements(l.promotions) as t (promotion) on true
        where {_SOLD} and l.promotion_amount > 0
        group by 1 order by amount desc, 1
        """,  # noqa: S608 - constants of this file only
        largest="amount",
    ),
    Section(
        "refunds_made",
        "Refunds made",
        "In this time, of any day's trips: by why, and by what the money went back. Final ones may have begun earlier.",
        _columns(
            ("reason", "Reason", Cell.CODE),
            ("instrument", "By", Cell.CODE),
            ("refunds", "Refunds begun", Cell.COUNT),
            ("begun", "Begun", Cell.MONEY),
            ("final", "Final", Cell.MONEY),
            ("reversed", "Failed", Cell.MONEY),
        ),
        None,
    ),
    Section(
        "clearing",
        "Card clearing",
        "By who moves the money: taken and given back, what was paid out, what is to come.",
        _columns(
            ("processor", "Processor", Cell.TEXT),
            ("begun", "Capture begun", Cell.MONEY),
            ("captured", "Captured, final", Cell.MONEY),
            ("refunded", "Refunded", Cell.MONEY),
            ("paid_out", "Paid out", Cell.MONEY),
            ("fees", "Fees", Cell.MONEY),
            ("written_off", "Written off", Cell.MONEY),
            ("to_come", "To come", Cell.MONEY),
        ),
        f"""
        with moved as (
            select coalesce(nullif(g.detail, ''), 'AMAZON') as processor,
                   sum(g.amount) filter (where g.account = 'card_clearing_initiated') as begun,
                   sum(g.amount) filter (where g.account = 'card_clearing') as captured,
                   -sum(g.amount) filter (where g.account in ('refund_clearing', 'refund_clearing_initiated'))
                       as refunded,
                   -sum(g.amount) filter (where g.account = 'card_clearing_written_off') as written_off
            from ledger_transaction t join ledger_posting g using (transaction_id) {_OF_DAY}
              and g.account in ('card_clearing_initiated', 'card_clearing', 'refund_clearing',
                                'refund_clearing_initiated', 'card_clearing_written_off')
            group by 1
        ), of_day as (
            select shopping_trip_id from purchase where store_id = :store_id and business_date = :business_date
        ), paid as (
            select processor, sum(amount) as paid_out, sum(fee) as fees
            from ({payout_lines.of_trips("of_day")}) of_trip
            group by 1
        )
        select processor, coalesce(begun, 0) as begun, coalesce(captured, 0) as captured,
               coalesce(refunded, 0) as refunded, coalesce(paid_out, 0) as paid_out, coalesce(fees, 0) as fees,
               coalesce(written_off, 0) as written_off, coalesce(captured, 0) - coalesce(refunded, 0)
                   - coalesce(paid_out, 0) - coalesce(written_off, 0) as to_come
        from moved full join paid using (processor) order by 1
        """,  # noqa: S608 - constants of this file only
    ),
    Section(
        "unbilled",
        "Lines that were not billed",
        "Goods that left the store without a price; the ledger's memo of those whose list price is known by now.",
        _columns(
            ("reason", "Why", Cell.TEXT),
            ("trips", "Trips", Cell.COUNT),
            ("lines", "Lines", Cell.COUNT),
            ("amount", "At list price", Cell.MONEY),
        ),
        """
        select u.reason, count(distinct u.shopping_trip_id) as trips, count(*) as lines,
               coalesce(sum(g.amount), 0) as amount
        from unbilled_line u join purchase p on p.shopping_trip_id = u.shopping_trip_id
        left join ledger_transaction t
               on t.source = concat_ws(chr(58), 'unbilled_line', u.shopping_trip_id, u.line_number)
        left join ledger_posting g on g.transaction_id = t.transaction_id and g.account = 'unbilled'
        where p.store_id = :store_id and p.business_date = :business_date
        group by 1 order by lines desc, 1
        """,
        largest="lines",
    ),
    Section(
        "debts_open",
        "Debts by age",
        "All that shoppers owe this store at the end of this time, by the days since each debt was opened.",
        _columns(
            ("bucket", "Days", Cell.TEXT),
            ("cause", "Cause", Cell.CODE),
            ("debts", "Debts", Cell.COUNT),
            ("outstanding", "Outstanding", Cell.MONEY),
        ),
        None,
    ),
    Section(
        "debts_moved",
        "What became of debts",
        "In this time, of any day's trips: what was owed before, and what changed that. The sum is owed at its end.",
        _columns(("kind", "What", Cell.CODE), ("times", "Times", Cell.COUNT), ("change", "Change", Cell.MONEY)),
        None,
    ),
    Section(
        "payoffs",
        "Payoffs",
        "What came in this time for debts; recovered: for one that had been written off; returned: more than was owed.",
        _columns(("kind", "What", Cell.CODE), ("times", "Times", Cell.COUNT), ("amount", "Amount", Cell.MONEY)),
        None,
        has_total=False,
    ),
    Section(
        "write_offs",
        "Write-offs and recoveries",
        "Booked as an expense in this time, of debts and of breaks; a minus took it back, or came after all.",
        _columns(
            ("of", "Of", Cell.CODE),
            ("what", "What", Cell.CODE),
            ("times", "Times", Cell.COUNT),
            ("amount", "Amount", Cell.MONEY),
        ),
        None,
    ),
    Section(
        "offenders",
        "Repeat offenders",
        "Shoppers and cards of these trips that have left several trips unpaid.",
        _columns(
            ("owed_by", "Who", Cell.TEXT),
            ("debts", "Debts in all", Cell.COUNT_STATE),
            ("left_unpaid", "Left unpaid", Cell.MONEY_STATE),
            ("outstanding", "Outstanding", Cell.MONEY_STATE),
        ),
        f"""
        with owned as (
            select coalesce('shopper ' || shopper_id, 'card ' || shopper_identity) as owed_by, shopping_trip_id, amount,
                   outstanding, currency
            from debt where amount > 0 and coalesce(shopper_id, shopper_identity) is not null
        )
        select o.owed_by, count(*) as debts, sum(o.amount) as left_unpaid, sum(o.outstanding) as outstanding
        from owned o join store s on s.store_id = :store_id and s.currency = o.currency
        where o.owed_by in (select t.owed_by from owned t {_OF_DAY})
        group by 1 having count(*) >= :repeat order by left_unpaid desc, 1
        """,  # noqa: S608 - constants of this file only
        largest="left_unpaid",
    ),
    Section(
        "breaks_by_age",
        "Breaks by kind and age",
        "What is open and for how long, and how the others were closed.",
        _columns(
            ("kind", "Kind", Cell.CODE),
            ("state", "State", Cell.CODE),
            ("age", "Age in days", Cell.TEXT),
            ("breaks", "Breaks", Cell.COUNT),
            ("difference", "Difference", Cell.MONEY),
        ),
        """
        select kind, coalesce(resolution, 'OPEN') as state,
               case when days < 1 then '0' when days <= 7 then '1-7' when days <= 30 then '8-30' else '30+' end as age,
               count(*) as breaks, coalesce(sum(difference), 0) as difference
        from (select *, floor(extract(epoch from coalesce(closed_at, cast(:now as timestamptz)) - opened_at) / 86400)
                        as days
              from reconciliation_break where store_id = :store_id and business_date = :business_date) b
        group by 1, 2, 3 order by 1, 2, min(days)
        """,
    ),
    Section(
        "catalog",
        "Catalog",
        "What can be sold here, and what was sold without being in it.",
        _columns(
            ("items", "Items", Cell.COUNT_STATE),
            ("gone", "Gone", Cell.COUNT_STATE),
            ("refused", "Rows turned away", Cell.COUNT_STATE),
            ("unknown_lines", "Lines not in it", Cell.COUNT),
        ),
        """
        select (select count(*) from catalog_item where store_id = :store_id and not gone) as items,
               (select count(*) from catalog_item where store_id = :store_id and gone) as gone,
               (select count(*) from catalog_rejection where store_id = :store_id) as refused,
               (select count(*) from purchase p join purchase_line l using (shopping_trip_id)
                where p.store_id = :store_id and p.business_date = :business_date and p.state = 'BAD_CART'
                  and l.item_sku is null)
               + (select count(*) from unbilled_line u join purchase p using (shopping_trip_id)
                  where p.store_id = :store_id and p.business_date = :business_date)
                   as unknown_lines
        """,
    ),
    Section(
        "posted",
        "Posted on this day",
        "Every posting of the day's date, whatever trip it is about.",
        _columns(
            ("account", "Account", Cell.CODE),
            ("detail", "Detail", Cell.TEXT),
            ("debit", "Debit", Cell.MONEY),
            ("credit", "Credit", Cell.MONEY),
        ),
        None,
    ),
)
