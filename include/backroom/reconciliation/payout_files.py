"""A processor's payouts as it reports them: a CSV of payments paid out, taken in once however often it is given."""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.card_numbers import looks_like_card_number
from backroom.errors import BackroomError
from backroom.money import CURRENCIES

COLUMNS: Final = (
    "payout_id", "line_number", "kind", "reference", "shopping_trip_id", "amount", "fee", "currency", "paid_out_on",
)  # fmt: skip
KINDS: Final = ("CAPTURE", "REFUND")
MOST: Final = Decimal("9999999999.9999")  # what a column of an amount holds; what is finer would be rounded there
FINEST: Final = Decimal("0.0001")
_TAKE: Final = text("""
    insert into processor_payout_line (processor, payout_id, line_number, kind, reference, shopping_trip_id, amount,
        fee, currency, paid_out_on, received_at)
    values (:processor, :payout_id, :line_number, :kind, :reference, :shopping_trip_id, :amount, :fee, :currency,
        :paid_out_on, :received_at)
    on conflict (processor, payout_id, line_number) do nothing
""")
_OTHERWISE: Final = text("""
    select 1 from processor_payout_line
    where (processor, payout_id, line_number) = (:processor, :payout_id, :line_number)
      and (kind, reference, shopping_trip_id, amount, fee, currency, paid_out_on) is distinct from
          (cast(:kind as text), cast(:reference as text), cast(:shopping_trip_id as text), cast(:amount as numeric),
           cast(:fee as numeric), cast(:currency as text), cast(:paid_out_on as date))
""")


def take_in(connection: Connection, path: Path, *, processor: str, now: datetime) -> tuple[int, int]:
    """(new rows, rows that were known). All of the file or nothing of it goes in.

    Raises BackroomError, with the line, for a row that can't be read or that contradicts what was taken in before.
    """
    new = known = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise BackroomError(f"{path}: it lacks the columns {', '.join(missing)}")
            for number, row in enumerate(reader, 2):
                values = _values(row, f"{path}, line {number}") | {"processor": processor, "received_at": now}
                if connection.execute(_TAKE, values).rowcount:
                    new += 1
                elif connection.execute(_OTHERWISE, values).one_or_none() is not None:
                    raise BackroomError(f"{path}, line {number}: it was taken in before with other values")
                else:
                    known += 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BackroomError(f"{path} can't be read: {error}") from error
    return new, known


def _values(row: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        values = {
            "payout_id": row["payout_id"].strip(),
            "line_number": int(row["line_number"]),
            "kind": row["kind"],
            "reference": row["reference"].strip(),
            "shopping_trip_id": row["shopping_trip_id"].strip() or None,
            "amount": Decimal(row["amount"]),
            "fee": Decimal(row["fee"] or "0"),
            "currency": row["currency"],
            "paid_out_on": date.fromisoformat(row["paid_out_on"]),
        }
    except (ValueError, TypeError, AttributeError, InvalidOperation) as error:
        raise BackroomError(f"{where}: {error!r}") from error
    if values["kind"] not in KINDS or not values["payout_id"] or not values["reference"]:
        raise BackroomError(f"{where}: kind must be {' or '.join(KINDS)}, payout_id and reference must say something")
    if not values["amount"].is_finite() or not values["fee"].is_finite():
        raise BackroomError(f"{where}: an amount is no number")
    if any(abs(one) > MOST or one % FINEST for one in (values["amount"], values["fee"])):
        raise BackroomError(f"{where}: an amount has more than four decimal places, or more than ten before them")
    if values["currency"] not in CURRENCIES:
        raise BackroomError(f"{where}: {values['currency']!r} is not an ISO 4217 currency code")
    if (values["amount"] < 0) != (values["kind"] == "REFUND"):
        raise BackroomError(f"{where}: a CAPTURE is positive and a REFUND negative")
    if looks_like_card_number(values["reference"]):
        raise BackroomError(f"{where}: the reference looks like a card number; nothing of this file was kept")
    return values
