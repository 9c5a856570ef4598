"""A receipt as plain data: every line, promotion, tax and payment of a trip, and what has come back. Read in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.receipts.trips import STANDING, PaymentWord

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Promotion:
    """What it took off its line."""

    description: str
    amount: Decimal


@dataclass(frozen=True)
class Line:
    """One line. `total` with tax; `list_price` is per `price_unit`."""

    number: int
    name: str
    quantity: Decimal
    unit: str
    list_price: Decimal | None
    price_unit: str | None
    list_amount: Decimal
    promotions: Sequence[Promotion]
    tax_rate: Decimal | None
    tax_jurisdiction: str | None
    tax_amount: Decimal
    tax_included: bool
    total: Decimal
    refunded: Decimal
    weighed: bool = False


@dataclass(frozen=True)
class Tax:
    """The tax of one rate."""

    jurisdiction: str
    rate: Decimal | None
    amount: Decimal
    included: bool


@dataclass(frozen=True)
class Card:
    """The card as Amazon, or the store's processor, tells it. Whatever is not known is left out of `facts`."""

    brand: str | None
    tail: str | None
    statement_id: str | None
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Movement:
    """A payment by hand or by page, or a refund. `word` is its state's."""

    at: datetime
    amount: Decimal
    word: str
    number: int | None = None


@dataclass(frozen=True)
class Receipt:
    """All of it. Amounts in `currency`; times are UTC, shown in the store's zone."""

    shopping_trip_id: str
    store_id: str
    store: str
    time_zone: str
    currency: str
    started_at: datetime
    ended_at: datetime
    lines: Sequence[Line]
    list_total: Decimal
    promotion_total: Decimal
    tax_total: Decimal
    tax_included_total: Decimal
    total: Decimal
    word: PaymentWord
    due: Decimal
    asking: bool
    captured: Decimal
    card: Card | None
    payments: Sequence[Movement]
    refunds: Sequence[Movement]
    cause: str | None
    priced: bool

    @property
    def paid_for(self) -> bool:
        """Whether any money came for it: then there is a receipt to send."""
        return self.captured > 0 or bool(self.payments)

    @property
    def taxes(self) -> list[Tax]:
        """The taxes by jurisdiction and rate."""
        sums: dict[tuple[str, Decimal | None, bool], Decimal] = {}
        for line in self.lines:
            if line.tax_amount:
                key = (line.tax_jurisdiction or "", line.tax_rate, line.tax_included)
                sums[key] = sums.get(key, _ZERO) + line.tax_amount
        return [Tax(place, rate, amount, included) for (place, rate, included), amount in sorted(sums.items(), key=str)]


_TRIP: Final = text(
    f"""
    select p.store_id, p.trip_started_at, p.trip_ended_at, p.state, p.currency, p.list_total, p.promotion_total,
           p.tax_total, p.tax_included_total, p.total, s.name as store, s.time_zone, c.captured, d.cause, {STANDING}
    from purchase p join store s using (store_id)
    left join charge c using (shopping_trip_id) left join debt d using (shopping_trip_id)
    where p.shopping_trip_id = :trip
    """  # noqa: S608 - a constant of the code
)
_LINES: Final = text(
    """
    select l.*, coalesce(i.item_name, l.item_sku, l.item_id) as name, coalesce(g.given, 0) as refunded
    from purchase_line l
    join purchase p using (shopping_trip_id)
    left join catalog_item i on i.store_id = p.store_id and i.item_sku = l.item_sku
    left join lateral (
        select sum(r.amount) as given from refund_request_line r join refund_request q using (request_id)
        where q.shopping_trip_id = l.shopping_trip_id and r.line_number = l.line_number
          and q.state not in ('REJECTED', 'FAILED')
    ) g on true
    where l.shopping_trip_id = :trip and l.dropped_at is null and l.total is not null
    order by l.line_number
    """
)
_CARD: Final = text(
    """
    select * from trip_card where shopping_trip_id = :trip and state = 'KNOWN'
    """
)
_INSTRUMENT: Final = text(
    """
    select n.brand, n.last_four from processor_call k join payment_instrument n using (instrument_id)
    where k.subject = :trip order by k.call_id desc limit 1
    """
)
_PAYMENTS: Final = text(
    """
    select coalesce(settled_at, intended_at) as at, amount, method as word, payoff_id as number
    from payoff where shopping_trip_id = :trip and state = 'PAID' order by payoff_id
    """
)
_REFUNDS: Final = text(
    """
    select q.requested_at as at, q.amount,
           case when q.state = 'AWAITING_APPROVAL' then 'ASKED' when q.state in ('REJECTED', 'FAILED') then 'REFUSED'
                when q.state = 'DONE' then 'DONE' else 'UNDER_WAY' end as word,
           q.request_id as number
    from refund_request q where q.shopping_trip_id = :trip order by q.request_id
    """
)
EMV: Final = (
    ("pos_entry_mode", "Entry mode"),
    ("application_id", "Application id (AID)"),
    ("authorization_response_code", "Authorization response"),
    ("cryptogram_information_data", "Cryptogram information"),
    ("cardholder_verification_method_result", "Cardholder verification"),
    ("pan_sequence_number", "Card sequence number"),
    ("terminal_id", "Terminal"),
    ("reconciliation_id", "Reconciliation id"),
    ("card_statement_transaction_id", "Transaction id on the statement"),
)
"""What Amazon tells of the card, and how a receipt calls it; what is missing leaves no line."""
ENTRY_MODES: Final = {
    "EMV_9F39_02": "magnetic stripe",
    "EMV_9F39_05": "chip",
    "EMV_9F39_07": "contactless chip",
    "EMV_9F39_80": "stripe, chip could not be read",
    "EMV_9F39_90": "stripe, whole track",
}
"""EMV tag 9F39 in words."""


