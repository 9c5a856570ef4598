"""What templates have at hand: words, amounts, times, the form's token; and pages for what went wrong."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, render_template, request
from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined

from backroom.db.engine import transaction
from backroom.languages.words import DEFAULT, NAMES, Showing, translations
from backroom.receipts.trips import owed
from connector_app.portal.pages import visit


def register(app: Flask) -> None:
    """Sets the app's templates up."""
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    app.jinja_loader = ChoiceLoader([PackageLoader("connector_app.portal"), PackageLoader("backroom.receipts")])
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda message: translations(language()).ugettext(message),
        lambda one, many, number: translations(language()).ungettext(one, many, number),
        newstyle=True,
    )


def language() -> str:
    """The visitor's."""
    return str(g.get("language", DEFAULT))


def words(message: str) -> str:
    """A message in the visitor's language."""
    return str(translations(language()).ugettext(message))


def page(template: str, status: int = 200, **values: Any) -> tuple[str, int]:
    """A page with all that its frame needs."""
    visitor = g.get("visitor")
    whole = visitor is not None and visitor.scope == "SHOPPER"
    if whole and "owing" not in values:
        with transaction() as connection:
            values["owing"] = len(owed(connection, visitor))
    return (
        render_template(
            template,
            show=Showing(language()),
            visitor=visitor,
            whole=whole,
            form_token=visit.form_token,
            languages={code: name for code, name in NAMES.items() if code != language()},
            here=request.path,
            **{"owing": 0, **values},
        ),
        status,
    )


def problem(status: int, headline: str, text: str) -> tuple[str, int]:
    """A page that says what went wrong and what to do."""
    return page("problem.html", status, headline=headline, text=text, owing=0)
