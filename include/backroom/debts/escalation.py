"""Debts that are handed to a person because they are old or large, and what the person decides."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog
from sqlalchemy import Connection, text

from backroom.debts.account import OLD_DEBT
from backroom.debts.returning import ASKED_BY
from backroom.debts.write_off import WriteOffRefused, write_off
from backroom.reviews.cases import open_case

_log = structlog.get_logger()

_TO_ESCALATE: Final = text(
    """
    update debt set escalated_at = :now
    where state = 'OPEN' and escalated_at is null and (age_days >= :days or outstanding >= :amount)
    returning shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount, outstanding, opened_at,
              age_days
    """
)
_DECIDED: Final = text(
    """
    select r.case_id, r.subject, r.decided_by, r.decision_reason
    from review_case r join debt d on d.shopping_trip_id = r.subject
    where r.asked_by = :asked_by and r.kind = :kind and r.decision = 'write_off' and d.state = 'OPEN'
      and not exists (select from debt_event e where e.shopping_trip_id = r.subject and e.kind = 'WRITTEN_OFF'
                      and e.source = 'case:' || r.case_id)
    order by r.case_id
    """
)


def escalate(connection: Connection, *, days: int, amount: Decimal | None, now: datetime) -> int:
    """Opens a case for each open debt of at least `days` of age, as the last aging found it, or of at least `amount`.

    `amount` is in the debt's currency; None: by age alone. Each debt is handed over once. Returns how many were.
    """
    rows = connection.execute(_TO_ESCALATE, {"days": days, "amount": amount, "now": now}).mappings().all()
    for row in sorted(rows, key=lambda row: (row["opened_at"], row["shopping_trip_id"])):
        open_case(
            connection,
            kind=OLD_DEBT,
            subject=row["shopping_trip_id"],
            store_id=row["store_id"],
            asked_by=ASKED_BY,
            question="This debt is old or large and still open. Is it given up in the books?",
            known={
                "owed_by": row["shopper_id"] or row["shopper_identity"] or "nobody we know",
                "outstanding": f"{row['outstanding']:f} {row['currency']}",
                "of": f"{row['amount']:f} {row['currency']}",
                "cause": row["cause"],
                "opened_at": row["opened_at"].isoformat(),
                "age_days": row["age_days"],
            },
            choices=[
                ("write_off", "it is given up in the books; entry stays denied until it is forgiven"),
                ("keep", "nothing changes: it stays open"),
            ],
            now=now,
        )
    return len(rows)


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Writes off what people have decided to; returns how many. A payoff that is under way comes first."""
    done = 0
    for case in connection.execute(_DECIDED, {"asked_by": ASKED_BY, "kind": OLD_DEBT}).mappings().all():
        try:
            write_off(
                connection,
                shopping_trip_id=case["subject"],
                by=case["decided_by"],
                reason=case["decision_reason"],
                now=now,
                source=f"case:{case['case_id']}",
            )
        except WriteOffRefused as error:
            _log.warning("write_off_waits", case_id=case["case_id"], why=str(error))
        else:
            done += 1
    return done
