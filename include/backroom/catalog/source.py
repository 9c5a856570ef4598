"""Reads the retailer's nightly catalog files, row by row: one `<store id>.csv` or `.parquet` per store."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backroom.errors import SourceFileError

REQUIRED = ("item_sku", "external_product_id", "item_name", "store_id")
OPTIONAL = (
    "external_product_id_type",
    "additional_external_product_ids",
    "standard_price",
    "brand_name",
    "product_tax_code",
    "product_category",
    "product_subcategory",
    "color_name",
    "size_name",
    "main_image_url",
    *(f"other_image_url{number}" for number in range(1, 9)),
    "unit",
)
SUFFIXES = (".csv", ".parquet")
_PARQUET_ROWS = 10_000  # held in memory at a time


@dataclass(frozen=True)
class SourceRow:
    """One row as text. `line` counts from 1; in a CSV the header is line 1, in a Parquet the first row is."""

    file: str
    line: int
    fields: dict[str, str]
    broken: str = ""  # why the row can't be read as fields at all


def source_files(folder: Path) -> list[Path]:
    """The folder's catalog files in order of name. Raises SourceFileError where there are none."""
    if not folder.is_dir():
        raise SourceFileError(
            f"catalog folder {folder} does not exist; put the store files there or set BACKROOM_CATALOG_SOURCE"
        )
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise SourceFileError(f"catalog folder {folder} holds no .csv or .parquet file; export one file per store")
    stems = [path.stem for path in found]
    for path in found:
        if stems.count(path.stem) > 1:
            raise SourceFileError(f"{folder} holds both a .csv and a .parquet of {path.stem}; keep one of them")
    return found


def check_stores(folder: Path, files: list[Path], stores: list[str]) -> None:
    """Raises SourceFileError that names each of `stores` without a file."""
    if missing := sorted(set(stores) - {path.stem for path in files}):
        raise SourceFileError(f"catalog folder {folder} has no file of {', '.join(missing)}; export one file per store")


def read_rows(path: Path) -> Iterator[SourceRow]:
    """Every row of one file, in its order, streaming. Raises SourceFileError, at any row, where it can't go on."""
    return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)


def _read_csv(path: Path) -> Iterator[SourceRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, None)
            if header is None:
                raise SourceFileError(f"{path} is empty; export it again with a header line")
            columns = [name.strip() for name in header]
            _check_columns(path, columns)
            for values in reader:
                if not values:
                    continue
                if len(values) != len(columns):
                    yield SourceRow(
                        path.name,
                        reader.line_num,
                        dict(zip(columns, values, strict=False)),
                        broken=f"has {len(values)} fields where the header has {len(columns)}",
                    )
                else:
                    fields = {name: value.strip() for name, value in zip(columns, values, strict=True)}
                    yield SourceRow(path.name, reader.line_num, fields)
    except UnicodeDecodeError as error:
        raise SourceFileError(f"{path} is not UTF-8 text ({error.reason}); export it again as UTF-8") from error
    except csv.Error as error:
        raise SourceFileError(
            f"{path}, line {reader.line_num}: not readable as CSV ({error}); export it again"
        ) from error
    except OSError as error:
        raise SourceFileError(
            f"{path} can't be read ({error.strerror}); check that it is there and readable"
        ) from error


def _read_parquet(path: Path) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            _check_columns(path, columns)
            line = 0
            for batch in file.iter_batches(_PARQUET_ROWS):
                for record in batch.to_pylist():
                    line += 1
                    fields = {name: "" if value is None else str(value).strip() for name, value in record.items()}
                    yield SourceRow(path.name, line, fields)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceFileError(f"{path} is not readable as Parquet ({reason}); export it again") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    if missing := [name for name in REQUIRED if name not in columns]:
        raise SourceFileError(f"{path} has no column {', '.join(missing)}; its header must name {', '.join(REQUIRED)}")
    if unknown := [name for name in columns if name not in REQUIRED + OPTIONAL]:
        raise SourceFileError(
            f"{path} has an unknown column {', '.join(map(repr, unknown))}; "
            f"it may have {', '.join(REQUIRED + OPTIONAL)}"
        )
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise SourceFileError(f"{path} has the column {', '.join(twice)} twice; keep one")