def receipt_of(connection: Connection, shopping_trip_id: str) -> Receipt | None:
    """The receipt of a trip, as it stands at this moment; None where there is no such trip."""
    values = {"trip": shopping_trip_id}
    trip = connection.execute(_TRIP, values).mappings().one_or_none()
    if trip is None:
        return None
    totals = ("list_total", "promotion_total", "tax_total", "tax_included_total", "total")
    return Receipt(
        shopping_trip_id=shopping_trip_id,
        store_id=trip["store_id"],
        store=trip["store"],
        time_zone=trip["time_zone"],
        started_at=trip["trip_started_at"],
        ended_at=trip["trip_ended_at"],
        lines=[_line(row) for row in connection.execute(_LINES, values).mappings()],
        word=PaymentWord(trip["word"]),
        captured=trip["captured"] or _ZERO,
        card=_card(connection, values),
        payments=[Movement(**row) for row in connection.execute(_PAYMENTS, values).mappings()],
        refunds=[Movement(**row) for row in connection.execute(_REFUNDS, values).mappings()],
        priced=trip["state"] in ("PRICED", "EMPTY"),
        **{name: trip[name] for name in (*totals, "due", "asking", "currency", "cause")},
    )


def _line(row: Any) -> Line:
    promotions = [
        Promotion(one.get("description") or one["promotion_id"], Decimal(str(one["amount"])))
        for one in row["promotions"] or ()
        if Decimal(str(one["amount"])) > 0
    ]
    unknown = (row["promotion_amount"] or _ZERO) - sum((one.amount for one in promotions), _ZERO)
    if unknown > 0:  # a point of sale may tell the sum only
        promotions.append(Promotion("", unknown))
    same = ("list_price", "price_unit", "tax_rate", "tax_jurisdiction", "tax_included", "total", "refunded")
    return Line(
        number=row["line_number"],
        name=row["name"],
        quantity=row["quantity"],
        unit=row["unit"],
        list_amount=row["list_amount"] or _ZERO,
        promotions=promotions,
        tax_amount=row["tax_amount"] or _ZERO,
        weighed=row["unit"] != "unit",
        **{name: row[name] for name in same},
    )


def _card(connection: Connection, values: dict[str, Any]) -> Card | None:
    told = connection.execute(_CARD, values).mappings().one_or_none()
    if told is None:
        own = connection.execute(_INSTRUMENT, values).one_or_none()
        return None if own is None else Card(own.brand, own.last_four, None, ())
    facts = []
    for name, label in EMV:
        if (value := told[name]) is not None:
            facts.append((label, ENTRY_MODES.get(value, value)))
    return Card(told["brand"], told["tail"], told["card_statement_transaction_id"], facts)
