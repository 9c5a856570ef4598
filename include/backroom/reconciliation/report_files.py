"""The files that make up a report: its page, and all that stands beside it under the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA: Final = tuple(f"{name}.{kind}" for name in ("breaks", "figures", "lines", "trips") for kind in ("csv", "parquet"))
ENDINGS: Final = ("html", *DATA, "xlsx")
"""Of a day of one store all of them; of a period, and of all stores, the figures are the only data."""
TYPES: Final = {
    "html": "text/html",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


def of_page(page: Path) -> list[Path]:
    """The page, then those of its other files that there are, by name."""
    others = (page.with_name(f"{page.stem}.{ending}") for ending in ENDINGS if ending != "html")
    return [page, *(path for path in others if path.exists())]


def content_type(name: str) -> str:
    """By the end of the name, whatever the machine knows."""
    return TYPES[name.rsplit(".", 1)[-1]]
