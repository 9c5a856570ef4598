"""A receipt as a PDF on a page of A5 width or so, by fpdf2; letters of many alphabets by DejaVu Sans."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from backroom.languages.words import Showing
from backroom.receipts.receipt import Line, Receipt

_WIDTH: Final = 128.0  # of the text, in mm
_MARGIN: Final = 10.0
_NUMBER: Final = 32.0


def write(receipt: Receipt, language: str) -> bytes:
    """The file. The same receipt gives the same bytes."""
    show = Showing(language)
    paper = _Paper(receipt, show)
    paper.draw()
    return bytes(paper.pdf.output())


class _Paper:
    """One receipt on its way onto paper."""

    def __init__(self, receipt: Receipt, show: Showing) -> None:
        self.receipt, self.show, self.word = receipt, show, show.word
        self.pdf = FPDF(format=(_WIDTH + 2 * _MARGIN, 210))
        self.pdf.set_margins(_MARGIN, _MARGIN)
        self.pdf.set_auto_page_break(True, _MARGIN)
        self.pdf.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))
        self.pdf.set_title(self.word("Receipt"))
        self.pdf.set_lang(show.language)
        fonts = files("matplotlib") / "mpl-data" / "fonts" / "ttf"
        self.pdf.add_font("text", "", str(fonts / "DejaVuSans.ttf"))
        self.pdf.add_font("text", "B", str(fonts / "DejaVuSans-Bold.ttf"))
        self.pdf.add_page()

    def draw(self) -> None:
        """All of it, from the top."""
        receipt, money = self.receipt, self._money
        self._say(self.word("Receipt"), size=16, bold=True)
        self._say(receipt.store, bold=True)
        self._say(self.show.moment(receipt.ended_at, receipt.time_zone))
        self._gap()
        for line in receipt.lines:
            self._line(line)
        self._rule()
        self._row(self.word("Goods"), money(receipt.list_total))
        if receipt.promotion_total:
            self._row(self.word("Promotions"), f"−{money(receipt.promotion_total)}")
        for tax in receipt.taxes:
            rate = f" {self.show.percent(tax.rate)}" if tax.rate is not None else ""
            within = f" {self.word('(in the prices)')}" if tax.included else ""
            self._row(f"{self.word('Tax')} {tax.jurisdiction}{rate}{within}", money(tax.amount))
        self._row(self.word("Total"), money(receipt.total), bold=True)
        self._rule()
        self._payments()
        if receipt.card is not None and receipt.card.facts:
            self._gap()
            for label, value in receipt.card.facts:
                self._row(self.word(label), self.word(value), size=8)
        self._gap()
        self._say(f"{self.word('Trip')} {receipt.shopping_trip_id}", size=8)

    def _line(self, line: Line) -> None:
        self._row(line.name, self._money(line.list_amount))
        detail = self.show.quantity(line.quantity) + (f" {line.unit}" if line.weighed else "")
        if line.list_price is not None:
            unit = f" / {line.price_unit}" if line.price_unit not in (None, "unit") else ""
            detail += f" × {self._money(line.list_price)}{unit}"
        self._say(f"   {detail}", size=8)
        for promotion in line.promotions:
            name = promotion.description or self.word("Promotion")
            self._row(f"   {name}", f"−{self._money(promotion.amount)}", size=8)

    def _payments(self) -> None:
        receipt, zone = self.receipt, self.receipt.time_zone
        if receipt.captured > 0:
            card = receipt.card
            name = (card.brand if card is not None else None) or self.word("Card")
            tail = f" •••• {card.tail}" if card is not None and card.tail else ""
            self._row(f"{name}{tail}", self._money(receipt.captured))
        for payment in receipt.payments:
            where = "Paid in the store" if payment.word in ("CASH", "TERMINAL") else "Paid online"
            self._row(f"{self.word(where)}, {self.show.day(payment.at, zone)}", self._money(payment.amount))
        if receipt.due > 0:
            self._row(self.word("Not paid yet"), self._money(receipt.due), bold=True)
        for refund in receipt.refunds:
            if refund.word != "REFUSED":
                name = self.word("Refund, %(day)s") % {"day": self.show.day(refund.at, zone)}
                self._row(name, f"−{self._money(refund.amount)}")

    def _money(self, amount: Decimal) -> str:
        return self.show.money(amount, self.receipt.currency)

    def _say(self, text: str, *, size: float = 10, bold: bool = False) -> None:
        self.pdf.set_font("text", "B" if bold else "", size)
        self.pdf.multi_cell(_WIDTH, size * 0.5, _plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _row(self, name: str, amount: str, *, size: float = 10, bold: bool = False) -> None:
        """A name that may take several lines, and what stands at its right."""
        self.pdf.set_font("text", "B" if bold else "", size)
        height = size * 0.55
        wide = max(_NUMBER, self.pdf.get_string_width(_plain(amount)) + 2)
        wide = min(wide, _WIDTH * 0.6)
        if self.pdf.will_page_break(3 * height):
            self.pdf.add_page()
        top = self.pdf.get_y()
        self.pdf.multi_cell(_WIDTH - wide, height, _plain(name), align="L", new_x=XPos.RIGHT, new_y=YPos.NEXT)
        below = self.pdf.get_y()
        self.pdf.set_xy(_MARGIN + _WIDTH - wide, top)
        self.pdf.multi_cell(wide, height, _plain(amount), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.pdf.set_y(max(below, self.pdf.get_y()))

    def _rule(self) -> None:
        at = self.pdf.get_y() + 1.5
        self.pdf.set_draw_color(160)
        self.pdf.line(_MARGIN, at, _MARGIN + _WIDTH, at)
        self.pdf.set_y(at + 1.5)

    def _gap(self) -> None:
        self.pdf.ln(3)


def _plain(text: str) -> str:
    """Without what would only steer a screen."""
    return "".join(character for character in text.replace("\u202f", "\u00a0") if character.isprintable())
