"""The report's charts as inline SVG: the same data gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, RULE = "#1c2733", "#d8dee4"
CAPTURED, DEBT, OPEN = "#0f766e", "#c2410c", "#94a3b8"
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


def takings_by_hour(hours: list[dict[str, Any]], *, currency: str, name: str) -> str:
    """Stacked bars of each hour's charges: captured or begun, debt, still open. `name` keeps ids apart in one page."""
    if not hours:
        return ""
    by_hour = {row["hour"]: row for row in hours}
    clock = range(hours[0]["hour"], hours[-1]["hour"] + 1)
    bars = [(f"{hour:02}", by_hour.get(hour)) for hour in clock]
    return _takings(bars, under="hour in which the trip ended, the store's clock", currency=currency, name=name)


def takings_by_day(days: Sequence[Mapping[str, Any]], *, currency: str, name: str) -> str:
    """The same of each day of a period."""
    bars = [(f"{row['day'].day}", row) for row in days]
    return _takings(bars, under="day", currency=currency, name=name)


def _takings(bars: Sequence[tuple[str, Mapping[str, Any] | None]], *, under: str, currency: str, name: str) -> str:
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
            heights = [max(float(row[part]), 0.0) if row else 0.0 for _, row in bars]
            if any(heights):
                axes.bar(places, heights, bottom=floor, width=0.78, color=colour, label=label, zorder=2)
            floor = [low + height for low, height in zip(floor, heights, strict=True)]
        axes.set_xticks(places, [text for text, _ in bars])
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
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(drawn.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    """Without the XML prologue and the fixed size, and with ids that no other chart of the page has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\1{name}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1).strip()
