"""The report's charts as inline SVG: the same data gives the same bytes."""

from __future__ import annotations

import io
import re
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
    first, last = hours[0]["hour"], hours[-1]["hour"]
    by_hour = {row["hour"]: row for row in hours}
    clock = list(range(first, last + 1))
    figure = Figure(figsize=(9.2, 2.9), layout="constrained")
    with rc_context({**STYLE, "svg.hashsalt": name}):
        axes = figure.subplots()
        floor = [0.0] * len(clock)
        for part, label, colour in (
            ("captured", "captured", CAPTURED),
            ("debt", "debt", DEBT),
            ("rest", "still open", OPEN),
        ):
            heights = [max(float(by_hour[hour][part]), 0.0) if hour in by_hour else 0.0 for hour in clock]
            if any(heights):
                axes.bar(clock, heights, bottom=floor, width=0.78, color=colour, label=label, zorder=2)
            floor = [low + height for low, height in zip(floor, heights, strict=True)]
        axes.set_xticks(clock, [f"{hour:02}" for hour in clock])
        axes.set_xlim(first - 0.6, last + 0.6)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_ylabel(currency)
        axes.set_xlabel("hour in which the trip ended, the store's clock")
        axes.grid(axis="y", color=RULE, linewidth=0.7, zorder=0)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
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
