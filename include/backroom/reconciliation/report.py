"""The finance report of a store's day and of the company's day: one HTML page and one workbook each.

The same data gives the same bytes, but for the one time stamp at the head of the page and in the workbook's summary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel.numbers import format_currency
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.money import places
from backroom.reconciliation import charts, data_files, page_tables, pages, trip_sheets, workbook
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.periods import last_of_month
from backroom.reconciliation.verdict import MEANING

WORDS = {
    "APP": "App",
    "CREDIT_CARD": "Card",
    "CAPTURED": "Captured, final",
    "CAPTURE_INITIATED": "Capture begun",
    "CANCELLED": "Cancelled",
    "CANCEL_DUE": "To be cancelled",
    "IN_DEBT": "In debt",
    "PARKED": "Parked for a person",
    "DUE": "To be charged",
    "AUTHORIZED": "Authorized",
    "ADJUST_PENDING": "Authorization pending",
    "UNKNOWN": "Outcome unknown",
    "BAD_CART": "Cart can't be priced",
    "NOT_CHARGEABLE": "Can't be charged",
    "EMPTY": "Empty cart",
    "SETTLED_OTHERWISE": "Settled without a card",
    "sales": "Sales at shelf price",
    "promotions": "Promotions",
    "tax_payable": "Tax payable",
    "shopper_receivable": "Shoppers' receivable",
    "settled_otherwise": "Settled without a card",
    "card_clearing_initiated": "Card clearing, begun",
    "card_clearing": "Card clearing, final",
    "card_clearing_written_off": "Card clearing, given up",
    "receivable_written_off": "Shoppers' receivable, given up",
    "bad_debt_receivable": "Bad debt receivable",
    "write_off": "Written off",
    "refunds": "Refunds, without tax",
}


@dataclass(frozen=True)
class Written:
    """Where a report is: the page, the workbook, and its data as CSV and Parquet."""

    html: Path
    xlsx: Path
    data: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file of it."""
        return (self.html, self.xlsx, *self.data)


def write(connection: Connection, *, run_id: int, folder: Path) -> Written:
    """The store's report into folder/<date>/<store>.html, .xlsx and data files, noted in the run's row.

    Raises BackroomError for an unknown run, or one that a newer run has superseded.
    """
    day = pages.of_run(connection, run_id)
    target = folder / day.business_date.isoformat()
    written = _write(connection, [day], stem=day.store_id, target=target, title=day.name, as_of=day.as_of)
    data = data_files.write_of_day(
        connection, store_id=day.store_id, business_date=day.business_date, stem=target / day.store_id
    )
    connection.execute(
        text("update reconciliation_run set html_path = :html, xlsx_path = :xlsx where run_id = :run_id"),
        {"run_id": run_id, "html": str(written.html), "xlsx": str(written.xlsx)},
    )
    return replace(written, data=(*written.data, *data))


def written_before(connection: Connection, run_id: int) -> tuple[Path, Path] | None:
    """That run's page and workbook, if they stand in their folder already."""
    row = connection.execute(
        text("select html_path, xlsx_path from reconciliation_run where run_id = :run_id"), {"run_id": run_id}
    ).one_or_none()
    if row is None or row.html_path is None or not Path(row.html_path).exists():
        return None
    return Path(row.html_path), Path(row.xlsx_path)


def write_company(connection: Connection, *, business_date: date, folder: Path, now: datetime) -> Written:
    """All stores that were reconciled for that day, into folder/<date>/company.html and so on, as of `now` (UTC).

    Test stores stay out. Raises BackroomError where no store has been reconciled for that day.
    """
    runs = pages.newest_runs(connection, business_date=business_date)
    if not runs:
        raise BackroomError(f"no store has been reconciled for {business_date}; run `backroom reconcile day` first")
    days = [pages.of_run(connection, run_id) for run_id in runs]
    target = folder / business_date.isoformat()
    return _write(connection, days, stem="company", target=target, title="All stores", as_of=now)


def write_period(
    connection: Connection, days: list[StoreDay], *, stem: str, folder: Path, title: str, as_of: datetime
) -> Written:
    """A period of one store or of all into folder/<first>_<last>/<stem>.html and so on."""
    target = folder / f"{days[0].business_date}_{days[0].last_date}"
    return _write(connection, days, stem=stem, target=target, title=title, as_of=as_of)


