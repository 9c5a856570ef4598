"""Writes docs/settings.md from settings.py: `python deploy/settings_page.py` (`--check`: exit 1 where it is behind)."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from backroom import settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Everything that can be configured, each by one environment variable. A value that is wrong ends the program with one
line that names it; a secret comes from the environment only and is never shown. This page is written from
`include/backroom/settings.py` by `python deploy/settings_page.py`; a test keeps it up to date.
"""


def page() -> str:
    """The whole page."""
    parts, section = [HEAD], ""
    sections = _sections()
    for name, field in settings.Settings.model_fields.items():
        if sections[name] != section or len(parts) == 1:
            section = sections[name]
            parts.append(f"\n## {section}\n\n| variable | values | when unset | what |\n|---|---|---|---|\n")
        parts.append(
            f"| `BACKROOM_{name.upper()}` | {_values(field)} | {_default(field)} | {_cell(field.description or '')} |\n"
        )
    return "".join(parts)


def _sections() -> dict[str, str]:
    """Each setting's section: the comment `# --- …` above it."""
    found, section = {}, "general"
    for line in inspect.getsource(settings.Settings).splitlines():
        if head := re.match(r"\s+# --- (.+)", line):
            section = head[1].strip()
        elif name := re.match(r"    (\w+): .*= Field\(", line):
            found[name[1]] = section[0].upper() + section[1:]
    return found


WORDS = {
    bool: "true, false",
    int: "whole number",
    float: "number",
    Decimal: "number",
    str: "text",
    SecretStr: "secret",
    Path: "path",
}


def _values(field: FieldInfo) -> str:
    kind, choices = typing.get_origin(field.annotation), typing.get_args(field.annotation)
    if kind is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in choices)
    if kind is list:
        return "JSON list"
    plain = next((choice for choice in choices if choice is not type(None)), field.annotation)
    said = [WORDS[plain]]
    for rule in field.metadata:
        for name, word in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below")):
            if (bound := getattr(rule, name, None)) is not None:
                said.append(f"{word} {bound}")
        if pattern := getattr(rule, "pattern", None):
            return f"`{_cell(pattern)}`"
    return " ".join(said)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None or value == "":
        return "–"
    if isinstance(value, Path):
        return f"`{_of_the_checkout(value)}`"
    if isinstance(value, list):
        return f"`{value}`".replace("'", '"') if value else "`[]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _of_the_checkout(path: Path) -> str:
    return str(path.relative_to(settings.CHECKOUT)) if path.is_relative_to(settings.CHECKOUT) else str(path)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Writes the page, or checks it."""
    made = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
