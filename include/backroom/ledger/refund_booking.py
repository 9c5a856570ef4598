"""Booking refunds: what of the sale they undo, tax included; what they take off a debt; by what the money leaves.

One event of a trip at a time, in the order in which they were written: what an earlier one gave back is not there to be
given back again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.accounts import Account, Booking
from backroom.ledger.shares import ZERO, Returnable, ReturnedLine, tax_by_lines, tax_of_part
from backroom.ledger.writing import Posting, Transaction, write

AT_ONCE: Final = 1000  # trips booked by one round

# A trip whose charge has news first gets its sale booked.
_TAKE: Final = text(
    """
    with marked as (
        select e.event_id from refund_event e
        where e.to_book
          and not exists (select from refund_event earlier where earlier.shopping_trip_id = e.shopping_trip_id
                            and earlier.to_book and earlier.event_id < e.event_id)
          and not exists (select from charge c where c.shopping_trip_id = e.shopping_trip_id and c.to_book)
        order by e.event_id limit :at_once
        for update of e skip locked
    )
    update refund_event e set to_book = false from marked where e.event_id = marked.event_id
    returning e.event_id
    """
)
_EVENTS: Final = text(
    """
    select e.event_id, e.refund_id, e.kind, e.amount, e.currency, e.happened_at, e.shopping_trip_id, e.store_id,
           r.request_id, r.instrument, q.is_return, p.method,
           case s.payment_processor when 'AMAZON' then '' else s.payment_processor end as stores_processor
    from refund_event e
    join refund r using (refund_id) join refund_request q using (request_id) join store s on s.store_id = e.store_id
    left join payoff p on r.instrument = 'PAYOFF' || chr(58) || p.payoff_id
    where e.event_id = any(:events) and not s.test
    """
)
_LINES: Final = text(
    """
    select l.request_id, coalesce(line.tax_jurisdiction, '') as jurisdiction, line.tax_amount as tax, line.total,
           l.amount as now, q.amount as requested,
           (select coalesce(sum(b.amount), 0) from refund_request_line b join refund_request bq using (request_id)
            where bq.shopping_trip_id = q.shopping_trip_id and b.line_number = l.line_number
              and b.request_id < l.request_id and bq.state not in ('REJECTED', 'FAILED')) as before
    from refund_request_line l join refund_request q using (request_id)
    join purchase_line line on line.shopping_trip_id = q.shopping_trip_id and line.line_number = l.line_number
    where l.request_id = any(:requests) and line.tax_amount is not null
    """
)
_STANDING_OF_TRIPS: Final = text(
    """
    select t.shopping_trip_id, p.account, p.detail, sum(p.amount) as amount
    from ledger_transaction t join ledger_posting p using (transaction_id)
    where t.shopping_trip_id = any(:trips)
    group by 1, 2, 3
    """
)
_STANDING_OF_REFUNDS: Final = text(
    """
    select r.request_id, r.refund_id, p.account, p.detail, sum(p.amount) as amount,
           max(t.transaction_id) as last_transaction
    from refund r join refund_event e using (refund_id)
    join ledger_transaction t on t.source = 'refund_event' || chr(58) || e.event_id
    join ledger_posting p using (transaction_id)
    where r.request_id = any(:requests)
    group by 1, 2, 3, 4
    """
)

Standing = dict[tuple[str, str], Decimal]  # by account and sub-account


@dataclass
class _Facts:
    trips: dict[str, Standing] = field(default_factory=lambda: defaultdict(dict))
    requests: dict[int, Standing] = field(default_factory=lambda: defaultdict(dict))
    refunds: dict[int, Standing] = field(default_factory=lambda: defaultdict(dict))
    last: dict[int, int] = field(default_factory=dict)  # the last transaction of each refund
    lines: dict[int, list[RowMapping]] = field(default_factory=lambda: defaultdict(list))


def post_refunds(connection: Connection) -> int:
    """Books the marked events; returns how many transactions that made."""
    posted = 0
    while events := list(connection.execute(_TAKE, {"at_once": AT_ONCE}).scalars()):
        rows = connection.execute(_EVENTS, {"events": events}).mappings().all()
        facts = _facts(connection, rows)
        posted += write(connection, [one for row in rows if (one := _transaction(row, facts)) is not None])
    return posted


def _facts(connection: Connection, rows: Sequence[RowMapping]) -> _Facts:
    facts = _Facts()
    trips = [row["shopping_trip_id"] for row in rows]
    requests = [row["request_id"] for row in rows]
    for row in connection.execute(_STANDING_OF_TRIPS, {"trips": trips}).mappings():
        facts.trips[row["shopping_trip_id"]][row["account"], row["detail"]] = row["amount"]
    for row in connection.execute(_STANDING_OF_REFUNDS, {"requests": requests}).mappings():
        where = (row["account"], row["detail"])
        of_request = facts.requests[row["request_id"]]
        of_request[where] = of_request.get(where, ZERO) + row["amount"]
        facts.refunds[row["refund_id"]][where] = row["amount"]
        facts.last[row["refund_id"]] = max(row["last_transaction"], facts.last.get(row["refund_id"], 0))
    for row in connection.execute(_LINES, {"requests": requests}).mappings():
        facts.lines[row["request_id"]].append(row)
    return facts


def _transaction(row: RowMapping, facts: _Facts) -> Transaction | None:
    """What the event moves; None where it comes too late to move anything."""
    standing = {where: amount for where, amount in facts.refunds[row["refund_id"]].items() if amount}
    begun, final = _on(standing, Account.REFUND_CLEARING_INITIATED), _on(standing, Account.REFUND_CLEARING)
    detail = _sub_account(row, facts)
    reverses = None
    match row["kind"]:
        case "DEBT_REDUCED" if not standing:
            booking, postings = Booking.DEBT_REDUCED, _undone(row, facts)
            postings.append(Posting(Account.BAD_DEBT_RECEIVABLE, -row["amount"]))
        case "INITIATED" if not begun and not final:
            booking, postings = Booking.REFUND_INITIATED, _undone(row, facts)
            postings.append(Posting(Account.REFUND_CLEARING_INITIATED, -row["amount"], detail))
        case "FINAL" if begun:
            booking, postings = Booking.REFUND_FINAL, _negative(standing, Account.REFUND_CLEARING_INITIATED)
            postings += [Posting(Account.REFUND_CLEARING, -one.amount, one.detail) for one in postings]
        case "FINAL" if not final:  # the beginning was never heard
            booking, postings = Booking.REFUND_FINAL, _undone(row, facts)
            postings.append(Posting(Account.REFUND_CLEARING, -row["amount"], detail))
        case "REVERSED" if standing:
            booking, postings = Booking.REFUND_REVERSED, _negative(standing)
            reverses = facts.last[row["refund_id"]]
        case _:
            return None
    return Transaction(
        source=f"refund_event:{row['event_id']}",
        kind=booking,
        store_id=row["store_id"],
        shopping_trip_id=row["shopping_trip_id"],
        happened_at=row["happened_at"],
        currency=row["currency"],
        postings=postings,
        reverses=reverses,
    )


def _undone(row: RowMapping, facts: _Facts) -> list[Posting]:
    """The debit side: what of the sale is undone; or, for money that nothing was owed for, that it goes back."""
    amount: Decimal = row["amount"]
    if row["is_return"]:
        return [Posting(Account.OWED_TO_SHOPPERS, amount)]
    left = returnable(facts.trips[row["shopping_trip_id"]])
    of = _of_lines(facts, row) if facts.lines[row["request_id"]] else left
    tax = tax_of_part(amount, of, left, row["currency"])
    postings = [Posting(Account.TAX_PAYABLE, given, jurisdiction) for jurisdiction, given in tax.items()]
    return [*postings, Posting(Account.REFUNDS, amount - sum(tax.values(), ZERO))]


def returnable(standing: Mapping[tuple[str, str], Decimal]) -> Returnable:
    """What of a trip's sale has not been given back yet, by its balances in the books."""
    sold = (Account.SALES, Account.PROMOTIONS, Account.REFUNDS)
    return Returnable(
        net=-sum((amount for (account, _), amount in standing.items() if account in sold), ZERO),
        tax={where: -amount for (account, where), amount in standing.items() if account == Account.TAX_PAYABLE},
    )