def _write(
    connection: Connection, days: list[StoreDay], *, stem: str, target: Path, title: str, as_of: datetime
) -> Written:
    target.mkdir(parents=True, exist_ok=True)
    html, xlsx = target / f"{stem}.html", target / f"{stem}.xlsx"
    label = _label(days[0]) + (", closed" if all(day.closed for day in days) else "")
    workbook.write(connection, days, path=_beside(xlsx), title=title, label=label, as_of=as_of)
    page = _page(days, title=title, label=label, as_of=as_of, stem=stem)
    _beside(html).write_text(page, encoding="utf-8")
    for path in (xlsx, html):
        _beside(path).replace(path)  # a reader never sees half a report
    return Written(html, xlsx, tuple(data_files.write_figures(days, stem=target / stem)))


def _label(day: StoreDay) -> str:
    first, last = day.business_date, day.last_date
    if first == last:
        return f"{first:%A} {first.day} {first:%B %Y}"
    if first.day == 1 and last == last_of_month(first):
        return f"{first:%B %Y}"
    return f"{first.day} {first:%B %Y} to {last.day} {last:%B %Y}"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _page(days: list[StoreDay], *, title: str, label: str, as_of: datetime, stem: str) -> str:
    environment = Environment(
        loader=PackageLoader("backroom.reconciliation", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": _amount, "sign": _sign, "cash": _cash, "count": _count, "words": _words, "css": _css,
    }  # fmt: skip
    return environment.get_template("report.html").render(
        days=days,
        title=title,
        label=label,
        footline=f"{title}, {label}",
        stem=stem,
        as_of=as_of,
        totals=totals(days),
        charts={day.store_id: _chart(day, number) for number, day in enumerate(days, 1)},
        long={day.store_id: page_tables.of_day(day, stem=stem) for day in days},
        further={day.store_id: page_tables.of_sections(day, stem=stem) for day in days},
        meaning={kind.value: text for kind, text in MEANING.items()},
        trips_cut=trip_sheets.are_cut(days),
    )


def _chart(day: StoreDay, number: int) -> dict[str, str] | None:
    """The drawing, which may be put into the page as it is, and its words."""
    chart = (
        charts.takings_by_day(
            day.by_day, first=day.business_date, last=day.last_date, currency=day.currency, name=f"days{number}"
        )
        if day.by_day
        else charts.takings_by_hour(day.figures["hours"], currency=day.currency, name=f"hours{number}")
    )
    if chart is None:
        return None
    return {"drawn": Markup(chart.drawn), "words": chart.words}  # noqa: S704 - our own, without text from outside


def totals(days: list[StoreDay]) -> list[dict[str, Any]]:
    """The stores' figures added up, once per currency."""
    found = []
    for currency in sorted({day.currency for day in days}):
        of_currency = [day for day in days if day.currency == currency]

        def add(group: str, name: str, of_currency: list[StoreDay] = of_currency) -> Decimal:
            return sum((Decimal(day.figures[group][name]) for day in of_currency), Decimal(0))

        found.append(
            {
                "currency": currency,
                "stores": len(of_currency),
                **{name: sum(getattr(day, name) for day in of_currency) for name in ("trips", "matched", "expected")},
                "breaks_open": sum(day.breaks_open for day in of_currency),
                **{name: add("sales", name) for name in ("list", "promotions", "net", "tax", "total")},
                **{name: add("settlement", name) for name in ("captured", "initiated", "debt", "parked", "waiting")},
            }
        )
    return found


def _amount(value: Any, currency: str) -> str:
    """1,234.50 with a true minus; a dash where there is none."""
    if value is None:
        return "–"
    return f"{Decimal(value):,.{places(currency)}f}".replace("-", "−")


def _sign(value: Any, currency: str) -> str:
    """As _amount, with a plus: for differences."""
    shown = _amount(value, currency)
    return shown if value is None or Decimal(value) <= 0 else f"+{shown}"


def _cash(value: Any, currency: str) -> str:
    return format_currency(Decimal(value), currency, locale="en_US").replace("-", "−")


def _count(value: Any) -> str:
    return f"{int(value):,}"


def _words(code: str | None) -> str:
    return "–" if code is None else WORDS.get(code, code.replace("_", " ").capitalize())


def _css(words: str) -> Markup:
    """As the inside of a string of CSS: all but plain letters and digits is escaped."""
    plain = (one if one.isascii() and one.isalnum() else f"\\{ord(one):x} " for one in words)
    return Markup("".join(plain))  # noqa: S704 - nothing that ends a string, a rule or an element is left
