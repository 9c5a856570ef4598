"""Amazon's payment service over the books: what each call does, what it answers, and what befalls it on the way."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from jwo_sandbox import faults, instants, planting
from jwo_sandbox.books import Books
from jwo_sandbox.conduct import CHARGE_OPERATIONS, LEFT, Earlier, Known, forbidden
from jwo_sandbox.events import EventLog
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.minor_amounts import to_decimal, to_minor
from jwo_sandbox.payment_requests import Amount, BadRequest, PaymentRequest, read
from jwo_sandbox.retailer_files import Store
from jwo_sandbox.sandbox_clock import SandboxClock

TOKEN_LIFE = 46 * instants.HOUR
REFUND_WINDOW = 30 * 24 * instants.HOUR
IN_STORE = "IN_STORE"
TOLD_AGAIN = "TOLD_AGAIN"
"""What is due of an order that the files are to show once more."""
LIVE = "LIVE"
"""Kind of a trip that someone asked for: nobody plays it."""


@dataclass(frozen=True)
class Answer:
    """A status and a body to send; or, when `lost` says how, what happened instead of an answer."""

    status: int
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    lost: str | None = None


class Refused(Exception):
    """A 400; carries the published name of the error."""

    BAD_REQUEST = "BadRequestException"
    UNKNOWN_TRIP = "UnknownShoppingTrip"
    EXPIRED = "ShoppingTripExpiredException"


@dataclass
class Payments:
    """The service. Each call is one transaction on the books; its effect and its answer are two things."""

    books: Books
    clock: SandboxClock
    events: EventLog
    stores: dict[str, Store]
    plan: FaultPlan
    close_live_cart: Callable[[sqlite3.Row, int], None]
    """Called when the retailer charges a live trip for the first time: its cart is final then."""

    def call(self, operation: str, body: bytes) -> Answer:
        """Do what a call asks, or what befalls it instead."""
        with self.books:
            try:
                request = read(operation, body)
                if request.store_id not in self.stores:
                    raise Refused(Refused.BAD_REQUEST)
                if operation == "shopper_identity":
                    return self._shopper_identity(request)
                trip = self._trip(request)
            except (BadRequest, Refused) as error:
                name = Refused.BAD_REQUEST if isinstance(error, BadRequest) else str(error)
                return Answer(400, {"errorMsg": name})
            return self._on_trip(operation, request, trip)

    def _on_trip(self, operation: str, request: PaymentRequest, trip: sqlite3.Row) -> Answer:
        trip_id = request.shopping_trip_id
        earlier = self._earlier(trip_id)
        attempt = 1 + sum(call.operation == operation for call in earlier)
        fault = self.plan.fault(trip_id, operation, attempt)
        self._watch(operation, request, trip, earlier, fault)
        answer = self._before_effect(fault)
        if answer is None:
            try:
                if operation in CHARGE_OPERATIONS and self.clock.now() >= trip["started_at"] + TOKEN_LIFE:
                    raise Refused(Refused.EXPIRED)
                answer = getattr(self, f"_{operation}")(request, trip, fault)
            except Refused as error:
                answer = Answer(400, {"errorMsg": str(error)})
            if fault in (faults.DROPPED_AFTER, faults.HANGS_AFTER, faults.SLOW_AFTER):
                answer = replace(answer, lost=fault)
        row = {
            "shopping_trip_id": trip_id,
            "operation": operation,
            "attempt": attempt,
            "at": self.clock.now(),
            "amount": str(request.amount.amount) if request.amount else None,
            "fault": fault,
            "status": None if answer.lost not in (None, faults.SLOW_AFTER) else answer.status,
            "answer": json.dumps(answer.body, default=str),
        }
        self.books.insert("call", [row])
        return answer

    def _earlier(self, trip_id: str) -> list[Earlier]:
        inquired = self.books.count("select max(after_call) from inquiry where shopping_trip_id = ?", (trip_id,))
        rows = self.books.all(
            "select id, operation, status, answer from call where shopping_trip_id = ? order by id", (trip_id,)
        )
        return [Earlier(row["operation"], row["status"], _said(row), row["id"] <= inquired) for row in rows]

    def _before_effect(self, fault: str | None) -> Answer | None:
        if fault in (faults.THROTTLED, faults.THROTTLED_LONG):
            seconds = self.plan.retry_after_seconds if fault == faults.THROTTLED else faults.PUBLISHED_RETRY_AFTER
            return Answer(429, {"errorMsg": "Too Many Requests"}, {"Retry-After": str(seconds)})
        if fault == faults.SERVER_ERROR:
            return Answer(500, {"errorMsg": "InternalServerError"})
        if fault == faults.UNAVAILABLE:
            return Answer(503, {"errorMsg": "ServiceUnavailable"})
        return Answer(500, lost=fault) if fault == faults.DROPPED_BEFORE else None

    def _adjust(self, request: PaymentRequest, trip: sqlite3.Row, fault: str | None) -> Answer:
        asked = self._minor(request.amount, trip)
        if trip["kind"] == LIVE and trip["stage"] == IN_STORE:
            self.close_live_cart(trip, asked)
        if trip["cancelled"] or trip["capture_count"]:
            raise Refused(Refused.BAD_REQUEST)
        waiting = self._adjustment(trip["shopping_trip_id"])
        if waiting and (waiting["at"] is None or waiting["at"] > self.clock.now()):
            self.books.execute("update due set amount = ? where id = ?", (asked, waiting["id"]))
            return self._adjusted("PENDING", asked, trip)
        if waiting:
            self.books.execute("delete from due where id = ?", (waiting["id"],))
        if fault in (faults.PENDING, faults.PENDING_FOREVER):
            minutes = self.plan.pending_minutes
            at = self.clock.now() + minutes * instants.MINUTE if fault == faults.PENDING else None
            row = {"at": at, "kind": "ADJUST", "shopping_trip_id": trip["shopping_trip_id"], "amount": asked}
            self.books.insert("due", [row])
            return self._adjusted("PENDING", asked, trip)
        if fault in (faults.DECLINED, faults.DECLINED_ONCE):
            self._change(trip, authorized=0, declined=1)
            self.events.payment(trip, "AuthorizationDeclined", asked, self._effect_time(trip))
            return self._adjusted("DECLINED", 0, trip)
        held = asked // 2 if fault == faults.PARTIAL else asked
        self.authorize(trip, held, self._effect_time(trip))
        return self._adjusted("APPROVED", held, trip)

    def _capture(self, request: PaymentRequest, trip: sqlite3.Row, _fault: str | None) -> Answer:
        amount = self._minor(request.amount, trip)
        waiting = self._adjustment(trip["shopping_trip_id"]) is not None
        if trip["cancelled"] or waiting or amount > trip["held"]:
            raise Refused(Refused.BAD_REQUEST)
        if trip["capture_count"] and (self.plan.repeated_capture == "harmless" or trip["order_status"] == "CANCELLED"):
            if trip["order_status"] == "CANCELLED":
                raise Refused(Refused.BAD_REQUEST)
            return Answer(200)
        self.books.update_trip(
            trip["shopping_trip_id"],
            capture_count=trip["capture_count"] + 1,
            initiated=trip["initiated"] + amount,
        )
        late = self.plan.fault(trip["shopping_trip_id"], "settlement", 1) == faults.LATE
        minutes = self.plan.settle_minutes + (self.plan.late_minutes if late else 0)
        at = self.clock.now() + minutes * instants.MINUTE
        row = {"at": at, "kind": "CAPTURE", "shopping_trip_id": trip["shopping_trip_id"], "amount": amount}
        self.books.insert("due", [row])
        return Answer(200)

    def _cancel(self, _request: PaymentRequest, trip: sqlite3.Row, _fault: str | None) -> Answer:
        if trip["capture_count"]:
            raise Refused(Refused.BAD_REQUEST)
        if not trip["cancelled"]:
            self.books.execute("delete from due where shopping_trip_id = ?", (trip["shopping_trip_id"],))
            self._change(trip, cancelled=1, held=0, authorized=0, order_status="CANCELLED")
        return Answer(200)

    def _refund(self, request: PaymentRequest, trip: sqlite3.Row, _fault: str | None) -> Answer:
        amount = self._minor(request.amount, trip)
        earlier = self.books.one("select * from refund where refund_request_id = ?", (request.refund_request_id,))
        if earlier:
            if earlier["shopping_trip_id"] != trip["shopping_trip_id"] or earlier["amount"] != amount:
                raise Refused(Refused.BAD_REQUEST)
            return Answer(200, json.loads(earlier["answer"]))
        too_late = self.clock.now() > trip["ended_at"] + REFUND_WINDOW
        if too_late or trip["refunded"] + amount > trip["captured"]:
            raise Refused(Refused.BAD_REQUEST)
        digest = hashlib.sha256(request.refund_request_id.encode()).hexdigest()
        answer = {"reconciliationId": digest[:16]} if int(digest[:2], 16) % 2 else None
        row = {
            "refund_request_id": request.refund_request_id,
            "shopping_trip_id": trip["shopping_trip_id"],
            "amount": amount,
            "answer": json.dumps(answer),
        }
        self.books.insert("refund", [row])
        self._change(trip, refunded=trip["refunded"] + amount, order_status="REFUNDED")
        return Answer(200, answer)

    def _payment_status(self, request: PaymentRequest, trip: sqlite3.Row, fault: str | None) -> Answer:
        total, settled = self._minor(request.total, trip), self._minor(request.settled, trip)
        status = "Accepted" if settled <= total and fault != faults.REJECTED else "Rejected"
        row = {
            "shopping_trip_id": trip["shopping_trip_id"],
            "total": total,
            "settled": settled,
            "at": str(request.status_time),
            "status": status,
        }
        self.books.insert("payment_status", [row])
        return Answer(200, {"status": status})

    def _transactional_data(self, _request: PaymentRequest, trip: sqlite3.Row, _fault: str | None) -> Answer:
        digest = hashlib.sha256(trip["shopping_trip_id"].encode()).hexdigest()
        found: dict[str, Any] = {
            "brand": trip["card_brand"],
            "posEntryMode": "EMV_9F39_07",
            "currency": trip["currency"],
            "authorizationResponseCode": "00",
            "cryptogramInformationData": "80",
            "tail": trip["card_last_four"],
            "panSequenceNumber": f"{int(digest[:2], 16) % 4:02d}",
            "applicationId": "A0000000031010" if trip["card_brand"] == "VISA" else "A0000000041010",
            "expirationDate": {"expirationYear": "2029", "expirationMonth": f"{1 + int(digest[2:4], 16) % 12:02d}"},
            "cardholderVerificationMethodResult": "1F0002",
            "terminalId": f"GATE-{int(digest[4:6], 16) % 4 + 1}",
            "reconciliationId": trip["reconciliation_id"],
            "cardStatementTransactionId": digest[8:20].upper(),
        }
        missing = list(found)[int(digest[6:8], 16) % 32 :][:1]
        return Answer(200, {name: value for name, value in found.items() if name not in missing})

    def _shopper_identity(self, request: PaymentRequest) -> Answer:
        known = self.books.count("select count(*) from trip where identity_id = ?", (request.shopper_id,))
        name = request.shopper_id.rsplit(".", 1)[-1]
        return Answer(200, {"shopperEmail": f"{name}@shopper.example"} if known else {})

    def mature(self, moment: int) -> None:
        """Let everything that is due by a moment happen, each at its own time."""
        with self.books:
            rows = self.books.all("select * from due where at is not null and at <= ? order by at, id", (moment,))
            for row in rows:
                trip = self.books.trip(row["shopping_trip_id"])
                if trip is None:
                    continue
                self.books.execute("delete from due where id = ?", (row["id"],))
                if row["kind"] == "ADJUST":
                    self.authorize(trip, row["amount"], row["at"])
                elif row["kind"] == TOLD_AGAIN:
                    self._change(trip, row["at"])
                else:
                    self._settle(trip, row["amount"], row["at"])

    def authorize(self, trip: sqlite3.Row, amount: int, at: int) -> None:
        """Hold an amount in place of what was held."""
        self._change(trip, at, held=amount, authorized=amount)
        self.events.payment(trip, "AuthorizationApproved", amount, at)

    def _settle(self, trip: sqlite3.Row, amount: int, at: int) -> None:
        if self.plan.fault(trip["shopping_trip_id"], "settlement", 1) == faults.DECLINED:
            self._change(trip, at, captured=0, initiated=0, order_status="CANCELLED")
            self.events.payment(trip, "CaptureDeclined", amount, at)
        else:
            self._change(trip, at, captured=trip["captured"] + amount, order_status="SETTLED")
            self.events.payment(trip, "CaptureApproved", amount, at)
            self._plant_later(trip["shopping_trip_id"], at)

    def _plant_later(self, trip_id: str, settled_at: int) -> None:
        """The order is told once as it is; when it is told again, the break of the plan is in it."""
        after = self.plan.planted_after_minutes * instants.MINUTE
        if after and not planting.KINDS.isdisjoint(self.plan.reports(trip_id)):
            self.books.keep(f"planted from {trip_id}", settled_at + after)
            row = {"at": settled_at + after, "kind": TOLD_AGAIN, "shopping_trip_id": trip_id, "amount": 0}
            self.books.insert("due", [row])

    def _change(self, trip: sqlite3.Row, at: int | None = None, **changes: Any) -> None:
        """Change a trip; each change has a later `updated_at` than the one before it."""
        when = self._effect_time(trip) if at is None else at
        later = max(when, trip["updated_at"] + instants.SECOND)
        self.books.update_trip(trip["shopping_trip_id"], updated_at=later, **changes)

    def _effect_time(self, trip: sqlite3.Row) -> int:
        """A second after the call, so that evidence is always newer than the attempt it speaks of."""
        return max(self.clock.now() + instants.SECOND, int(trip["updated_at"]) + instants.SECOND)

    def _trip(self, request: PaymentRequest) -> sqlite3.Row:
        trip = self.books.trip(request.shopping_trip_id)
        if trip is None or trip["store_id"] != request.store_id or trip["stage"] not in (IN_STORE, LEFT):
            raise Refused(Refused.UNKNOWN_TRIP)
        return trip

    def _minor(self, amount: Amount | None, trip: sqlite3.Row) -> int:
        if amount is None or amount.code != trip["currency"]:
            raise Refused(Refused.BAD_REQUEST)
        try:
            return to_minor(amount.amount, amount.code)
        except ValueError as error:
            raise Refused(Refused.BAD_REQUEST) from error

    def _adjusted(self, status: str, minor: int, trip: sqlite3.Row) -> Answer:
        amount: Decimal = to_decimal(minor, trip["currency"])
        return Answer(200, {"status": status, "authorizedAmount": {"amount": amount, "code": trip["currency"]}})

    def _watch(
        self, operation: str, request: PaymentRequest, trip: sqlite3.Row, earlier: list[Earlier], fault: str | None
    ) -> None:
        """Note what a careful caller never does."""
        reason = forbidden(operation, request, self._known(operation, request, trip, earlier))
        if reason and fault != faults.DROPPED_BEFORE:
            row = {"shopping_trip_id": trip["shopping_trip_id"], "operation": operation, "at": self.clock.now()}
            self.books.insert("forbidden", [{**row, "reason": reason}])

    def _known(self, operation: str, request: PaymentRequest, trip: sqlite3.Row, earlier: list[Earlier]) -> Known:
        trip_id, store = trip["shopping_trip_id"], self.stores[trip["store_id"]]
        if operation == "refund":
            key = (request.refund_request_id,)
            new = not self.books.count("select count(*) from refund where refund_request_id = ?", key)
            return Known(trip, store, earlier, adjustment_pending=False, refund_is_new=new)
        if operation == "payment_status":
            last = self.books.one(
                "select at from payment_status where shopping_trip_id = ? order by id desc limit 1", (trip_id,)
            )
            return Known(
                trip,
                store,
                earlier,
                adjustment_pending=False,
                paid_otherwise=self.books.count("select sum(amount) from till where shopping_trip_id = ?", (trip_id,)),
                last_status_time=Decimal(last["at"]) if last else None,
            )
        waits = operation == "capture" and self._adjustment(trip_id) is not None
        return Known(trip, store, earlier, adjustment_pending=waits)

    def _adjustment(self, trip_id: str) -> sqlite3.Row | None:
        """The adjustment that is pending."""
        return self.books.one("select * from due where kind = 'ADJUST' and shopping_trip_id = ?", (trip_id,))


def _said(row: sqlite3.Row) -> str:
    """The status that an adjustment was answered with."""
    if row["operation"] != "adjust" or row["status"] != 200:
        return ""
    return str(json.loads(row["answer"])["status"])
