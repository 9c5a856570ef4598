"""A source that would end many prices, promotions or tax rates at once waits for a person: it may be cut short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.reviews.cases import open_case, settle

KIND = "PRICE_DROP"
LOAD = "load"

_IN_FORCE = "valid_from <= :now and (valid_to is null or valid_to > :now)"


@dataclass(frozen=True)
class _Counted:
    """What a file says: rows of `table`, by `key`. Before the load they are in a temporary table `…_before`."""

    what: str
    table: str
    key: str
    had: str  # which of them, before, can be missed
    has: str  # which of them, after, are not


_COUNTED = {
    "prices.csv": _Counted("prices", "shelf_price", "item_sku", _IN_FORCE, _IN_FORCE),
    # A promotion that the file still names has the end that it gives; a basket's own ends with its trip.
    "promotions.csv": _Counted(
        "promotions", "promotion", "promotion_id", f"{_IN_FORCE} and shopping_trip_id is null", "version_of is null"
    ),
    "taxes.csv": _Counted("tax rates", "tax_rate", "product_tax_code", _IN_FORCE, _IN_FORCE),
}
_DECIDED = text(
    "select decision from review_case where kind = :kind and subject = :subject and decision is not null"
    " order by case_id desc limit 1"
)


@dataclass(frozen=True)
class Drop:
    """How many prices (or promotions, or tax rates) a store has, and how many of them would end."""

    store_id: str
    had: int
    gone: int
    what: str = "prices"

    def __str__(self) -> str:
        return f"{self.gone} of the {self.had} {self.what} of store {self.store_id}"


class TooManyGone(Exception):
    """The load is undone: `source` would end more than the setting allows."""

    def __init__(self, source: str, drops: list[Drop]) -> None:
        super().__init__(f"would end {', '.join(map(str, drops))}")
        self.source = source
        self.drops = drops


def drops_of_load(connection: Connection, name: str, *, now: datetime) -> list[Drop]:
    """What loading the file `name` within this transaction ended, by store, against what it left as it was before."""
    counted = _COUNTED[name]
    rows = connection.execute(
        text(f"""
            with had as (select store_id, {counted.key} as key from {counted.table}_before where {counted.had}),
                 has as (select store_id, {counted.key} as key from {counted.table} where {counted.has})
            select store_id, count(*) as had, count(*) filter (where has.key is null) as gone
            from had left join has using (store_id, key) group by store_id order by store_id
        """),  # noqa: S608 - names of this module
        {"now": now},
    )
    return [Drop(row.store_id, row.had, row.gone, counted.what) for row in rows]


def refuse_large(source: str, drops: list[Drop], percent: int) -> None:
    """Raises TooManyGone where a store would lose more than `percent` of what it has in force."""
    if large := [drop for drop in drops if drop.gone * 100 > drop.had * percent]:
        raise TooManyGone(source, large)


def decided_to_load(connection: Connection, subject: str) -> bool:
    """Whether a person has said that exactly this content is meant. `subject` names the source and its content."""
    return connection.scalar(_DECIDED, {"kind": KIND, "subject": subject}) == LOAD


def ask(connection: Connection, *, source: str, subject: str, origin: str, drops: list[Drop], now: datetime) -> None:
    """Opens the case and raises the alert, once for that content, however often it is found again."""
    if connection.scalar(_DECIDED, {"kind": KIND, "subject": subject}) is not None:
        return  # a person has said no: what is in force stays so until the source says something else
    opened = open_case(
        connection,
        kind=KIND,
        subject=subject,
        store_id=drops[0].store_id if len(drops) == 1 else None,
        asked_by="purchases",
        question=f"{origin} would end {', '.join(map(str, drops[:5]))}. Is it whole, and are these meant to have none?",
        known={"stores": {drop.store_id: {drop.what: drop.had, "gone": drop.gone} for drop in drops}},
        choices=[
            (LOAD, "loaded as it is; what it does not name is not in force any more"),
            ("keep", "what is in force stays so until the source has other content"),
        ],
        now=now,
    )
    if opened is not None:
        raise_alert(
            connection,
            key=f"price-drop:{subject}",
            severity="critical",
            title=f"Not loaded: {origin} would end {', '.join(map(str, drops[:5]))}",
            what_to_do=f"look at the source; then decide case {opened}: `backroom review decide {opened} load|keep`",
            now=now,
            subject=source,
        )


def settle_open(connection: Connection, subject: str, *, now: datetime) -> None:
    """Closes the question where the content was loaded by force."""
    settle(connection, kind=KIND, subject=subject, by="prices sync --force", reason="loaded by force", now=now)
