"""docs/settings.md says what settings.py says."""

from __future__ import annotations

import runpy
from pathlib import Path

from backroom.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_of_settings_is_up_to_date_and_names_every_setting() -> None:
    made = runpy.run_path(str(CHECKOUT / "deploy" / "settings_page.py"))["page"]()
    written = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == made, "run `python deploy/settings_page.py`"
    for name in Settings.model_fields:
        assert f"`BACKROOM_{name.upper()}`" in written
