"""The report's charts as inline SVG: the same data gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, RULE = "#1c2733", "#d8dee4"
CAPTURED, DEBT, OPEN = "#0f766e", "#c2410c", "#94a3b8"
PARTS: Final = ("captured", "debt", "rest")
MOST_TICKS: Final = 45  # bars that are named one by one
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": RULE,
}


@dataclass(frozen=True)
class Chart:
    """The drawing, and what it shows in words."""

    drawn: str
    words: str


def takings_by_hour(hours: Sequence[Mapping[str, Any]], *, currency: str, name: str) -> Chart | None:
    """Stacked bars of each hour's charges: captured or begun, debt, still open. `name` keeps ids apart in one page."""
    if not hours:
        return None
    by_hour = {row["hour"]: row for row in hours}
    clock = range(hours[0]["hour"], hours[-1]["hour"] + 1)
    bars = [_Bar(f"{hour:02}", by_hour.get(hour)) for hour in clock]
    drawn = _takings(bars, under="hour in which the trip ended, the store's clock", currency=currency, name=name)
    return Chart(drawn, _in_words(hours, [f"{row['hour']:02}h" for row in hours]))


def takings_by_day(
    days: Sequence[Mapping[str, Any]], *, first: date, last: date, currency: str, name: str
) -> Chart | None:
    """The same of each day from `first` to `last`; a day without a run is a gap."""
    if not days:
        return None
    by_day = {row["day"]: row for row in days}
    calendar = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    if len(calendar) <= MOST_TICKS:
        bars, under = [_Bar(str(day.day), by_day.get(day)) for day in calendar], "day"
    else:
        bars = [_Bar(f"{day:%b}" if day.day == 1 else "", by_day.get(day)) for day in calendar]
        under = "day, from the first of each month"
    drawn = _takings(bars, under=under, currency=currency, name=name)
    return Chart(drawn, _in_words(days, [row["day"].isoformat() for row in days]))


@dataclass(frozen=True)
class _Bar:
    """What is written under it, if anything, and its amounts; None: there are none."""

    label: str
    row: Mapping[str, Any] | None


def _in_words(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Each bar, or their sum and the highest where there are many."""
    if len(rows) <= MOST_TICKS:
        told = [f"{name} {row['captured']} captured, {row['debt']} debt, {row['rest']} open"
                for name, row in zip(names, rows, strict=True)]  # fmt: skip
        return f"Bars of the amounts charged: {'; '.join(told)}"
    captured, debt, rest = (sum(Decimal(row[part]) for row in rows) for part in PARTS)
    most = max(range(len(rows)), key=lambda number: sum(Decimal(rows[number][part]) for part in PARTS))
    return (
        f"Bars of the amounts charged on {len(rows)} days from {names[0]} to {names[-1]}: {captured} captured, "
        f"{debt} debt, {rest} open; the most on {names[most]}"
    )


def _takings(bars: Sequence[_Bar], *, under: str, currency: str, name: str) -> str:
    places = list(range(len(bars)))
    figure = Figure(figsize=(9.2, 2.9), layout="constrained")
    with rc_context({**STYLE, "svg.hashsalt": name}):
        axes = figure.subplots()
        floor = [0.0] * len(bars)
        for part, label, colour in (
            ("captured", "captured", CAPTURED),
            ("debt", "debt", DEBT),
            ("rest", "still open", OPEN),
        ):
            heights = [max(float(bar.row[part]), 0.0) if bar.row else 0.0 for bar in bars]
            drawn = [place for place in places if heights[place]]
            if drawn:
                axes.bar(
                    drawn, [heights[place] for place in drawn], bottom=[floor[place] for place in drawn], width=0.78,
                    color=colour, label=label, zorder=2,
                )  # fmt: skip
            floor = [low + height for low, height in zip(floor, heights, strict=True)]
        marked = [(place, bar.label) for place, bar in enumerate(bars) if bar.label]
        axes.set_xticks([place for place, _ in marked], [label for _, label in marked])
        axes.set_xlim(-0.6, len(bars) - 0.4)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_ylabel(currency)
        axes.set_xlabel(under)
        axes.grid(axis="y", color=RULE, linewidth=0.7, zorder=0)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if any(floor):
            axes.legend(loc="upper left", ncols=3, frameon=False, borderaxespad=0.2)
        axes.set_ylim(0, max(max(floor) * 1.2, 1.0))
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(file.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    """Without the XML prologue and the fixed size, and with ids that no other chart of the page has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\1{name}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1).strip()
