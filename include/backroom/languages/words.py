"""Translations by gettext, read from `<language>.po` beside this file; English is what the templates say.

Amounts, times and quantities are written by babel, in the locale of the language.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from babel.support import NullTranslations, Translations

LOCALES: Final = {"en": "en_US", "es": "es_US"}
"""Languages of the portal and their locales; the first is what is spoken to who wants none of them."""
NAMES: Final = {"en": "English", "es": "Español"}
DEFAULT: Final = "en"
_HERE: Final = Path(__file__).parent


@cache
def translations(language: str) -> NullTranslations:
    """The catalog of a language; of one that is unknown, English."""
    source = _HERE / f"{language}.po"
    if language not in LOCALES or not source.exists():
        return NullTranslations()
    with source.open("rb") as file:
        catalog = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


class Showing:
    """Writes amounts, times and quantities as a reader of one language expects them."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LOCALES else DEFAULT
        self.locale = LOCALES[self.language]
        self._words = translations(self.language)

    def word(self, message: str) -> str:
        """A message of the catalog."""
        return str(self._words.gettext(message))

    def money(self, amount: Decimal, currency: str) -> str:
        """$1,234.50."""
        return format_currency(amount, currency, locale=self.locale)

    def moment(self, at: datetime, time_zone: str) -> str:
        """Day and time in that zone, with the zone's name."""
        zone = ZoneInfo(time_zone)
        day = format_date(at.astimezone(zone).date(), "medium", locale=self.locale)
        return f"{day}, {format_time(at, 'short', tzinfo=zone, locale=self.locale)} {at.astimezone(zone):%Z}"

    def day(self, at: datetime | date, time_zone: str = "UTC") -> str:
        """The day, in that zone."""
        local = at.astimezone(ZoneInfo(time_zone)).date() if isinstance(at, datetime) else at
        return str(format_date(local, "long", locale=self.locale))

    def quantity(self, value: Decimal) -> str:
        """Without the zeros that say nothing."""
        return str(format_decimal(value.normalize(), format="#,##0.########", locale=self.locale))

    def percent(self, rate: Decimal) -> str:
        """0.0825 as 8.25 %."""
        return str(format_percent(rate, format="#,##0.####%", locale=self.locale))
