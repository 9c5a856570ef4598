"""The charts stay readable however many bars they have, and say in words what they show."""

from __future__ import annotations

import re
from datetime import date, timedelta

from backroom.reconciliation import charts

FIRST = date(2026, 1, 1)


def _days(number: int) -> list[dict[str, object]]:
    return [
        {"day": FIRST + timedelta(days=one), "captured": f"{one}.50", "debt": "1.00", "rest": "0"}
        for one in range(number)
    ]


def _texts(drawn: str) -> list[str]:
    return [one.strip() for one in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]


def _drawn(days: list[dict[str, object]], last: date) -> charts.Chart:
    chart = charts.takings_by_day(days, first=FIRST, last=last, currency="USD", name="days1")
    assert chart is not None
    return chart


def test_each_day_of_a_month_is_named_also_one_without_a_run() -> None:
    chart = _drawn(_days(2), FIRST.replace(day=31))
    assert {str(day) for day in range(1, 32)} <= set(_texts(chart.drawn))
    assert chart.words == (
        "Bars of the amounts charged: 2026-01-01 0.50 captured, 1.00 debt, 0 open; "
        "2026-01-02 1.50 captured, 1.00 debt, 0 open"
    )


def test_of_a_long_period_the_months_are_named_and_the_words_are_its_sums() -> None:
    chart = _drawn(_days(100), FIRST + timedelta(days=99))
    assert [text for text in _texts(chart.drawn) if text.isalpha()] == [
        "Jan", "Feb", "Mar", "Apr", "USD", "captured", "debt",
    ]  # fmt: skip
    assert chart.words == (
        "Bars of the amounts charged on 100 days from 2026-01-01 to 2026-04-10: 5000.00 captured, 100.00 debt, 0 open; "
        "the most on 2026-04-10"
    )


def test_nothing_charged_is_no_chart() -> None:
    assert charts.takings_by_hour([], currency="USD", name="hours1") is None
    assert charts.takings_by_day([], first=FIRST, last=FIRST, currency="USD", name="days1") is None
