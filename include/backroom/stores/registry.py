"""The stores: loaded from the retailer's stores.json, read by every other room."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator
from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects.postgresql import insert

from backroom.errors import BackroomError, SourceFileError
from backroom.money import places
from backroom.source_files import Amount, Identifier, SourceRow, read_json_list
from backroom.stores.ids import usable
from backroom.stores.tables import store

RiskStrategy = Literal["AMAZON_MANAGED", "AMAZON_RECOMMENDATION", "RETAILER_MANAGED", "NONE"]


@dataclass(frozen=True)
class Store:
    """One store. `time_zone` is an IANA name; `currency` an ISO 4217 code, of `preauthorization_amount` too.

    `prices_include_tax`: the shelf prices hold the tax. `pricing_provider` says who prices a cart; the base URL of the
    store's point of sale is needed where that does, and may be given where it only hears of stock or tells prices.
    `balance_scope` says whose debts deny entry where the store manages its own risk. `payment_processor` moves the
    money of its trips. A refund may be asked for within `refund_window_days` of the trip's end, and waits for a second
    person above `refund_approval_above` (None: the setting). `trust_capture_answer`: a store without any feed has no
    evidence of its captures, and may take Amazon's answer for it. `store_type` is JWO, or DASH_CART for smart trolleys,
    whose catalog goes to a path of its own.
    """

    store_id: str
    name: str
    merchant: str
    time_zone: str
    currency: str
    tax_jurisdiction: str
    risk_strategy: str
    after_decline: str
    preauthorization_amount: Decimal
    feeds: tuple[str, ...]
    prices_include_tax: bool
    pricing_provider: str
    point_of_sale_url: str | None
    balance_scope: str
    payment_processor: str
    refund_window_days: int
    refund_approval_above: Decimal | None
    trust_capture_answer: bool
    store_type: str
    active: bool
    test: bool


def load_stores(connection: Connection, path: Path) -> int:
    """Adds or updates the stores of a stores.json; others stay as they are. Raises SourceFileError."""
    entries = read_json_list(path, _Entry)
    seen: set[str] = set()
    known = set(connection.execute(select(store.c.store_id)).scalars())
    alike = {one.casefold(): one for one in known}
    for number, entry in enumerate(entries, 1):
        if entry.store_id in seen:
            raise SourceFileError(f"{path}: the store {entry.store_id!r} is in it twice")
        seen.add(entry.store_id)
        if entry.store_id not in known:
            _new_id(entry.store_id, alike, f"{path}: entry {number}, field 'store_id'")
    if entries:
        statement = insert(store).values([entry.model_dump() for entry in entries])
        updates = {name: statement.excluded[name] for name in _Entry.model_fields if name != "store_id"}
        connection.execute(statement.on_conflict_do_update(index_elements=["store_id"], set_=updates))
    return len(entries)


def all_stores(connection: Connection) -> list[Store]:
    """Every store, by id."""
    return [_store(row) for row in connection.execute(select(*_COLUMNS).order_by(store.c.store_id))]


def get_store(connection: Connection, store_id: str) -> Store | None:
    """The store with that id, or None."""
    row = connection.execute(select(*_COLUMNS).where(store.c.store_id == store_id)).one_or_none()
    return None if row is None else _store(row)


def require_store(connection: Connection, store_id: str | None) -> None:
    """Raises BackroomError where a store is named that is not one of ours."""
    if store_id and get_store(connection, store_id) is None:
        raise BackroomError(f"there is no store {store_id!r}; `backroom stores list` shows them")


_COLUMNS = [store.c[name] for name in Store.__dataclass_fields__]


def _store(row: Row) -> Store:
    fields = dict(row._mapping)
    return Store(**{**fields, "feeds": tuple(fields["feeds"])})


def _new_id(store_id: str, alike: dict[str, str], where: str) -> None:
    """Adds the id to those `alike`. Raises SourceFileError where files can't be named so, or would be named alike.

    Only of a store that is not ours yet: the id of another stands in what was kept and sent, and can't be changed.
    """
    try:
        usable(store_id)
    except ValueError as error:
        raise SourceFileError(f"{where}: {error} (it is {store_id!r})") from error
    other = alike.setdefault(store_id.casefold(), store_id)
    if other != store_id:
        raise SourceFileError(
            f"{where}: {store_id!r} and {other!r} differ only in small and capital letters, so that their reports "
            "could have one name; write it as the other, or choose another"
        )


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("not an IANA time zone such as America/New_York") from error
    return name


def _known_currency(code: str) -> str:
    places(code)
    return code


def _web_address(url: str | None) -> str | None:
    """Without a closing slash, so that paths can be put behind it."""
    if url is None:
        return None
    parts = urlsplit(url)
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not usable or parts.query or parts.fragment or parts.username:
        raise ValueError("not a base address such as https://pos.example.com/store-001")
    return url.rstrip("/")


def _each_once(feeds: list[str]) -> list[str]:
    if len(set(feeds)) != len(feeds):
        raise ValueError("names a feed twice")
    return feeds


class _Entry(SourceRow):
    """One entry of stores.json."""

    store_id: Identifier
    name: Identifier
    merchant: Identifier
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    currency: Annotated[str, AfterValidator(_known_currency)]
    tax_jurisdiction: Identifier
    risk_strategy: RiskStrategy
    after_decline: Literal["none", "capture_preauth_once"] = "none"
    preauthorization_amount: Amount
    feeds: Annotated[list[Literal["FILES", "EVENTS"]], AfterValidator(_each_once)]
    prices_include_tax: bool = False
    pricing_provider: Literal["PRICE_BOOK", "POINT_OF_SALE"] = "PRICE_BOOK"
    point_of_sale_url: Annotated[Identifier | None, AfterValidator(_web_address)] = None
    balance_scope: Literal["ALL_STORES", "THIS_STORE"] = "ALL_STORES"
    payment_processor: Literal["AMAZON", "STRIPE", "SANDBOX"] = "AMAZON"
    refund_window_days: int = Field(30, ge=0, le=3650, strict=True)
    refund_approval_above: Amount | None = None
    trust_capture_answer: bool = False
    store_type: Literal["JWO", "DASH_CART"] = "JWO"
    active: bool = True
    test: bool = False

    @model_validator(mode="after")
    def _reachable(self) -> _Entry:
        if self.pricing_provider == "POINT_OF_SALE" and self.point_of_sale_url is None:
            raise ValueError("field 'point_of_sale_url': POINT_OF_SALE needs it")
        return self

    @model_validator(mode="after")
    def _evident(self) -> _Entry:
        if not self.feeds and not self.trust_capture_answer and self.payment_processor == "AMAZON":
            raise ValueError(
                "field 'feeds': without any nothing tells what became of a capture; name FILES or EVENTS, "
                "or set 'trust_capture_answer'"
            )
        return self
