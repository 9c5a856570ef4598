"""An expectation whose meta says so sets rows aside: they wait in quarantine under its name, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.feeds import judging
from backroom.feeds.aws import Aws
from backroom.feeds.replay import retry, retryable
from backroom.quality import set_aside
from backroom.quality.suites import SuiteUnreadable
from tests.feeds.conftest import NOW, Amazon, as_csv, order
from tests.feeds.test_intraday import ask, take_in

BACKWARDS = {"tripStartTime": "2026-03-01T15:10:01Z"}  # a second after the trip's end
TYPES = {"price": "numeric", "unit": "text", "trip_ended_at": "timestamptz"}


@pytest.fixture
def expectations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A suite of the test's own, which is that of the release until it is written."""
    path = tmp_path / "order_rows.json"
    path.write_text(set_aside.ORDER_ROWS.read_text())
    monkeypatch.setattr(judging, "set_aside", lambda types: set_aside.set_aside(types, path))
    judging._expected.cache_clear()
    yield path
    judging._expected.cache_clear()


def suite(path: Path, *expectations: tuple[str, dict[str, object]]) -> None:
    """Write a suite of expectations that set rows aside."""
    written = [
        {"type": kind, "kwargs": kwargs, "severity": "warning", "meta": {"notes": "It's: so.", "set_aside": True}}
        for kind, kwargs in expectations
    ]
    path.write_text(json.dumps({"name": "order_rows", "expectations": written}))
    judging._expected.cache_clear()


@pytest.mark.parametrize("blank", [b"", b" "])  # with a blank after the brand the file is taken apart row by row
def test_a_row_that_fails_it_waits_under_its_name_and_comes_in_by_a_retry(
    clean: Engine, aws: Aws, amazon: Amazon, expectations: Path, blank: bytes
) -> None:
    rows = order("o-1") + order("o-2", ("1.00", "0.00"), **BACKWARDS)
    amazon.write(as_csv(rows).replace(b"VISA", b"VISA" + blank))
    (result,) = take_in(clean, aws)
    assert (result.state, result.rows_applied, result.rows_quarantined) == ("INGESTED", 2, 1)
    assert ask(clean, "select line, column_name, reason, raw ->> 'tripStartTime' from feed_quarantine") == [
        (
            4,
            "tripEndTime",
            "expect_column_pair_values_a_to_be_greater_than_b: A trip ends after it began.",
            BACKWARDS["tripStartTime"],
        )
    ]
    assert ask(clean, "select order_id from amazon_order") == [("o-1",)]
    suite(expectations)
    with clean.connect() as connection:
        asked = retryable(connection)
    (again,) = retry(clean, aws, file_ids=asked, now=NOW)
    assert (again.rows_applied, again.rows_stale, again.rows_quarantined) == (1, 2, 0)
    assert ask(clean, "select order_id, state from amazon_order, feed_quarantine order by 1") == [
        ("o-1", "RETRIED"),
        ("o-2", "RETRIED"),
    ]


def test_each_kind_of_expectation_sets_its_rows_aside_and_a_broken_rule_comes_first(
    clean: Engine, aws: Aws, amazon: Amazon, expectations: Path
) -> None:
    suite(
        expectations,
        ("expect_column_values_to_be_between", {"column": "price", "max_value": 99.5}),
        ("expect_column_values_to_be_in_set", {"column": "unit", "value_set": ["unit", "o'z:a"]}),
        ("expect_column_values_to_match_regex", {"column": "item_sku", "regex": "^SKU(?:-)[0-9]+$"}),
    )
    rows = [
        *order("o-1", ("99.50", "0.00"), quantityUnit="o'z:a"),
        *order("o-2", ("99.51", "0.00")),
        *order("o-3", ("1.00", "0.00"), quantityUnit="kg"),
        *order("o-4", ("1.00", "0.00"), merchantSku="SKU1"),
        *order("o-5", ("1.00", "0.00"), quantityUnit="kg", priceValue="dear"),
    ]
    amazon.write(as_csv(rows))
    (result,) = take_in(clean, aws)
    assert (result.rows_applied, result.rows_quarantined) == (1, 4)
    assert ask(clean, "select raw ->> 'orderId', split_part(reason, ':', 1) from feed_quarantine order by 1") == [
        ("o-2", "expect_column_values_to_be_between"),
        ("o-3", "expect_column_values_to_be_in_set"),
        ("o-4", "expect_column_values_to_match_regex"),
        ("o-5", "is not a number of at most four decimal places"),
    ]


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_unique", {"column": "unit"}),
        ("expect_column_values_to_be_between", {"column": "secret", "min_value": 1}),
        ("expect_column_values_to_be_between", {"column": "price", "min_value": "1 or true"}),
        ("expect_column_values_to_be_between", {"column": "price"}),
    ],
)
def test_what_can_not_be_asked_of_a_row_is_one_line(tmp_path: Path, kind: str, kwargs: dict[str, object]) -> None:
    path = tmp_path / "order_rows.json"
    suite(path, (kind, kwargs))
    with pytest.raises(SuiteUnreadable, match=r"order_rows\.json is not a suite"):
        set_aside.set_aside(TYPES, path)
