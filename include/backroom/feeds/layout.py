"""Which column of Amazon's order files is which of ours: read from layout_v1.json, the one place that knows."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def columns() -> dict[str, str]:
    """Amazon's column name to ours, in the file's order."""
    text = files("backroom.feeds").joinpath("layout_v1.json").read_text("utf-8")
    mapping: dict[str, str] = json.loads(text)["columns"]
    return mapping


class WrongHeader(ValueError):
    """The file's header lacks columns of the layout."""


def positions(header: list[str]) -> list[int]:
    """Where each of our columns stands in a file of that header. Surplus columns are Amazon's news: left alone."""
    names = [name.strip() for name in header]
    if missing := [name for name in columns() if name not in names]:
        raise WrongHeader(f"its header has no column {', '.join(missing)}")
    return [names.index(name) for name in columns()]
