"""The messages that shoppers read, gathered from templates and code: what each language's file must have.

`python -m backroom.languages.messages` prints what is missing where.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from babel.messages.extract import extract_from_dir

from backroom.languages.words import LOCALES, translations

_PLACES: Final = ("backroom/receipts", "backroom/languages", "connector_app/portal")
_KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "words": None, "word": None}


def messages() -> set[str]:
    """Every message in English; of one with a plural, the singular."""
    from backroom.receipts.receipt import EMV, ENTRY_MODES
    from backroom.receipts.refund_choices import REASONS

    found = {label for _, label in EMV} | set(ENTRY_MODES.values()) | set(REASONS.values())
    for place in _PLACES:
        package, _, rest = place.partition("/")
        folder = Path(str(files(package))) / rest
        methods = [("**.py", "python"), ("**.html", "jinja2")]
        for _, _, message, _, _ in extract_from_dir(folder, methods, keywords=_KEYWORDS):
            found.add(message if isinstance(message, str) else message[0])
    return {message for message in found if message}


if __name__ == "__main__":
    for language in LOCALES:
        for message in sorted(messages()):
            if language != "en" and translations(language).ugettext(message) == message:
                sys.stdout.write(f"{language}: {message!r}\n")
