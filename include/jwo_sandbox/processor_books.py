"""The sandbox's own card processor: payments, refunds and calls, in a SQLite file of their own.

Amounts are whole minor units of their currency. One thread uses them: that of the event loop.
"""

from __future__ import annotations

import sqlite3
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from jwo_sandbox.minor_amounts import to_decimal, to_minor

SCHEMA = """
create table if not exists payment (
  id text primary key, reference text not null unique, subject text not null, customer text not null,
  method text not null, currency text not null, amount integer not null, held integer not null default 0,
  captured integer not null default 0, refunded integer not null default 0, state text not null
);
create table if not exists refund (
  id text primary key, reference text not null, payment_id text not null, amount integer not null,
  unique (payment_id, reference)
);
create table if not exists done (
  payment_id text not null, operation text not null, reference text not null,
  primary key (payment_id, operation, reference)
);
create table if not exists call (
  number integer primary key, operation text not null, subject text not null, attempt integer not null,
  reference text not null, method text not null, fault text, status integer, forbidden text
);
create index if not exists call_subject on call (subject, operation);
"""
HELD, CAPTURED, VOIDED, DECLINED = "HELD", "CAPTURED", "VOIDED", "DECLINED"


class Refused(Exception):
    """A definite no: HTTP status and what to say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProcessorBooks:
    """What is held, taken and given back. Each payment is captured once, each reference is served once."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if folder is None else str(folder / "processor.sqlite")
        self._connection = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = off")
        self._connection.executescript(SCHEMA)

    def clear(self) -> None:
        """Forget everything."""
        for table in ("payment", "refund", "done", "call"):
            self._connection.execute(f"delete from {table}")  # noqa: S608

    def pay(self, asked: dict[str, Any], *, declined: bool) -> sqlite3.Row:
        """A payment: held, taken at once, or declined. One that is known by its reference is told again."""
        known = self._one("select * from payment where reference = ?", asked["reference"])
        if known is None:
            currency = str(asked["currency"])
            amount = _positive(asked["amount"], currency)
            state = DECLINED if declined else CAPTURED if asked.get("capture") else HELD
            self._connection.execute(
                "insert into payment (id, reference, subject, customer, method, currency, amount, held, captured,"
                " state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    f"pay_{uuid.uuid4().hex[:20]}", asked["reference"], str(asked.get("subject", "")),
                    asked["customer"], asked["method"], currency, amount, amount if state == HELD else 0,
                    amount if state == CAPTURED else 0, state,
                ),
            )  # fmt: skip
            known = self._one("select * from payment where reference = ?", asked["reference"])
        assert known is not None
        if known["state"] == DECLINED:
            raise Refused(402, "the card was declined")
        return known

    def adjust(self, payment_id: str, asked: dict[str, Any], *, declined: bool) -> sqlite3.Row:
        """A hold is raised to the whole amount; a decline leaves it as it is."""
        payment = self._in_state(payment_id, HELD)
        amount = _positive(asked["amount"], payment["currency"])
        if declined:
            raise Refused(402, "the card was declined; the hold is as it was")
        self._connection.execute("update payment set held = ?, amount = ? where id = ?", (amount, amount, payment_id))
        return self.payment(payment_id)

    def capture(self, payment_id: str, asked: dict[str, Any], *, declined: bool) -> sqlite3.Row:
        """So much of a hold is taken, the rest is freed; once."""
        if self._done(payment_id, "capture", asked["reference"]):
            return self.payment(payment_id)
        payment = self._in_state(payment_id, HELD)
        amount = _positive(asked["amount"], payment["currency"])
        if amount > payment["held"]:
            raise Refused(400, "more than is held")
        if declined:
            self._connection.execute("update payment set held = 0, state = ? where id = ?", (VOIDED, payment_id))
            raise Refused(410, "the hold has lapsed")
        self._connection.execute(
            "update payment set held = 0, captured = ?, state = ? where id = ?", (amount, CAPTURED, payment_id)
        )
        self._keep_done(payment_id, "capture", asked["reference"])
        return self.payment(payment_id)

    def void(self, payment_id: str, asked: dict[str, Any]) -> sqlite3.Row:
        """A hold is ended."""
        if not self._done(payment_id, "void", asked["reference"]):
            self._in_state(payment_id, HELD)
            self._connection.execute("update payment set held = 0, state = ? where id = ?", (VOIDED, payment_id))
            self._keep_done(payment_id, "void", asked["reference"])
        return self.payment(payment_id)

    def refund(self, payment_id: str, asked: dict[str, Any]) -> dict[str, Any]:
        """So much is given back, never more than was taken; once for each reference."""
        known = self.refund_under(payment_id, asked["reference"])
        if known is None:
            payment = self._in_state(payment_id, CAPTURED)
            amount = _positive(asked["amount"], payment["currency"])
            if payment["refunded"] + amount > payment["captured"]:
                raise Refused(400, "more than was taken")
            self._connection.execute(
                "insert into refund values (?, ?, ?, ?)",
                (f"ref_{uuid.uuid4().hex[:20]}", asked["reference"], payment_id, amount),
            )
            self._connection.execute("update payment set refunded = refunded + ? where id = ?", (amount, payment_id))
            known = self.refund_under(payment_id, asked["reference"])
        assert known is not None
        return known

    def payment(self, payment_id: str) -> sqlite3.Row:
        """One payment. Raises Refused (404)."""
        found = self._one("select * from payment where id = ?", payment_id)
        if found is None:
            raise Refused(404, "no such payment")
        return found

    def payment_under(self, reference: str) -> sqlite3.Row:
        """The payment with that reference. Raises Refused (404)."""
        found = self._one("select * from payment where reference = ?", reference)
        if found is None:
            raise Refused(404, "no payment under this reference")
        return found

    def refund_under(self, payment_id: str, reference: str) -> dict[str, Any] | None:
        """The payment's refund with that reference."""
        row = self._connection.execute(
            "select r.*, p.currency from refund r join payment p on p.id = r.payment_id"
            " where r.payment_id = ? and r.reference = ?",
            (payment_id, reference),
        ).fetchone()
        return None if row is None else _refund(row)

    def begin_call(self, operation: str, subject: str, reference: str, method: str) -> tuple[int, int]:
        """Notes a call; its number, and how many times this has been asked, this one included."""
        attempt = self._connection.execute(
            "select count(*) + 1 from call where subject = ? and operation = ?", (subject, operation)
        ).fetchone()[0]
        cursor = self._connection.execute(
            "insert into call (operation, subject, attempt, reference, method) values (?, ?, ?, ?, ?)",
            (operation, subject, attempt, reference, method),
        )
        return int(cursor.lastrowid or 0), int(attempt)

    def end_call(self, number: int, fault: str | None, status: int) -> None:
        """Notes how it ended."""
        self._connection.execute("update call set fault = ?, status = ? where number = ?", (fault, status, number))

    def told(self) -> dict[str, Any]:
        """Everything, for whoever compares books: payments, refunds, totals by currency, calls."""
        payments = [payment_body(row) for row in self._all("select * from payment order by rowid")]
        refunds = self._all(
            "select r.*, p.currency from refund r join payment p on p.id = r.payment_id order by r.rowid"
        )
        totals = self._all(
            "select currency, sum(held) as held, sum(captured) as captured, sum(refunded) as refunded"
            " from payment group by currency"
        )
        return {
            "payments": payments,
            "refunds": [_refund(row) for row in refunds],
            "totals": {
                row["currency"]: {
                    name: to_decimal(row[name], row["currency"]) for name in ("held", "captured", "refunded")
                }
                for row in totals
            },
            "calls": [dict(row) for row in self._all("select * from call order by number")],
        }

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _in_state(self, payment_id: str, state: str) -> sqlite3.Row:
        payment = self.payment(payment_id)
        if payment["state"] != state:
            raise Refused(409, f"the payment is {payment['state']}")
        return payment

    def _done(self, payment_id: str, operation: str, reference: str) -> bool:
        asked = (payment_id, operation, reference)
        query = "select 1 from done where payment_id = ? and operation = ? and reference = ?"
        return self._connection.execute(query, asked).fetchone() is not None

    def _keep_done(self, payment_id: str, operation: str, reference: str) -> None:
        self._connection.execute("insert into done values (?, ?, ?)", (payment_id, operation, reference))

    def _one(self, statement: str, value: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection.execute(statement, (value,)).fetchone()
        return found

    def _all(self, statement: str) -> list[sqlite3.Row]:
        return self._connection.execute(statement).fetchall()


def payment_body(row: sqlite3.Row) -> dict[str, Any]:
    """A payment as the API tells it."""
    currency = row["currency"]
    amounts = {name: to_decimal(row[name], currency) for name in ("amount", "held", "captured", "refunded")}
    names = ("id", "reference", "subject", "customer", "method", "currency", "state")
    return {name: row[name] for name in names} | amounts


def _refund(row: sqlite3.Row) -> dict[str, Any]:
    names = {name: row[name] for name in ("id", "reference", "payment_id", "currency")}
    return names | {"state": CAPTURED, "amount": to_decimal(row["amount"], row["currency"])}


def _positive(amount: Any, currency: str) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise Refused(400, "amount: must be a number")
    try:
        minor = to_minor(Decimal(amount), currency)
    except (ValueError, ArithmeticError) as error:
        raise Refused(400, "amount: not one of this currency") from error
    if minor <= 0:
        raise Refused(400, "amount: must be above zero")
    return minor
