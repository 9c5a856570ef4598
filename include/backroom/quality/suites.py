"""Runs the suites of expectations/ in PostgreSQL by Great Expectations, keeps each result as a row and as Data Docs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.errors import BackroomError
from backroom.quality.data_sets import DATA_SETS
from backroom.settings import CHECKOUT

SUITES = CHECKOUT / "expectations"
SAMPLE = 20  # keys of unexpected rows that are kept
_SITE = "backroom"
_log = structlog.get_logger()


@dataclass(frozen=True)
class Result:
    """One expectation's outcome. `severity`: critical, warning, info. `sample`: keys of unexpected rows, or values."""

    data_set: str
    suite: str
    expectation: str
    column_name: str | None
    severity: str
    success: bool
    rows_checked: int | None
    rows_unexpected: int | None
    sample: list[Any]
    meaning: str

    @property
    def is_critical(self) -> bool:
        """Failed, and what builds on the data must stop."""
        return not self.success and self.severity == "critical"


class SuiteUnreadable(BackroomError):
    """A suite's file is missing or is not one."""


def check(
    engine: Engine, *, data_sets: Sequence[str], run: str, now: datetime, docs_folder: Path, suites: Path = SUITES
) -> list[Result]:
    """Check the named data sets. The results of an earlier check of the same `run` are replaced.

    The site's first page is docs_folder/index.html. Raises SuiteUnreadable. A failed expectation raises nothing.
    """
    read = {name: _read(suites, name) for name in data_sets}
    results = _validate(engine, read, run, docs_folder)
    with engine.begin() as connection:
        keep(connection, results, run, now)
    failed = sum(not result.success for result in results)
    _log.info("quality_checked", run=run, data_sets=list(data_sets), expectations=len(results), failed=failed)
    return results


def names() -> list[str]:
    """The data sets that have a suite."""
    return list(DATA_SETS)


def _read(suites: Path, name: str) -> dict[str, Any]:
    if name not in DATA_SETS:
        raise SuiteUnreadable(f"there is no data set {name!r}; there are {', '.join(DATA_SETS)}")
    path = suites / f"{name}.json"
    try:
        suite = json.loads(path.read_text("utf-8"))
        for expectation in suite["expectations"]:
            if expectation["severity"] not in ("critical", "warning", "info"):
                raise SuiteUnreadable(f"{path}: severity {expectation['severity']!r} is not critical, warning or info")
    except OSError as error:
        raise SuiteUnreadable(f"{path} can't be read ({error.strerror}); it belongs to the release") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SuiteUnreadable(f"{path} is not a suite of expectations: {error!r}") from error
    return dict(suite)


def _validate(engine: Engine, suites: dict[str, dict[str, Any]], run: str, docs_folder: Path) -> list[Result]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported, which takes seconds
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    docs_folder.mkdir(parents=True, exist_ok=True)
    context.add_data_docs_site(_SITE, _site(docs_folder))  # type: ignore[arg-type]
    url = engine.url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    source = context.data_sources.add_postgres("backroom", connection_string=url, create_temp_table=True)
    definitions = []
    for name, suite in suites.items():
        asset = source.add_query_asset(name, query=DATA_SETS[name])
        batch = asset.add_batch_definition_whole_table(name)
        kept = context.suites.add(gx.ExpectationSuite(name=suite["name"], expectations=suite["expectations"]))
        definitions.append(
            context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=kept))
        )
    results: list[Result] = []
    for definition in definitions:
        outcome = definition.run(
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": SAMPLE,
                "unexpected_index_column_names": ["key"],
            },
            run_id=RunIdentifier(run_name=run),
        )
        results += _results(definition.name, outcome.suite_name, outcome.results)
    context.build_data_docs(site_names=[_SITE])
    return results


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _results(data_set: str, suite: str, outcomes: Iterable[Any]) -> list[Result]:
    results = []
    for outcome in outcomes:
        config, found = outcome.expectation_config, outcome.result
        sample = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
        if outcome.exception_info.get("raised_exception"):
            sample = [str(outcome.exception_info.get("exception_message"))]
        kwargs = config.kwargs
        pair = "column_A" in kwargs
        results.append(
            Result(
                data_set=data_set,
                suite=suite,
                expectation=config.type,
                column_name=f"{kwargs['column_A']}, {kwargs['column_B']}" if pair else kwargs.get("column"),
                severity=str(getattr(config.severity, "value", config.severity)),
                success=bool(outcome.success),
                rows_checked=found.get("element_count"),
                rows_unexpected=found.get("unexpected_count"),
                sample=[] if outcome.success and not sample else [_plain(value) for value in sample[:SAMPLE]],
                meaning=str((config.meta or {}).get("notes", "")),
            )
        )
    return results


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("key", {name: _plain(each) for name, each in value.items()})
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)


def keep(connection: Connection, results: list[Result], run: str, now: datetime) -> None:
    """Write results down under `run`, in place of the same suites' earlier ones."""
    connection.execute(
        text("delete from quality_result where run = :run and suite = any(:suites)"),
        {"run": run, "suites": sorted({result.suite for result in results})},
    )
    if not results:
        return
    connection.execute(
        text(
            "insert into quality_result (run, suite, data_set, expectation, column_name, severity, success,"
            " rows_checked, rows_unexpected, sample, checked_at) values (:run, :suite, :data_set, :expectation,"
            " :column_name, :severity, :success, :rows_checked, :rows_unexpected, cast(:sample as jsonb), :now)"
        ),
        [{**result.__dict__, "sample": json.dumps(result.sample), "run": run, "now": now} for result in results],
    )
