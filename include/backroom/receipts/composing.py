"""The message of a receipt: text, HTML, and the PDF with it."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from backroom.languages.words import Showing, translations
from backroom.mailing import Attachment, Mail
from backroom.receipts import pdf_file
from backroom.receipts.receipt import Receipt


def compose(receipt: Receipt, address: str, language: str, *, portal: str) -> Mail:
    """In the shopper's language; times in the store's zone, amounts in its currency."""
    show = Showing(language)
    subject = show.word("Your receipt of %(day)s, %(store)s") % {
        "day": show.day(receipt.ended_at, receipt.time_zone),
        "store": receipt.store,
    }
    html = (
        _environment(show.language)
        .get_template("receipt_mail.html")
        .render(receipt=receipt, show=show, subject=subject, portal=portal)
    )
    return Mail(
        address,
        " ".join(subject.split()),
        _text(receipt, show, portal),
        html,
        (Attachment("receipt.pdf", "pdf", pdf_file.write(receipt, language)),),
    )


def _text(receipt: Receipt, show: Showing, portal: str) -> str:
    """For who reads no HTML: what counts."""
    lines = [receipt.store, show.moment(receipt.ended_at, receipt.time_zone), ""]
    lines += [f"{line.name}: {show.money(line.total, receipt.currency)}" for line in receipt.lines]
    lines += ["", f"{show.word('Total')}: {show.money(receipt.total, receipt.currency)}"]
    return "\n".join([*lines, *(["", portal] if portal else [])]) + "\n"


@cache
def _environment(language: str) -> Environment:
    made = Environment(
        loader=PackageLoader("backroom.receipts"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return made
