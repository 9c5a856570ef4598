"""A trip as refunds see it: what it cost, what paid for it, what is asked for already. Read under the charge's lock.

Locks are taken in one order everywhere: charge, debt, payoff, refund.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.refunds.eligibility import RefundRefused, SoldLine, TripFacts
from backroom.refunds.splitting import CAPTURE, DEBT, PAYOFF, RESERVING, ZERO, Source, room
from backroom.settings import settings

_CHARGE: Final = text("select * from charge where shopping_trip_id = :trip for update")
_DEBT: Final = text("select outstanding, amount from debt where shopping_trip_id = :trip for update")
_PAYOFFS: Final = text("select * from payoff where shopping_trip_id = :trip order by payoff_id for update")
_REFUNDS: Final = text("select * from refund where shopping_trip_id = :trip order by refund_id for update")
_REQUESTS: Final = text("select * from refund_request where shopping_trip_id = :trip order by request_id for update")
_TRIP: Final = text(
    """
    select p.trip_ended_at, s.refund_window_days, s.refund_approval_above, s.payment_processor,
           s.trust_capture_answer, o.refunded as told_refunded
    from charge c join store s using (store_id)
    left join purchase p using (shopping_trip_id)
    left join lateral (
        select max(a.refunded) as refunded from amazon_order a
        where a.shopping_trip_id = c.shopping_trip_id and a.store_id = c.store_id and a.currency = c.currency
    ) o on true
    where c.shopping_trip_id = :trip
    """
)
_LINES: Final = text(
    """
    select l.line_number, l.quantity, l.total, coalesce(g.quantity, 0) as given_quantity, coalesce(g.amount, 0) as given
    from purchase_line l
    left join lateral (
        select sum(r.quantity) as quantity, sum(r.amount) as amount
        from refund_request_line r join refund_request q using (request_id)
        where q.shopping_trip_id = l.shopping_trip_id and r.line_number = l.line_number
          and q.state not in ('REJECTED', 'FAILED')
    ) g on true
    where l.shopping_trip_id = :trip and l.dropped_at is null and l.total is not null
    order by l.line_number
    """
)
NOT_YET_CAPTURED: Final = frozenset(
    {"DUE", "ADJUST_PENDING", "AUTHORIZED", "UNKNOWN", "CAPTURE_INITIATED", "PARKED", "CANCEL_DUE"}
)
"""States of a charge in which its capture may still come."""


@dataclass(frozen=True)
class Trip:
    """All of it locked by this transaction. Amounts in `currency`, the charge's."""

    shopping_trip_id: str
    store_id: str
    currency: str
    charge_state: str
    total: Decimal
    captured: Decimal
    outstanding: Decimal  # of its debt
    owed: Decimal  # what its charge leaves to be paid
    processor: str  # of the store
    trusts_answers: bool
    told_refunded: Decimal  # by Amazon's order row
    ended_at: datetime | None
    window: timedelta
    approval_above: Decimal
    payoffs: Sequence[RowMapping]
    refunds: Sequence[RowMapping]
    requests: Sequence[RowMapping]

    @property
    def captured_for_good(self) -> bool:
        """Whether the capture is final, by evidence."""
        return self.charge_state == "CAPTURED"

    def reserved(self, instrument: str, *, without: frozenset[int] = frozenset()) -> Decimal:
        """What of the instrument is given back, on its way back, or may be."""
        return sum(
            (
                row["amount"]
                for row in self.refunds
                if row["instrument"] == instrument and row["state"] in RESERVING and row["refund_id"] not in without
            ),
            ZERO,
        )

    def sources(self, *, without: frozenset[int] = frozenset()) -> list[Source]:
        """Where a refund may come from, in the order in which it is served. `without`: refunds that are placed anew."""
        waiting_for_debt = sum(
            (
                row["amount"]
                for row in self.refunds
                if row["instrument"] == DEBT and row["state"] == "WAITING" and row["refund_id"] not in without
            ),
            ZERO,
        )
        being_paid = any(row["state"] in ("INTENDED", "UNKNOWN") for row in self.payoffs)
        found = [Source(DEBT, self.outstanding - waiting_for_debt, ready=not being_paid)]
        if self.captured_for_good:
            free = self.captured - self.reserved(CAPTURE, without=without) - self._given_by_others()
            found.append(Source(CAPTURE, free))
        elif self.charge_state in NOT_YET_CAPTURED:
            expected = self.total - self.owed - self.reserved(CAPTURE, without=without)
            found.append(Source(CAPTURE, expected, ready=False))
        for payoff in self.payoffs:
            if payoff["state"] == "PAID":
                instrument = f"{PAYOFF}{payoff['payoff_id']}"
                found.append(Source(instrument, payoff["amount"] - self.reserved(instrument, without=without)))
        return found

    def facts(self, connection: Connection) -> TripFacts:
        """As the rules read it. Raises RefundRefused where there is no purchase."""
        if self.ended_at is None:
            raise RefundRefused(f"trip {self.shopping_trip_id} has no cart, so there is nothing to give back")
        lines = connection.execute(_LINES, {"trip": self.shopping_trip_id}).mappings()
        standing = {row["request_id"]: self._stands(row) for row in self.requests if not row["is_return"]}
        alone = [row["request_id"] for row in self.requests if row["decided_by"] is None]
        unplaced = sum((row["amount"] for row in self.requests if row["state"] == "AWAITING_APPROVAL"), ZERO)
        return TripFacts(
            shopping_trip_id=self.shopping_trip_id,
            currency=self.currency,
            total=self.total,
            ended_at=self.ended_at,
            window=self.window,
            approval_above=self.approval_above,
            asked_before=sum(standing.values(), ZERO),
            asked_alone=sum((amount for request, amount in standing.items() if request in alone), ZERO),
            room=room(self.sources()) - unplaced,
            lines={
                row["line_number"]: SoldLine(
                    row["line_number"], row["quantity"], row["total"], row["given_quantity"], row["given"]
                )
                for row in lines
            },
        )

    def _stands(self, request: RowMapping) -> Decimal:
        """What a request gives back or may give back."""
        if request["state"] == "AWAITING_APPROVAL":
            return Decimal(request["amount"])
        parts = (row for row in self.refunds if row["request_id"] == request["request_id"])
        return sum((row["amount"] for row in parts if row["state"] in RESERVING), ZERO)

    def _given_by_others(self) -> Decimal:
        """What Amazon reports beyond all that we ever asked it for: its own staff can refund too."""
        ours = sum(
            (
                row["amount"]
                for row in self.refunds
                if row["instrument"] == CAPTURE and row["attempts"] > 0 and row["state"] in RESERVING
            ),
            ZERO,
        )
        return max(self.told_refunded - ours, ZERO)