def _of_lines(facts: _Facts, row: RowMapping) -> Returnable:
    """What of this request's lines has not been given back yet by its other parts."""
    lines = facts.lines[row["request_id"]]
    tax = tax_by_lines(
        [ReturnedLine(one["jurisdiction"], one["tax"], one["total"], one["before"], one["now"]) for one in lines],
        row["currency"],
    )
    given = facts.requests[row["request_id"]]
    requested = lines[0]["requested"]
    return Returnable(
        net=requested - sum(tax.values(), ZERO) - _on(given, Account.REFUNDS),
        tax={where: whole - given.get((Account.TAX_PAYABLE.value, where), ZERO) for where, whole in tax.items()},
    )


def _sub_account(row: RowMapping, facts: _Facts) -> str:
    """By whom the money goes back: the payoff's method, or the processor that made the trip's capture."""
    if row["method"] is not None:
        return str(row["method"])
    clearing = [where for (account, where) in facts.trips[row["shopping_trip_id"]] if account == Account.CARD_CLEARING]
    return max(clearing, default=row["stores_processor"])


def _negative(standing: Mapping[tuple[str, str], Decimal], only: Account | None = None) -> list[Posting]:
    return [
        Posting(Account(account), -amount, detail)
        for (account, detail), amount in standing.items()
        if only is None or account == only
    ]


def _on(standing: Mapping[tuple[str, str], Decimal], account: Account) -> Decimal:
    return sum((amount for (name, _), amount in standing.items() if name == account), ZERO)
