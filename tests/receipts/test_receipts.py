"""What a receipt says, as a page, a PDF and an e-mail; and e-mails whose fate is not known."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta

from pypdf import PdfReader

from backroom.amazon.receipt_data_client import ReceiptDataClient
from backroom.languages.words import Showing
from backroom.mailing import Mail, MailOutcome, MailState
from backroom.receipts import card_data, mails, pdf_file
from backroom.receipts.composing import compose
from backroom.receipts.mails import Composer
from backroom.receipts.receipt import Receipt, receipt_of
from backroom.settings import settings
from tests.amazon.scripted_amazon import Call, Reply
from tests.connector_app.portal.shopping import NOW, Postbox
from tests.receipts.conftest import Desk

WAITS = timedelta(hours=6)


def receipt(desk: Desk, trip: str) -> Receipt:
    with desk.world.engine.connect() as connection:
        found = receipt_of(connection, trip)
    assert found is not None
    return found


def words_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).replace("\xa0", " ").split())


def send(desk: Desk, box: object, *, at: object = NOW) -> dict[str, int]:
    composer = Composer(lambda one, address, language: compose(one, address, language, portal="https://p.test"), WAITS)
    with desk.world.engine.begin() as connection:
        mails.find_due(connection, now=at)  # type: ignore[arg-type]
    with ReceiptDataClient(settings()) as amazon:
        counts = mails.send_due(desk.world.engine, desk.world.seal, box, amazon, composer, now=at)  # type: ignore[arg-type]
    return dict(counts)


def test_a_pdf_holds_what_the_receipt_says_in_its_language_and_is_the_same_each_time(desk: Desk) -> None:
    one = receipt(desk, desk.world.trip())
    pdf = pdf_file.write(one, "en")
    text = words_of(pdf)
    for said in ("Hudson Yards", "Sourdough bread $5.25", "Bakery week −$0.75", "0.79 lb × $5.00 / lb", "Total $12.30",
                 "VISA •••• 4242 $12.30", "contactless chip", one.shopping_trip_id):  # fmt: skip
        assert said in text, (said, text)
    assert pdf == pdf_file.write(one, "en")
    assert "Artículos" in words_of(pdf_file.write(one, "es"))


def test_a_long_cart_with_long_and_foreign_names_goes_over_pages_whole(desk: Desk) -> None:
    trip = desk.world.trip()
    desk.world.run(
        "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, quantity, unit, list_price,"
        " price_unit, list_amount, promotion_amount, tax_amount, total) select :trip, n,"
        " 'Ελληνικό λάδι, 饭 ' || n || ' ' || repeat('very long ', 12), 'SKU', 1, 'unit', 0, 'unit', 0, 0, 0, 0"
        " from generate_series(4, 80) n",
        trip=trip,
    )
    pdf = pdf_file.write(receipt(desk, trip), "en")
    assert len(PdfReader(io.BytesIO(pdf)).pages) > 3
    text = words_of(pdf)
    assert all(f" {number} very long" in text for number in range(4, 81))


def test_times_are_in_the_stores_zone_and_amounts_in_the_readers_way(desk: Desk) -> None:
    one = receipt(desk, desk.world.trip(store="STORE-002"))
    assert Showing("en").moment(one.ended_at, one.time_zone).replace("\u202f", " ") == "Nov 23, 2026, 9:00 AM PST"
    assert Showing("es").money(one.total, "USD") == "$12.30"
    assert Showing("en").money(one.total, "JPY") == "¥12"


def test_the_message_has_text_html_and_the_pdf(desk: Desk) -> None:
    one = receipt(desk, desk.world.trip())
    mail = compose(one, "ana@shopper.test", "es", portal="https://p.test")
    assert mail.subject == "Su recibo del 23 de noviembre de 2026, Hudson Yards"
    assert "Sourdough bread" in mail.text
    assert "Pagar" not in mail.html
    assert "Lo que tomó" in mail.html
    assert "<script" not in mail.html
    assert words_of(mail.attachments[0].content).startswith("Recibo")


def test_what_is_written_in_a_products_name_is_never_markup(desk: Desk) -> None:
    trip = desk.world.trip()
    desk.world.run("update catalog_item set item_name = '<script>x</script>' where item_sku = 'SKU-MILK'")
    html = compose(receipt(desk, trip), "ana@shopper.test", "en", portal="").html
    desk.world.run("update catalog_item set item_name = 'Whole milk, 1 l' where item_sku = 'SKU-MILK'")
    assert "<script>x" not in html
    assert "&lt;script&gt;x" in html


def test_a_message_whose_fate_is_not_known_is_not_sent_again_until_somebody_asks(desk: Desk) -> None:
    class Silent:
        def send(self, mail: Mail) -> MailOutcome:
            return MailOutcome(MailState.UNKNOWN, problem="ReadTimeoutError")

    send(desk, Postbox())  # what other tests left
    trip = desk.world.trip()
    assert send(desk, Silent()) == {"UNKNOWN": 1}
    box = Postbox()
    assert send(desk, box, at=NOW + timedelta(hours=1)) == {}
    with desk.world.engine.begin() as connection:
        asked = [mails.ask_again(connection, desk.world.seal, trip, asked_by="ana", now=NOW) for _ in range(2)]
    assert asked == [True, False]
    assert send(desk, box) == {"SENT": 1}
    assert (desk.mails(trip), [mail.to for mail in box.mails]) == (
        [("FIRST", "UNKNOWN"), ("RESEND", "SENT")],
        ["ana@shopper.test"],
    )


def test_a_receipt_that_can_not_be_written_keeps_no_other_waiting(desk: Desk) -> None:
    def write(receipt: Receipt, address: str, language: str) -> Mail:
        if receipt.shopping_trip_id == bad:
            raise KeyError("a kind of line that nobody has seen")
        return compose(receipt, address, language, portal="")

    send(desk, Postbox())  # what other tests left
    bad, good = desk.world.trip(), desk.world.trip()
    with desk.world.engine.begin() as connection:
        mails.find_due(connection, now=NOW)
    composer, box = Composer(write, timedelta(0)), Postbox()
    counts: Counter[str] = Counter()
    with ReceiptDataClient(settings()) as client:
        for day in range(mails.TRIES):
            counts += mails.send_due(
                desk.world.engine, desk.world.seal, box, client, composer, now=NOW + timedelta(days=day)
            )
    assert counts == {"SENT": 1, "LATER": mails.TRIES - 1, "REFUSED": 1}
    assert (desk.mails(bad), desk.mails(good)) == ([("FIRST", "REFUSED")], [("FIRST", "SENT")])
    shown = desk.world.rows("select problem from receipt_mail where shopping_trip_id = :t", t=bad)
    assert shown == [{"problem": "it could not be written: KeyError"}]


def test_where_receipts_begin_nobody_gets_one_for_long_ago(desk: Desk) -> None:
    old, new = desk.world.trip(at=NOW - timedelta(days=9)), desk.world.trip()
    with desk.world.engine.begin() as connection:
        mails.find_due(connection, now=NOW)
        mails.find_due(connection, now=NOW + timedelta(days=8))
    assert (desk.mails(old), desk.mails(new)) == ([], [("FIRST", "DUE")])
    desk.world.run("update receipt_mail set state = 'SENT' where shopping_trip_id = :t", t=new)


def test_a_worker_that_is_gone_leaves_its_message_unknown(desk: Desk) -> None:
    trip = desk.world.trip()
    with desk.world.engine.begin() as connection:
        mails.find_due(connection, now=NOW)
    desk.world.run(
        "update receipt_mail set state = 'SENDING', lease_until = :at where shopping_trip_id = :t",
        t=trip, at=NOW - timedelta(minutes=1),
    )  # fmt: skip
    box = Postbox()
    send(desk, box)
    assert (desk.mails(trip), box.mails) == ([("FIRST", "UNKNOWN")], [])


def test_a_receipt_waits_for_its_cards_data_and_goes_without_after_a_while(desk: Desk) -> None:
    desk.world.run("delete from api_hold")
    send(desk, Postbox())  # what other tests left
    trip = desk.just_captured()
    desk.amazon.script = lambda _: Reply(status=503)
    with desk.world.engine.begin() as connection:
        card_data.find_due(connection, now=NOW)
    at = NOW
    counts = []
    with ReceiptDataClient(settings()) as client:
        for _ in range(4):
            counts.append(dict(card_data.fetch_due(desk.world.engine, client, store_id="STORE-001", now=at)))
            if len(counts) < 4:
                assert send(desk, Postbox(), at=at) == {}
            at += timedelta(hours=1, minutes=30)
    assert counts == [{"AGAIN": 1}] * 3 + [{"NOT_TOLD": 1}]
    assert send(desk, Postbox(), at=at) == {"SENT": 1}
    assert receipt(desk, trip).card is None


def test_amazons_429_holds_all_and_the_trip_is_asked_about_later(desk: Desk) -> None:
    trip = desk.just_captured()

    def script(call: Call) -> Reply:
        return Reply(status=429, headers={"Retry-After": "60"})

    desk.amazon.script = script
    with desk.world.engine.begin() as connection:
        card_data.find_due(connection, now=NOW)
    with ReceiptDataClient(settings()) as client:
        assert dict(card_data.fetch_due(desk.world.engine, client, store_id="STORE-001", now=NOW)) == {"HELD": 1}
        calls = len(desk.amazon.calls)
        assert dict(card_data.fetch_due(desk.world.engine, client, store_id="STORE-001", now=NOW)) == {}
        assert len(desk.amazon.calls) == calls
        desk.amazon.script = lambda _: Reply(body={"brand": "VISA"})
        later = NOW + timedelta(minutes=2)
        assert dict(card_data.fetch_due(desk.world.engine, client, store_id="STORE-001", now=later)) == {"KNOWN": 1}
    card = receipt(desk, trip).card
    assert card is not None
    assert (card.brand, card.tail, card.facts) == ("VISA", None, [])
    desk.world.run("delete from api_hold")