def lock(connection: Connection, shopping_trip_id: str) -> Trip:
    """The trip, with all that refunds of it touch locked. Raises RefundRefused where it has no charge."""
    values = {"trip": shopping_trip_id}
    charge = connection.execute(_CHARGE, values).mappings().one_or_none()
    if charge is None:
        raise RefundRefused(
            f"trip {shopping_trip_id!r} has no charge, so no card paid for it; `backroom charges list` shows those that"
            " have"
        )
    debt = connection.execute(_DEBT, values).one_or_none()
    payoffs = connection.execute(_PAYOFFS, values).mappings().all()
    requests = connection.execute(_REQUESTS, values).mappings().all()
    refunds = connection.execute(_REFUNDS, values).mappings().all()
    row = connection.execute(_TRIP, values).mappings().one()
    limit = row["refund_approval_above"]
    return Trip(
        shopping_trip_id=shopping_trip_id,
        store_id=charge["store_id"],
        currency=charge["currency"],
        charge_state=charge["state"],
        total=charge["total"],
        captured=charge["captured"],
        outstanding=debt.outstanding if debt is not None else ZERO,
        owed=debt.amount if debt is not None else ZERO,
        processor=row["payment_processor"],
        trusts_answers=row["trust_capture_answer"],
        told_refunded=row["told_refunded"] or ZERO,
        ended_at=row["trip_ended_at"],
        window=timedelta(days=row["refund_window_days"]),
        approval_above=limit if limit is not None else settings().refund_approval_above,
        payoffs=payoffs,
        refunds=refunds,
        requests=requests,
    )
