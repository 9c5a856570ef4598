"""Each assumption about Amazon names a place in the code that exists."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r"`([\w/.]+\.(?:py|json))` `(\w+)`")


def test_each_assumption_names_one_place_that_exists_or_says_that_it_is_not_built_yet() -> None:
    page = (CHECKOUT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[-1] for line in page.splitlines() if line.startswith("| ") and "held by" not in line]
    assert len(rows) > 40
    for held_by in rows:
        places = PLACE.findall(held_by)
        assert len(places) == 1 or (not places and held_by.startswith("not built yet")), held_by
        for path, name in places:
            assert re.search(rf"\b{name}\b", (CHECKOUT / path).read_text(encoding="utf-8")), held_by
