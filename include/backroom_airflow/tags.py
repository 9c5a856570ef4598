"""Every tag that a DAG may carry: a closed list, so that Airflow's filter stays useful."""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What a pipeline is about and how it runs."""

    # the part of the business
    CATALOG = "catalog"
    CHARGES = "charges"
    DEBTS = "debts"
    FEEDS = "feeds"
    INVENTORY = "inventory"
    QUALITY = "quality"
    RECONCILIATION = "reconciliation"
    REFUNDS = "refunds"
    REVIEWS = "reviews"
    SHOPPERS = "shoppers"

    # how it runs
    EVERY_FEW_MINUTES = "every-few-minutes"
    DAILY = "daily"
    RELEASED = "released"

    # who is called when it fails
    MOVES_MONEY = "moves-money"
    CALLS_AMAZON = "calls-amazon"
