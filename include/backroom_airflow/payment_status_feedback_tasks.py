"""Tasks of the DAG payment_status_feedback: payoffs whose outcome is open, then what Amazon is to be told of it all."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def look_up_payoffs(**context: Any) -> dict[str, int]:
    """Asks what became of payoffs whose outcome is open, and takes in people's decisions; returns the outcomes."""
    from backroom.db.engine import engine
    from backroom.debts.looking_up import look_up_due
    from backroom.debts.processors import port_of

    now = business_time.of(context)
    return dict(look_up_due(engine(), lambda method: port_of(engine(), method, now=now), now=now))


def find_due(**context: Any) -> list[str]:
    """Makes a report due for each trip of which Amazon does not know the truth; returns the stores that have one."""
    from backroom.db.engine import transaction
    from backroom.debts import payment_status, reporting

    now = business_time.of(context)
    with transaction() as connection:
        reporting.apply_decisions(connection, now=now)
        payment_status.find_due(connection, now=now)
        return reporting.stores_with_due(connection, now=now)


def report(store_id: str, **context: Any) -> dict[str, Any]:
    """Sends the store's reports that are due; returns what became of them."""
    from backroom.amazon.payment_status_client import PaymentStatusClient
    from backroom.db.engine import engine
    from backroom.debts.reporting import report_due
    from backroom.settings import settings

    now = business_time.of(context)
    with PaymentStatusClient(settings()) as client:
        return report_due(engine(), client, store_id=store_id, now=now).as_json()


def post(**context: Any) -> int:
    """Books what is new; returns the number of ledger transactions made."""
    from backroom.db.engine import transaction
    from backroom.ledger.book import post_new

    now = business_time.of(context)
    with transaction() as connection:
        return post_new(connection, now=now)
