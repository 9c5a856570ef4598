"""What each page lets a person do: with a reason, by their name, in the audit trail, and once."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from backroom.feeds.completeness import newly_complete_days
from backroom.reviews import showing
from tests.connector_app.console.world import DAY, NOW, Browser, Console, World


def said(browser: Browser, answer: TestResponse) -> str:
    """What the next page says."""
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location).text


def audited(world: World, action: str) -> list[tuple[str, str]]:
    """(who, why) of each entry of that action."""
    return world.rows("select actor, reason from audit_entry where action = :action order by entry_id", action=action)


def test_a_case_decided_here_is_settled_for_airflow_and_the_second_decision_does_not_count(
    console: Console, world: World
) -> None:
    case, fay, ann = world.ids["parked"], console.as_("fay"), console.as_("ann")
    path = f"/cases/{case}"
    assert fay.post(path, reason="seen").status_code == 409  # no choice
    assert fay.post(path, choice="captured", reason="  ").status_code == 409  # no reason
    assert fay.post(path, choice="burn_it", reason="seen").status_code == 409
    token = ann.token(path)  # ann has the page open as well
    with world.engine.connect() as connection:
        assert showing.decision_of(connection, case) is None
        assert showing.decided_among(connection, [case]) == {}
    assert "is decided: captured" in said(fay, fay.post(path, choice="captured", reason="Amazon's ticket 4"))
    with world.engine.connect() as connection:
        assert showing.decided_among(connection, [case]) == {case: "captured"}  # what Airflow's waiting task looks at
        standing = showing.decision_of(connection, case)
    assert standing is not None
    assert (standing.decision, standing.decided_by) == ("captured", "fay")
    second = ann.client.post(path, data={"form_token": token, "choice": "not_captured", "reason": "no"})
    assert second.status_code == 409
    assert "was decided already: captured by fay" in second.text
    assert audited(world, "review.decide") == [("fay", "Amazon's ticket 4")]


def test_a_case_answered_in_airflow_first_is_told_to_who_decides_it_here(console: Console, world: World) -> None:
    case, olga = world.ids["bad"], console.as_("olga")
    token = olga.token(f"/cases/{case}")
    with world.engine.begin() as connection:
        showing.answer(connection, case, "price_again", by="carla", reason="in Airflow", now=console.clock[0])
    answer = olga.client.post(
        f"/cases/{case}", data={"form_token": token, "choice": "charge_nothing", "reason": "mine"}
    )
    assert answer.status_code == 409
    assert "decided already: price_again by carla" in answer.text
    with world.engine.begin() as connection:  # open again for the cart's own page
        connection.exec_driver_sql(
            f"update review_case set decision = null, decided_by = null, decided_at = null where case_id = {case}"
        )


def test_a_bad_cart_s_line_is_named_and_the_cart_is_charged(console: Console, world: World) -> None:
    trip, olga = world.trips["bad"], console.as_("olga")
    path = f"/carts/{trip}"
    for fields, complaint in (
        ({"reason": "seen"}, "Say of at least one line"),
        ({"sku-2": "SOAP"}, "Say why"),
        ({"sku-2": "SOAP", "drop-2": "on", "reason": "seen"}, "not both"),
        ({"sku-2": "NOTHING", "reason": "seen"}, "is no SKU"),
        ({"sku-9": "SOAP", "reason": "seen"}, "has no line 9"),
    ):
        refused = olga.post(path, **fields)
        assert refused.status_code == 409
        assert complaint in refused.text
    kept = olga.post(path, **{"sku-2": "NOTHING", "reason": "what was typed stays"}).text
    assert 'value="NOTHING"' in kept
    assert "what was typed stays" in kept
    assert "8.60 USD are to be charged" in said(olga, olga.post(path, **{"sku-2": "SOAP", "reason": "on the shelf"}))
    assert world.rows("select state from purchase where shopping_trip_id = :t", t=trip) == [("PRICED",)]
    assert world.rows("select state, total from charge where shopping_trip_id = :t", t=trip) == [
        ("DUE", Decimal("8.60"))
    ]
    assert audited(world, "carts.resolve") == [("olga", "on the shelf")]


def test_a_debt_is_written_off_once_and_then_forgiven(console: Console, world: World) -> None:
    path, fay = f"/debts/{world.trips['debt']}", console.as_("fay")
    assert fay.post(path, do="write_off", reason="").status_code == 409
    assert fay.post(path, do="burn", reason="x").status_code == 409
    assert fay.post(path, do="forgive", reason="x").status_code == 409
    token = fay.token(path)
    assert "Written off: 18.4" in said(fay, fay.post(path, do="write_off", reason="the shopper has moved away"))
    again = fay.client.post(path, data={"form_token": token, "do": "write_off", "reason": "twice"})
    assert (again.status_code, "nothing is outstanding" in again.text) == (409, True)
    assert "Forgiven" in said(fay, fay.post(path, do="forgive", reason="an apology"))
    assert world.rows("select state, outstanding, forgiven_at is not null from debt") == [("WRITTEN_OFF", 0, True)]
    assert audited(world, "debt.write_off") + audited(world, "debt.forgive") == [
        ("fay", "the shopper has moved away"), ("fay", "an apology"),
    ]  # fmt: skip


def test_nobody_decides_a_refund_that_they_asked_for_and_another_does(console: Console, world: World) -> None:
    own, other, fay = world.ids["own_refund"], world.ids["refund"], console.as_("fay")
    [(case,)] = world.rows("select case_id from review_case where known ->> 'request' = :id", id=str(own))
    assert f'href="/refunds/{own}"' in fay.get(f"/cases/{case}").text
    sent = fay.post(f"/cases/{case}", "/", choice="approve", reason="mine")
    assert (sent.status_code, "Decide it on the page of refund" in sent.text) == (409, True)
    page = fay.get(f"/refunds/{own}").text
    assert "You asked for this refund" in page
    assert "Approve" not in page
    refused = fay.post(f"/refunds/{own}", do="approve", reason="mine")
    assert (refused.status_code, "someone else must decide it" in refused.text) == (409, True)
    assert "is approved" in said(fay, fay.post(f"/refunds/{other}", do="approve", reason="the photo shows it"))
    parts = world.rows("select instrument, amount, state from refund where request_id = :id", id=other)
    assert [(instrument, state) for instrument, _, state in parts] == [("CAPTURE", "DUE")]
    assert world.one("select quantity from stock_movement where kind = 'RETURN'") == 1  # the goods are back
    ann = console.as_("ann")
    assert "is rejected" in said(ann, ann.post(f"/refunds/{own}", do="reject", reason="no receipt"))
    assert world.rows("select decision from review_case where kind = 'REFUND_APPROVAL'") == [("SETTLED",)] * 2
    assert (audited(world, "refund.approve"), audited(world, "refund.reject")) == (
        [("fay", "the photo shows it")], [("ann", "no receipt")],
    )  # fmt: skip


def test_a_break_is_taken_noted_matched_and_written_off(console: Console, world: World) -> None:
    fay, first, second = console.as_("fay"), world.ids["break"], world.ids["second_break"]
    assert "is olga&#39;s work" in said(
        fay, fay.post(f"/breaks/{first}", do="assign", owner="olga", reason="her store")
    )
    assert f'href="/breaks/{first}"' in fay.get("/breaks?owner=olga").text
    assert f'href="/breaks/{first}"' not in fay.get("/breaks?owner=nobody").text
    assert "Noted" in said(fay, fay.post(f"/breaks/{first}", do="note", reason="asked Amazon"))
    assert "No money has moved" in said(fay, fay.post(f"/breaks/{first}", do="force_match", reason="one cent"))
    assert "is written off" in said(fay, fay.post(f"/breaks/{second}", do="write_off", reason="too small"))
    assert fay.post(f"/breaks/{second}", do="write_off", reason="again").status_code == 409
    page = fay.get(f"/breaks/{first}").text
    for words in ("to olga: her store", "asked Amazon", "one cent"):
        assert words in page
    assert audited(world, "break.note")[0] == ("fay", "asked Amazon")
    assert world.rows("select resolution, resolved_by from reconciliation_break order by break_id")[:2] == [
        ("FORCE_MATCHED", "fay"), ("WRITTEN_OFF", "fay"),
    ]  # fmt: skip


def test_a_refused_cart_is_taken_after_all(console: Console, world: World) -> None:
    path, olga = f"/refused-carts/{world.ids['refused']}", console.as_("olga")
    assert olga.post(path, do="dismiss", reason="").status_code == 409
    assert "Taken: trip" in said(olga, olga.post(path, do="retry"))
    late = olga.post(path, "/", do="dismiss", reason="late")
    assert (late.status_code, "is settled: TAKEN by olga" in late.text) == (409, True)
    assert f'href="{path}"' in olga.get("/refused-carts?show=settled").text


def test_support_asks_for_a_refund_once_and_cannot_approve_it(console: Console, world: World) -> None:
    sam, trip = console.as_("sam"), world.trips["captured"]
    path = f"/refunds/ask?trip={trip}"
    assert f'href="{path}"' in sam.get(f"/charges/{trip}").text
    form = sam.get(path).text
    assert "SOAP" in form
    key = form.split('name="key" value="')[1].split('"')[0]
    for fields, complaint in (
        ({"what": "all"}, "Say why"),
        ({"reason": "broken"}, "Say what goes back"),
        ({"what": "lines", "reason": "broken"}, "Choose at least one line"),
        ({"what": "lines", "line": "9", "reason": "broken"}, "has no line 9"),
        ({"what": "amount", "amount": "much", "reason": "broken"}, "is no number"),
        ({"what": "amount", "amount": "NaN", "reason": "broken"}, "out of bounds"),
        ({"what": "amount", "amount": "1", "goods": "on", "reason": "broken"}, "choose the lines"),
        ({"what": "amount", "amount": "1", "kind": "BOREDOM", "reason": "broken"}, "is not a reason"),
    ):
        refused = sam.post(path, key=key, **{"kind": "DAMAGED_ITEM", **fields})
        assert (refused.status_code, complaint in refused.text) == (409, True), complaint
    asked = {"key": key, "kind": "DAMAGED_ITEM", "what": "lines", "line": "1", "goods": "on", "reason": "a cracked lid"}
    token = sam.token(path)
    first = sam.client.post(path, data={"form_token": token, **asked})
    assert "and goes its way" in said(sam, first)
    again = sam.client.post(path, data={"form_token": token, **asked})  # the button, pressed twice
    assert again.location == first.location
    rows = world.rows(
        "select requested_by, note, state, goods_returned from refund_request where shopping_trip_id = :t", t=trip
    )
    assert rows == [("sam", "a cracked lid", "APPROVED", True)]
    assert audited(world, "refund.request") == [("sam", "a cracked lid")]
    assert sam.post(first.location, "/", do="approve", reason="mine").status_code == 403
    assert console.as_("olga").post(path, "/", **asked).status_code == 403


def test_a_report_of_any_days_is_asked_for_and_no_other_role_may(console: Console, world: World) -> None:
    fay = console.as_("fay")
    asked = {"first": f"{DAY}", "last": f"{DAY}", "of": "STORE-002"}
    assert "No run of the reconciliation has told yet where reports go" in fay.get("/reports").text
    assert "which knows where reports go; none has run so far" in said(fay, fay.post("/reports/range", "/", **asked))
    nowhere = fay.post("/reports/range", "/reports", first=f"{DAY}", last=f"{DAY}", of="NOWHERE")
    assert (nowhere.status_code, "NOWHERE was not reconciled" in nowhere.text) == (409, True)
    wanted = world.rows("select store_id, first_day, last_day, wanted_by, delivered_at from report_wanted")
    assert wanted == [("STORE-002", DAY, DAY, "fay", None)]
    assert console.as_("sam").post("/reports/range", "/", first=f"{DAY}", last=f"{DAY}").status_code == 403


def test_a_report_that_waits_is_withdrawn_once(console: Console, world: World) -> None:
    fay = console.as_("fay")
    fay.post("/reports/range", "/reports", first=f"{DAY}", last=f"{DAY}", of="STORE-002")
    ((wanted_id,),) = world.rows("select max(wanted_id) from report_wanted")
    path = f"/reports/wanted/{wanted_id}/withdraw"
    assert path in fay.get("/reports").text
    assert console.as_("sam").post(path, "/").status_code == 403
    assert "no run tries it any more" in said(fay, fay.post(path, "/reports"))
    page = fay.get("/reports").text
    assert (">Withdrawn</span>" in page, path in page) == (True, False)
    again = fay.post(path, "/reports")
    assert (again.status_code, f"report {wanted_id} does not wait" in again.text) == (409, True)
    assert world.rows(
        "select actor, subject from audit_entry where action = 'report.withdraw'"
    ) == [("fay", f"STORE-002 {DAY} {DAY}")]  # fmt: skip


@pytest.mark.parametrize(
    ("stores", "announces", "note", "done", "state"),
    [
        (False, False, "What is asked for here waits.", "knew no place for reports", "Waits for settings"),
        (True, True, "its readers are told by e-mail", "is stored and announced by the next run", "Waits for run"),
        (True, False, "nobody is told", "is stored by the next run", "Waits for run"),
        (False, True, "it is stored nowhere else", "is announced by the next run", "Waits for run"),
    ],
)
def test_who_asks_for_a_report_is_told_whether_it_waits_for_settings(
    console: Console, world: World, stores: bool, announces: bool, note: str, done: str, state: str
) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("delete from report_wanted")
        connection.exec_driver_sql("delete from report_destination")
        connection.execute(
            text("insert into report_destination (told_at, stores, announces) values (:now, :stores, :announces)"),
            {"now": NOW, "stores": stores, "announces": announces},
        )
    fay = console.as_("fay")
    assert note in fay.get("/reports").text
    assert done in said(fay, fay.post("/reports/range", "/reports", first=f"{DAY}", last=f"{DAY}", of=""))
    assert f">{state}</span>" in fay.get("/reports").text
    with world.engine.begin() as connection:
        connection.execute(text("update report_wanted set failed_at = :now, failure = 'no `bucket`'"), {"now": NOW})
    page = fay.get("/reports").text
    assert "no <code>bucket</code>; the next run tries again" in page
    assert (">Failed</span>" in page) == (stores or announces)
    with world.engine.begin() as connection:
        connection.execute(text("update report_wanted set delivered_at = :now"), {"now": NOW})
    assert ">Delivered</span>" in fay.get("/reports").text


def test_a_month_is_closed_by_finance_with_a_confirmation_and_stays_so(console: Console, world: World) -> None:
    fay, path = console.as_("fay"), f"/months/{DAY:%Y-%m}/STORE-002"
    name = f"{DAY:%Y-%m}"
    page = fay.get(path).text
    assert "What stands in the way" in page
    assert "It is not over" in page
    assert "Write 2026" in fay.post(path, confirmed="2020-01", with_breaks="on", reason="over").text
    everywhere = f"/months/{name}"
    refused = fay.post(everywhere, confirmed=name, reason="over")
    assert (refused.status_code, "no store was closed" in refused.text) == (409, True)
    assert console.as_("sam").post(everywhere, "/", confirmed=name, reason="over").status_code == 403
    early = fay.post(path, confirmed=name, with_breaks="on", reason="over")
    assert (early.status_code, "it is not over" in early.text) == (409, True)
    assert console.as_("sam").post(path, "/", confirmed=name, reason="over").status_code == 403
    before, console.clock[0] = console.clock[0], console.clock[0] + timedelta(days=40)
    finance = console.anonymous()
    finance.sign_in("fay")
    try:
        open_breaks = finance.post(path, confirmed=name, reason="over")
        assert (open_breaks.status_code, "breaks are open" in open_breaks.text) == (409, True)
        assert f"Changed since they were reconciled: {DAY}" in finance.get(path).text  # by what was decided above
        world.shop.do(
            "update reconciliation_run r set breaks_open = (select count(*) from reconciliation_break b"
            " where b.store_id = r.store_id and b.business_date = r.business_date and b.closed_at is null)"
        )
        # nothing of this world was ever booked: neither its charges nor what was decided above
        world.shop.do("update charge set to_book = false where store_id = 'STORE-002'")
        world.shop.do("delete from debt_event")
        world.shop.do("update reconciliation_break_event set given_up = null, given_up_of = null, to_book = false")
        done = said(finance, finance.post(path, confirmed=name, with_breaks="on", reason="agreed with the auditor"))
        assert "is closed. What comes later" in done
        assert "agreed with the auditor" in done
        assert "Close the month" not in finance.get(path).text
        assert finance.post(path, "/", confirmed=name, with_breaks="on", reason="twice").status_code == 409
    finally:
        console.clock[0] = before
        console.signed_in.clear()  # sessions of forty days ago are gone
    assert world.rows("select store_id, closed_by from closed_month") == [("STORE-002", "fay")]
    assert audited(world, "month.close") == [("fay", "agreed with the auditor")]
    world.shop.do("update reconciliation_trip set note = 'judged again since'")
    kept = world.one("select content from closed_month_file where name = 'STORE-002.xlsx'")
    assert console.as_("fay").get(f"/reports/{name}-01/{name}-31/STORE-002.xlsx").data == kept


def test_quarantined_rows_are_taken_again_or_dismissed(console: Console, world: World) -> None:
    olga, file = console.as_("olga"), world.one("select file_id from feed_quarantine")
    row = f"{file}|2"
    for fields, complaint in (
        ({"do": "retry", "reason": "x"}, "Choose a row"),
        ({"do": "retry", "row": row}, "Say why"),
        ({"row": row, "reason": "x"}, "Choose what"),
        ({"do": "retry", "row": "999|2", "reason": "x"}, "no row that waits"),
        ({"do": "dismiss", "row": f"{file}|9", "reason": "x"}, "does not wait"),
    ):
        refused = olga.post("/quarantine", **fields)
        assert (refused.status_code, complaint in refused.text) == (409, True), complaint
    assert console.as_("fay").post("/quarantine", do="dismiss", row=row, reason="x").status_code == 403
    assert "to be taken again" in said(olga, olga.post("/quarantine", do="retry", row=row, reason="a store was added"))
    assert world.one("select retry_asked_at from feed_file where file_id = :f", f=file) == console.clock[0]
    with world.engine.begin() as connection:
        connection.execute(
            text("update feed_file set state = 'FAILED', retry_asked_at = null where file_id = :f"), {"f": file}
        )
    assert f'value="{file}|0"' in olga.get("/gaps?state=FAILED").text
    assert "taken from our copy again" in said(
        olga, olga.post("/quarantine", "/gaps", do="retry", row=f"{file}|0", reason="the header is known now")
    )
    assert world.one("select retry_asked_at from feed_file where file_id = :f", f=file) == console.clock[0]
    assert "is dismissed" in said(olga, olga.post("/quarantine", do="dismiss", row=row, reason="Amazon's test row"))
    assert world.one("select state from feed_quarantine") == "DISMISSED"
    assert "not a number" not in olga.get("/quarantine").text
    assert audited(world, "feeds.quarantine.retry") + audited(world, "feeds.quarantine.dismiss") == [
        ("olga", "a store was added"), ("olga", "the header is known now"), ("olga", "Amazon's test row"),
    ]  # fmt: skip


def test_a_day_that_lacks_files_is_released_as_it_is(console: Console, world: World) -> None:
    olga, day = console.as_("olga"), "STORE-001|2026-03-21"
    assert f'value="{day}"' in olga.get("/gaps").text
    for fields, complaint in (
        ({"reason": "x"}, "Choose a day"),
        ({"day": "STORE-001|2026-03-20", "reason": "x"}, "lacks no file"),
        ({"day": "STORE-001|2026-03-22", "reason": "x"}, "is not over"),
        ({"day": "nowhere|2026-03-21", "reason": "x"}, "is not a store"),
        ({"day": day}, "Say why"),
    ):
        refused = olga.post("/gaps", **fields)
        assert (refused.status_code, complaint in refused.text) == (409, True), complaint
    assert console.as_("fay").post("/gaps", day=day, reason="x").status_code == 403
    assert "without 2 windows" in said(olga, olga.post("/gaps", day=day, reason="Amazon has lost them"))
    assert "at the next run" in olga.get("/gaps").text
    assert olga.post("/gaps", day=day, reason="again").status_code == 409
    with world.engine.begin() as connection:
        assert ("STORE-001", date(2026, 3, 21)) in newly_complete_days(connection, now=console.clock[0])
    assert world.rows(
        "select complete, missing_windows from day_release where business_date = '2026-03-21'"
        " and store_id = 'STORE-001'"
    ) == [(False, 2)]
    assert audited(world, "feeds.release") == [("olga", "Amazon has lost them")]


def test_an_item_that_amazon_refused_goes_again(console: Console, world: World) -> None:
    olga, path = console.as_("olga"), "/catalog?by=amazon"
    assert "no such unit" in olga.get(path).text
    assert olga.post(path, item="STORE-001|COLA").status_code == 409
    assert olga.post(path, item="STORE-001|MILK", reason="x").status_code == 409
    assert console.as_("fay").post(path, "/", item="STORE-001|COLA", reason="x").status_code == 403
    assert "goes to Amazon again" in said(olga, olga.post(path, item="STORE-001|COLA", reason="they know the unit now"))
    assert world.rows("select 1 from catalog_refusal") == []
    assert audited(world, "catalog.retry") == [("olga", "they know the unit now")]


def test_what_people_write_is_text_and_stays_text(console: Console, world: World) -> None:
    fay = console.as_("fay")
    fay.post(f"/breaks/{world.ids['third_break']}", do="note", reason="<script>alert(1)</script> & <b>bold</b>")
    page = fay.get(f"/breaks/{world.ids['third_break']}").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in page


def test_what_was_done_is_said_once(console: Console, world: World) -> None:
    fay, path = console.as_("fay"), f"/breaks/{world.ids['third_break']}"
    answer = fay.post(path, do="note", reason="once")
    assert "Noted in the break" in fay.get(answer.location).text
    assert "Noted in the break" not in fay.get(answer.location).text


def test_who_is_disabled_or_gets_another_role_feels_it_at_the_next_click(console: Console, world: World) -> None:
    from backroom.staff import members

    browser = console.anonymous()
    browser.sign_in("ann")
    with world.engine.begin() as connection:
        members.set_roles(connection, "ann", ["support"], by="x", reason="moved", now=console.clock[0])
    assert browser.get("/breaks").status_code == 403
    with world.engine.begin() as connection:
        members.disable(connection, "ann", by="x", reason="left", now=console.clock[0] + timedelta(seconds=1))
    assert browser.get("/").status_code == 303
    assert console.anonymous().sign_in("ann").status_code == 401
