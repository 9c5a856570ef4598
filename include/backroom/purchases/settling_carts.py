"""Carts that wait for a person, or on disk: what is decided or late becomes a charge. A part of each money turn."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from backroom.purchases import bad_carts, refusals, unbilled
from backroom.purchases.refused_spool import collect_spool
from backroom.settings import settings


def settle(engine: Engine, *, now: datetime) -> None:
    """Takes in decisions on carts, charges those that are late, and takes in refused carts from the disk.

    Each part commits by itself: a late cart is charged also where what comes after fails. `now` is business time.
    """
    with engine.begin() as connection:
        bad_carts.apply_decisions(connection, now=now)
    more = True
    while more:
        with engine.begin() as connection:
            more = unbilled.charge_overdue(connection, now=now)["carts"] == unbilled.AT_ONCE
    with engine.begin() as connection:
        bad_carts.warn_of_waiting(connection, now=now)
    collect_spool(engine, settings().refused_spool_folder, now=now)
    with engine.begin() as connection:
        refusals.settle_sent_again(connection, now=now)
