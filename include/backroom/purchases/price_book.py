"""The price book: shelf prices, promotions and tax rates, loaded from the retailer's files.

A file replaces all rows of the stores that it names, in the caller's transaction. At any instant a product has one
price and a tax code one rate at a store; a file that says otherwise is refused. Periods are valid_from (inclusive) to
valid_to (exclusive, empty: open).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import model_validator
from sqlalchemy import Connection, text

from backroom.errors import SourceFileError
from backroom.purchases.promotion_row import Period, PromotionRow
from backroom.source_files import Amount, Identifier, Rate, Words, read_csv


def load_prices(connection: Connection, path: Path) -> int:
    """prices.csv into shelf_price; prices are per the product's own unit. Returns the rows. Raises SourceFileError."""
    return _load(connection, path, _PRICES)


def load_promotions(connection: Connection, path: Path) -> int:
    """promotions.csv with the products of each; docs/pricing.md names the columns. Returns the rows.

    Percentages are fractions: 0.125 is 12.5 %. Raises SourceFileError.
    """
    return _load(connection, path, _PROMOTIONS)


def load_taxes(connection: Connection, path: Path) -> int:
    """taxes.csv into tax_rate; rates are fractions. Returns the rows. Raises SourceFileError."""
    return _load(connection, path, _TAXES)


class _Price(Period):
    store_id: Identifier
    item_sku: Identifier
    price: Amount
    currency: Identifier


class _Tax(Period):
    store_id: Identifier
    product_tax_code: Words
    jurisdiction: Identifier
    rate: Rate

    @model_validator(mode="after")
    def _fraction(self) -> _Tax:
        if self.rate >= 1:
            raise ValueError("rate is a fraction below 1: 0.0825 is 8.25 %")
        return self


@dataclass(frozen=True)
class _Book:
    row: type[Period]
    table: str
    columns: dict[str, str]  # the row's field → the table's column
    checks: dict[str, str]  # a query for the first offending line → what is wrong with it
    beside: dict[str, str] = field(default_factory=dict)  # fields that are no column of the table → their SQL type
    then: str | None = None  # a statement that stores those


def _one_at_a_time(*key: str) -> str:
    """The first line whose period begins before an earlier period of the same key has ended."""
    return f"""
        select line, earlier from (
            select line, valid_from, lag(line) over same as earlier, lag(valid_to) over same as earlier_to
            from incoming window same as (partition by {", ".join(key)} order by valid_from, line)
        ) as periods
        where earlier is not null and (earlier_to is null or earlier_to > valid_from) order by line limit 1
    """  # noqa: S608 - column names of this module


_STORE_KNOWN = {
    "select line, store_id from incoming where store_id not in (select store_id from store) order by line limit 1": (
        "column 'store_id': there is no store {!r}; load the stores first"
    )
}
_PRICES = _Book(
    _Price,
    "shelf_price",
    {"store_id": "store_id", "item_sku": "item_sku", "valid_from": "valid_from", "valid_to": "valid_to",
     "price": "amount", "currency": "currency"},
    {
        **_STORE_KNOWN,
        "select line, incoming.currency from incoming join store using (store_id)"
        " where incoming.currency <> store.currency order by line limit 1": (
            "column 'currency': {!r} is not the store's currency"
        ),
        _one_at_a_time("store_id", "item_sku"): "column 'valid_from': the price of line {} is still valid then",
    },
)  # fmt: skip
_PROMOTIONS = _Book(
    PromotionRow,
    "promotion",
    {name: name for name in PromotionRow.model_fields if name != "item_sku"},
    {
        **_STORE_KNOWN,
        "select max(line), promotion_id from incoming group by promotion_id having count(*) > 1 order by 1 limit 1": (
            "column 'promotion_id': {!r} is there twice"
        ),
        "select line, promotion_id from incoming join promotion using (promotion_id)"
        " where promotion.store_id not in (select store_id from incoming) order by line limit 1": (
            "column 'promotion_id': {!r} belongs to another store"
        ),
    },
    beside={"item_sku": "text[]"},
    then="insert into promotion_item (store_id, item_sku, promotion_id)"
    " select store_id, unnest(item_sku), promotion_id from incoming",
)
_TAXES = _Book(
    _Tax,
    "tax_rate",
    {name: name for name in _Tax.model_fields},
    {
        **_STORE_KNOWN,
        _one_at_a_time("store_id", "product_tax_code"): "column 'valid_from': the rate of line {} is still valid then",
    },
)


def _load(connection: Connection, path: Path, book: _Book) -> int:
    names = [*book.columns, *book.beside]
    columns = ", ".join(book.columns.values())
    beside = "".join(f", cast(null as {kind}) as {name}" for name, kind in book.beside.items())
    connection.execute(
        text(
            f"create temporary table incoming on commit drop as"  # noqa: S608 - names of this module
            f" select 0 as line, {columns}{beside} from {book.table} with no data"
        )
    )
    driver = connection.connection.driver_connection
    if driver is None:
        raise TypeError("the connection is closed")
    rows = 0
    incoming = ", ".join(["line", *book.columns.values(), *book.beside])
    with driver.cursor() as cursor, cursor.copy(f"copy incoming ({incoming}) from stdin") as copy:
        for line, row in read_csv(path, book.row):
            copy.write_row((line, *(getattr(row, name) for name in names)))
            rows += 1
    for query, complaint in book.checks.items():
        if found := connection.execute(text(query)).first():
            raise SourceFileError(f"{path}: line {found[0]}, {complaint.format(found[1])}")
    connection.execute(
        text(f"delete from {book.table} where store_id in (select store_id from incoming)")  # noqa: S608
    )
    connection.execute(
        text(f"insert into {book.table} ({columns}) select {columns} from incoming")  # noqa: S608
    )
    if book.then is not None:
        connection.execute(text(book.then))
    connection.execute(text("drop table incoming"))
    return rows
