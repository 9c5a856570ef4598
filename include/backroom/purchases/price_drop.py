"""A source that would take the price from many products at once waits for a person: it may be cut short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.reviews.cases import open_case, settle

KIND = "PRICE_DROP"
LOAD = "load"

_GONE = text("""
    select before.store_id, count(*) as had, count(*) filter (where price.item_sku is null) as gone
    from price_before as before
    left join shelf_price as price
      on price.store_id = before.store_id and price.item_sku = before.item_sku
     and price.valid_from <= :now and (price.valid_to is null or price.valid_to > :now)
    where before.valid_from <= :now and (before.valid_to is null or before.valid_to > :now)
    group by before.store_id order by before.store_id
""")
_DECIDED = text(
    "select decision from review_case where kind = :kind and subject = :subject and decision is not null"
    " order by case_id desc limit 1"
)


@dataclass(frozen=True)
class Drop:
    """How many of a store's products have a price and would have none."""

    store_id: str
    had: int
    gone: int

    def __str__(self) -> str:
        return f"{self.gone} of the {self.had} prices of store {self.store_id}"


class TooManyGone(Exception):
    """The load is undone: it would take the price from more products than the setting allows."""

    def __init__(self, drops: list[Drop]) -> None:
        super().__init__(f"would end {', '.join(map(str, drops))}")
        self.drops = drops


def drops_of_load(connection: Connection, *, now: datetime) -> list[Drop]:
    """What a load within this transaction took, by store, against the temporary table `price_before`."""
    return [Drop(row.store_id, row.had, row.gone) for row in connection.execute(_GONE, {"now": now})]


def refuse_large(drops: list[Drop], percent: int) -> None:
    """Raises TooManyGone where a store would lose more than `percent` of the prices that it has."""
    if large := [drop for drop in drops if drop.gone * 100 > drop.had * percent]:
        raise TooManyGone(large)


def decided_to_load(connection: Connection, subject: str) -> bool:
    """Whether a person has said that exactly this content is meant. `subject` names the source and its content."""
    return connection.scalar(_DECIDED, {"kind": KIND, "subject": subject}) == LOAD


def ask(connection: Connection, *, source: str, subject: str, origin: str, drops: list[Drop], now: datetime) -> None:
    """Opens the case and raises the alert, once for that content, however often it is found again."""
    if connection.scalar(_DECIDED, {"kind": KIND, "subject": subject}) is not None:
        return  # a person has said no: the old prices stay until the source says something else
    opened = open_case(
        connection,
        kind=KIND,
        subject=subject,
        store_id=drops[0].store_id if len(drops) == 1 else None,
        asked_by="purchases",
        question=f"{origin} would end {', '.join(map(str, drops[:5]))}. Is it whole, and are these meant to have none?",
        known={"stores": {drop.store_id: {"prices": drop.had, "gone": drop.gone} for drop in drops}},
        choices=[
            (LOAD, "loaded as it is; what it does not name has no price any more"),
            ("keep", "the old prices stay in force until the source has other content"),
        ],
        now=now,
    )
    if opened is not None:
        raise_alert(
            connection,
            key=f"price-drop:{subject}",
            severity="critical",
            title=f"Prices are not loaded: {origin} would end {', '.join(map(str, drops[:5]))}",
            what_to_do=f"look at the source; then decide case {opened}: `backroom review decide {opened} load|keep`",
            now=now,
            subject=source,
        )


def settle_open(connection: Connection, subject: str, *, now: datetime) -> None:
    """Closes the question where the content was loaded by force."""
    settle(connection, kind=KIND, subject=subject, by="prices sync --force", reason="loaded by force", now=now)
