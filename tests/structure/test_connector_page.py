"""docs/connector.md names tests that exist, and every route of the connector and the portal."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from flask import Flask
from pydantic import SecretStr

from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.portal.health import blueprint as health
from connector_app.portal.recognition_tokens import blueprint as recognition_tokens

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "connector.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FEWEST = 100  # names; fewer would mean that the pattern or the table is gone


@cache
def names_in(path: str) -> frozenset[str]:
    """The test functions of a file, without importing it."""
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_test_that_the_page_names_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) >= FEWEST
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []
    assert PAGE.count("::test_") == len(named), "a test is named in a form that is not checked"


def test_every_route_is_on_the_page() -> None:
    portal = Flask("portal", static_folder=None)
    for blueprint in (health, recognition_tokens):
        portal.register_blueprint(blueprint)
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:1/none")  # nothing connects before a call
    served = routes(create_app(Settings(connector_auth="off", database_url=nowhere))) | routes(portal)
    assert len(served) >= 11
    assert [f"{method} {path}" for method, path in sorted(served) if f"`{method} {path}`" not in PAGE] == []


def test_every_rule_has_a_test() -> None:
    table = PAGE.split("## Which test proves which rule")[1]
    rows = [line for line in table.splitlines() if line.startswith("| ") and line != "| rule | test |"]
    assert [row for row in rows if not TEST.search(row)] == []
