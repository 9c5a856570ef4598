"""One trip as each side sees it: the plain data that the rules of matching.py judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What we were handed and what we made of it."""

    state: str
    entry_method: str
    currency: str
    list_total: Decimal
    promotion_total: Decimal
    tax_total: Decimal
    total: Decimal
    token_ends_at: datetime  # after that nothing can be captured for it
    tax_included_total: Decimal = ZERO  # of tax_total, what the list prices hold already
    case_open: bool = False  # a person has been asked about this trip and has not answered
    unbilled: int = 0  # lines that were never charged


@dataclass(frozen=True, slots=True)
class Charge:
    """The fold of the charge's events, and the debt that came of it."""

    state: str
    currency: str
    total: Decimal
    captured: Decimal
    initiated: Decimal
    expires_at: datetime
    changed_at: datetime  # the newest event or attempt
    debt: Decimal = ZERO
    debt_open: Decimal = ZERO
    debt_returned: Decimal = ZERO  # more came for the trip than was owed: so much goes back


@dataclass(frozen=True, slots=True)
class Order:
    """Amazon's order of the trip: the newest, with the captured and refunded amounts of all of them.

    From events alone it has no entry method, and no total before its cart event has come.
    """

    order_id: str
    status: str
    entry_method: str | None
    currency: str
    total: Decimal | None
    captured: Decimal
    refunded: Decimal | None
    updated_at: datetime
    incomplete: bool = False
    orders: int = 1  # those that stand
    superseded: int = 0  # cancelled without a capture, beside one that stands
    from_events: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What Amazon's events say of the trip. None: no event says it."""

    captured: Decimal | None
    total: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Refunded:
    """What we gave back."""

    of_sale: Decimal = ZERO  # all that undoes the sale, a debt's reduction included
    paid_back: Decimal = ZERO  # by card or payoff, begun or final
    card: Decimal = ZERO  # by the trip's card, final
    card_begun: Decimal = ZERO  # so, and not final: in the books, too
    card_on_its_way: Decimal = ZERO  # asked for, not final, begun or not
    returned: Decimal = ZERO  # of a second payment, final
    last_at: datetime | None = None
    begun_at: datetime | None = None  # the first of those in card_begun


@dataclass(frozen=True, slots=True)
class PaidOut:
    """What the retailer's own processor paid out for the trip, before fees."""

    captured: Decimal
    refunded: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Booked:
    """The ledger's balances of the trip, each in its natural sign; zero where nothing is booked."""

    sales: Decimal = ZERO
    promotions: Decimal = ZERO
    tax: Decimal = ZERO
    initiated: Decimal = ZERO
    captured: Decimal = ZERO
    debt_open: Decimal = ZERO
    refunds_net: Decimal = ZERO  # of the sale, without its tax
    refunded: Decimal = ZERO  # begun or final, by whatever instrument


@dataclass(frozen=True, slots=True)
class Trip:
    """One trip from all sides. `booked` is None in a test store, which stays out of the books."""

    shopping_trip_id: str
    currency: str
    purchase: Purchase | None = None
    charge: Charge | None = None
    order: Order | None = None
    booked: Booked | None = None
    has_files: bool = True
    has_events: bool = False  # with neither, the store has no side of Amazon's to compare
    own_processor: bool = False  # the retailer's processor moves the money, and pays it out
    heard: Heard | None = None
    refunded: Refunded = Refunded()
    paid_out: PaidOut | None = None
    matched_by: str | None = None
    confidence: Decimal | None = None
    their_trip_id: str | None = None


@dataclass(frozen=True, slots=True)
class LineSide:
    """One side's line: quantity, list price per unit, and the line's promotion, price after it without tax, and tax."""

    item_sku: str | None
    quantity: Decimal
    unit: str
    list_price: Decimal
    promotion: Decimal
    price: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """What the shopper pays for the line."""
        return self.price + self.tax


@dataclass(frozen=True, slots=True)
class Line:
    """A line that differs between the two sides."""

    line_number: int
    ours: LineSide | None
    theirs: LineSide | None
    left_out: str | None = None  # DROPPED or UNBILLED: we hold the line, and it is not in our total


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Until when one side alone is no cause for concern."""

    order_due: datetime  # when Amazon's order of any trip of the day must be in
    evidence: timedelta  # how long an initiated effect may lack evidence
    booking: timedelta  # how long the ledger may be behind the charge
    refund: timedelta = timedelta(days=3)  # how long an initiated refund may lack evidence
    payout: timedelta = timedelta(days=5)  # how long after its capture a processor's payout is due
