"""The same files by dlt's merge, as its documentation shows it: filesystem, read_csv, one run into PostgreSQL.

Runs in an environment of its own (tests/benchmarks/dlt_environment.py), where Backroom is not installed. Its argument:
one JSON object with `database` (a URL), `endpoint` and `bucket` (S3), `files` (their names) and `way`: `read_csv`,
dlt's own reader, or `arrow`, which hands whole tables on and has them copied: the fastest that dlt has for PostgreSQL.
Prints one JSON object: `seconds` of the run and `rows` that were there after it. Not measured: loading dlt itself.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DLT_DATA_DIR": tempfile.mkdtemp()}

import dlt
import pyarrow.csv
from dlt.common.configuration.specs import AwsCredentials
from dlt.sources.filesystem import filesystem, read_csv

TABLE = "order_lines"
LINE = ["store_id", "order_id", "line_number"]


def load(asked: dict[str, Any]) -> dict[str, float]:
    """Seconds of one run, and how many rows came of it."""
    names = set(asked["files"])
    credentials = AwsCredentials(
        aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1", endpoint_url=asked["endpoint"]
    )
    files = filesystem(bucket_url=f"s3://{asked['bucket']}", credentials=credentials, file_glob="**/*.csv")
    files.add_filter(lambda item: item["file_name"] in names)
    reader = files | (read_csv() if asked["way"] == "read_csv" else tables())
    lines = reader.with_name(TABLE)
    lines.apply_hints(write_disposition="merge", primary_key=LINE)
    pipeline = dlt.pipeline(
        f"reference_{asked['way']}",
        destination=dlt.destinations.postgres(asked["database"]),
        dataset_name=f"dlt_{asked['way']}",
    )
    started = time.perf_counter()
    pipeline.run(lines, loader_file_format="csv" if asked["way"] == "arrow" else None)
    seconds = time.perf_counter() - started
    with pipeline.sql_client() as client:
        rows = client.execute_sql(f"select count(*) from {TABLE}")[0][0]
    return {"seconds": seconds, "rows": rows}


@dlt.transformer
def tables(items: list[Any]) -> Iterator[Any]:
    """Each file as a table of Arrow's."""
    for item in items:
        with item.open() as content:
            yield pyarrow.csv.read_csv(content)


if __name__ == "__main__":
    print(json.dumps(load(json.loads(sys.argv[1]))))  # noqa: T201 - what it is asked for
