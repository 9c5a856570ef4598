"""Every route: closed to who is not signed in, and open to just the roles that its permission names."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.routing import Rule

from backroom.staff.permissions import GRANTED, Permission, Role
from connector_app.console.app import HEADERS, OPEN_ENDPOINTS
from tests.connector_app.console.world import DAY, NOW, PASSWORD, Console, World

PERSON = {Role.FINANCE: "fay", Role.OPERATIONS: "olga", Role.SUPPORT: "sam"}
# what a GET of each route shows, by the role that sees most of it
SHOWN = {
    "today.today": ("open cases", "olga"),
    "reviews.cases": ("Unknown capture", "fay"),
    "reviews.case": ("Was the money of this trip taken?", "fay"),
    "reports.runs": ("STORE-002", "fay"),
    "reports.chosen_range": ("finance report", "fay"),
    "reports.of_range": ("finance report", "fay"),
    "reports.all_months": ("Not closed", "fay"),
    "reports.one_month": ("Close the month", "fay"),
    "reports.company": ("Close the month at all stores", "fay"),
    "reports.report": ("STORE-002", "fay"),
    "breaks.breaks": ("STORE-002-T1", "fay"),
    "breaks.one": ("Force the match", "fay"),
    "carts.carts": ("line 2:", "olga"),
    "carts.cart": ("SKU of line 2", "olga"),
    "refused.refused": ("requestId: required", "olga"),
    "refused.one": ("idempotentShoppingTripId", "olga"),
    "charges.charges": ("7.20 USD", "fay"),
    "charges.charge": ("Case", "fay"),
    "debts.debts": ("18.40 USD", "fay"),
    "debts.debt": ("Write off 18.40 USD", "fay"),
    "refunds.requests": ("Damaged item", "sam"),
    "refunds.ask": ("Trip", "sam"),
    "refunds.one": ("the bottle was broken", "fay"),
    "feeds.gaps": ("m/orders.csv", "olga"),
    "feeds.quarantine": ("&lt;b&gt;12,x&lt;/b&gt;", "olga"),
    "catalog.rejections": ("is empty", "olga"),
    "audit.entries": ("staff.sign_in", "fay"),
}


def path_of(rule: Rule, world: World) -> str:
    """An address of the route that there is something at."""
    values = {
        "case_id": world.ids["parked"], "break_id": world.ids["break"], "request_id": world.ids["refund"],
        "refused_id": world.ids["refused"], "run_id": world.ids["run"], "kind": "html", "filename": "console.css",
        "wanted_id": 0,
        "month": f"{DAY:%Y-%m}", "store": "STORE-002", "first": DAY, "last": DAY, "stem": "company",
        "name": "STORE-002.html",
        "trip": world.trips[{"carts": "bad", "charges": "parked"}.get(rule.endpoint.split(".")[0], "debt")],
    }  # fmt: skip
    built = rule.build({name: values[name] for name in rule.arguments})
    assert built is not None
    return built[1] + (f"?first={DAY}&last={DAY}" if rule.endpoint == "reports.chosen_range" else "")


def routes(console: Console, method: str) -> list[Rule]:
    return [rule for rule in console.app.url_map.iter_rules() if method in (rule.methods or ())]


def test_every_route_but_the_open_ones_asks_for_a_permission(console: Console) -> None:
    asked = {
        rule.endpoint: getattr(console.app.view_functions[rule.endpoint], "permission", None)
        for rule in console.app.url_map.iter_rules()
    }
    assert {endpoint for endpoint, permission in asked.items() if permission is None} == OPEN_ENDPOINTS
    assert {permission for permission in asked.values() if permission} <= set(Permission)


def test_a_stranger_is_sent_to_sign_in_and_back_and_can_post_nothing(console: Console, world: World) -> None:
    stranger = console.anonymous()
    for rule in routes(console, "GET"):
        if rule.endpoint not in OPEN_ENDPOINTS:
            path = path_of(rule, world)
            answer = stranger.get(path)
            assert (answer.status_code, answer.location.split("?")[0]) == (303, "/sign-in"), path
    for rule in routes(console, "POST"):
        if rule.endpoint not in OPEN_ENDPOINTS:
            assert stranger.client.post(path_of(rule, world)).status_code == 401, rule.rule


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_the_pages_that_it_may_and_403_at_the_others(console: Console, world: World, role: Role) -> None:
    browser = console.as_(PERSON[role])
    token = browser.token("/")
    for method in ("GET", "POST"):
        for rule in routes(console, method):
            permission = getattr(console.app.view_functions[rule.endpoint], "permission", None)
            if permission is None or rule.endpoint == "access.sign_out":
                continue
            path = path_of(rule, world)
            answer = browser.get(path) if method == "GET" else browser.client.post(path, data={"form_token": token})
            if permission not in GRANTED[role]:
                assert answer.status_code == 403, (method, path)
                assert permission.value in answer.text
            else:  # a form that says nothing changes nothing
                done = 303 if rule.endpoint == "reports.chosen_range" else 200
                assert answer.status_code == (done if method == "GET" else 409), (method, path)


def test_a_case_about_money_is_not_for_operations_nor_one_about_goods_for_finance(
    console: Console, world: World
) -> None:
    for name, case in (("olga", "parked"), ("fay", "bad"), ("sam", "bad")):
        path = f"/cases/{world.ids[case]}"
        assert "Another role decides this" in console.as_(name).get(path).text
        answer = console.as_(name).post(path, choice="captured", reason="because")
        assert answer.status_code == 409
        assert "permission to decide" in answer.text
    assert world.rows("select 1 from review_case where decision is not null") == []


@pytest.mark.parametrize("endpoint", list(SHOWN))
def test_each_page_shows_what_waits(console: Console, world: World, endpoint: str) -> None:
    words, name = SHOWN[endpoint]
    rule = next(rule for rule in routes(console, "GET") if rule.endpoint == endpoint)
    page = console.as_(name).client.get(path_of(rule, world), follow_redirects=True)
    assert page.status_code == 200
    assert words in page.text
    if endpoint not in ("reports.report", "reports.of_range", "reports.chosen_range"):
        assert page.text.count("<h1>") == 1
        assert page.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        scripts = re.findall(r"<script[^>]*>([^<]*)</script>", page.text)
        assert scripts == [""]  # one, of our own, from its file
        assert not re.search(r"\s(style|on\w+)=\"", page.text)


def test_every_page_has_been_looked_at(console: Console) -> None:
    pages = {rule.endpoint for rule in routes(console, "GET")} - OPEN_ENDPOINTS
    assert pages == set(SHOWN)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/breaks?state=OPEN&kind=CAPTURED&from=2026-03-01&to=2026-03-09&owner=nobody&older=0", 200),
        ("/breaks?from=yesterday", 400),
        ("/breaks?older=-1", 400),
        ("/breaks?after=AAAA", 404),
        ("/refunds/ask?trip=there-is-none", 404),
        ("/reports/2026-03-02/2026-03-01/company.html", 404),
        ("/reports/2020-01-01/2026-03-01/company.html", 404),
        ("/reports/2026-02-30/2026-03-01/company.html", 400),
        ("/reports/range?first=2026-03-01", 400),
        ("/months/2026-13/STORE-002", 404),
        ("/months/2026-03/nowhere", 404),
        ("/debts?state=NOTHING", 400),
        ("/debts?bucket=31-60&who=nobody", 200),
        ("/debts?after=AAAA", 404),
        ("/debts?store=%00", 400),
        ("/cases?show=overdue&kind=UNKNOWN_CAPTURE&store=BAD", 200),
        ("/cases/999999", 404),
        ("/cases/99999999999999999999999", 404),
        ("/breaks/999999", 404),
        ("/refunds/999999", 404),
        ("/charges/there-is-none", 404),
        ("/debts/there-is-none", 404),
        ("/carts/there-is-none", 404),
        ("/reports/999999/STORE-002.html", 404),
        ("/reports/1/STORE-002.exe", 404),
        ("/reports/1/STORE-001.html", 404),
        ("/nowhere", 404),
    ],
)
def test_filters_live_in_the_address_and_what_can_not_be_is_told(console: Console, path: str, status: int) -> None:
    answer = console.as_("fay").get(path)
    assert answer.status_code == status
    assert "<h1>" in answer.text


def test_a_long_list_goes_on_behind_the_last_row_with_its_filters(console: Console, world: World) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into audit_entry (at, actor, action, subject) select now(), 'many', 'test.' || n, 'x'"
            " from generate_series(1, 120) n"
        )
    seen: list[str] = []
    path = "/audit?who=many"
    for _ in range(3):
        page = console.as_("fay").get(path).text
        seen += re.findall(r"<td>test\.(\d+)</td>", page)
        if following := re.search(r'rel="next" href="([^"]+)"', page):
            path = following[1].replace("&amp;", "&")
            assert "who=many" in path
    assert seen == [str(number) for number in range(120, 0, -1)]
    assert following is None


def test_a_part_of_a_page_that_is_asked_for_after_the_session_ended_leads_to_sign_in(console: Console) -> None:
    answer = console.anonymous().client.get("/debts?state=all", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/sign-in?next=/debts?state%3Dall")
    assert answer.text == ""


def test_a_report_runs_nothing_and_what_its_links_lead_to_is_downloaded(console: Console, world: World) -> None:
    fay, run = console.as_("fay"), world.ids["run"]
    for address, stem in ((f"/reports/{run}/", "STORE-002"), (f"/reports/{DAY}/{DAY}/", "company")):
        page = fay.get(f"{address}{stem}.html")
        assert "sandbox" in page.headers["Content-Security-Policy"]
        assert "'self'" not in page.headers["Content-Security-Policy"]
        links = re.findall(r'<a href="([^#"]+)"', page.text)
        assert links == [f"{stem}.xlsx", f"{stem}.figures.csv", f"{stem}.figures.parquet"]
        begins = []
        for link in links:
            file = fay.get(address + link)
            assert file.headers["Content-Disposition"].startswith("attachment")
            begins.append(file.data[:3])
        assert begins == [b"PK\x03", b"sto", b"PAR"]
    assert fay.get(f"/reports/{run}/STORE-002.trips.csv").data.startswith(b"store_id,business_date,shopping_trip_id")


def test_a_report_outside_of_the_folder_is_not_served(console: Console, world: World, tmp_path: Path) -> None:
    secret = tmp_path / "STORE-002.html"
    secret.write_text("root:x:0:0")
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into reconciliation_run (store_id, business_date, revision, as_of, complete, trips, matched,"
            " expected, breaks_open, figures, html_path) values ('STORE-002', '2026-03-02', 0, now(), true, 0, 0, 0, 0,"
            " '{}', %s)", (str(secret),)
        )  # fmt: skip
    run = world.one("select run_id from reconciliation_run where html_path = :path", path=str(secret))
    answer = console.as_("fay").get(f"/reports/{run}/STORE-002.html")
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_a_form_of_another_session_or_site_is_refused(console: Console, world: World) -> None:
    path, fay = f"/debts/{world.trips['debt']}", console.as_("fay")
    said = {"do": "write_off", "reason": "because"}
    assert fay.client.post(path, data=said).status_code == 403
    stolen = {**said, "form_token": console.as_("olga").token("/")}
    assert fay.client.post(path, data=stolen).status_code == 403
    good = {**said, "form_token": fay.token(path)}
    for site in ("cross-site", "same-site"):
        assert fay.client.post(path, data=good, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert world.one("select state from debt") == "OPEN"


def test_a_large_form_is_a_413(console: Console) -> None:
    assert console.as_("fay").post("/cases/1", "/", reason="x" * 60_000).status_code == 413


def test_health_asks_for_nobody(console: Console) -> None:
    stranger = console.anonymous()
    assert stranger.get("/healthz").json == {"status": "alive"}
    assert stranger.get("/readyz").status_code == 200
    assert stranger.get("/static/console.css").status_code == 200


def test_who_signs_in_comes_to_where_they_were_going_and_never_to_another_site(console: Console) -> None:
    for wanted, where in (
        ("/debts?state=all", "/debts?state=all"), ("//evil.example/", "/"), ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ):  # fmt: skip
        assert console.anonymous().sign_in("sam", next=wanted).location == where


def test_a_session_ends_without_clicks_and_after_a_day_s_work_and_when_one_signs_out(console: Console) -> None:
    browser = console.anonymous()
    browser.sign_in("ann")
    try:
        for _ in range(20):
            console.clock[0] += timedelta(minutes=29)
            assert browser.get("/").status_code == 200
        console.clock[0] += timedelta(minutes=29)
        assert browser.get("/").status_code == 303  # ten hours are over
        browser.sign_in("ann")
        console.clock[0] += timedelta(minutes=31)
        assert browser.get("/").status_code == 303
        browser.sign_in("ann")
        cookie = browser.client.get_cookie("backroom_console")
        assert browser.post("/sign-out", "/").location == "/sign-in"
        browser.client.set_cookie("backroom_console", cookie.value)  # type: ignore[union-attr]
        assert browser.get("/").status_code == 303
    finally:
        console.clock[0] = NOW


def test_the_cookie_is_out_of_reach_of_scripts_and_the_database_keeps_none(console: Console, world: World) -> None:
    browser = console.anonymous()
    answer = browser.sign_in("ann")
    told = answer.headers["Set-Cookie"]
    assert "HttpOnly" in told
    assert "SameSite=Lax" in told
    cookie = browser.client.get_cookie("backroom_console")
    assert cookie is not None
    assert cookie.value not in str(world.rows("select * from staff_session"))
    assert PASSWORD not in str(world.rows("select * from staff_member"))


def test_five_wrong_passwords_close_a_name_for_a_while_whoever_tries(console: Console, world: World) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("delete from staff_sign_in_failure")
    for _ in range(5):
        assert console.anonymous().sign_in("sam", "wrong").status_code == 401
    shut = console.anonymous().sign_in("sam")
    assert (shut.status_code, shut.headers["Retry-After"]) == (429, "900")
    assert console.anonymous().sign_in("ann").status_code == 303
    console.clock[0] += timedelta(minutes=16)
    assert console.anonymous().sign_in("sam").status_code == 303
    console.clock[0] = NOW
    assert world.one("select count(*) from audit_entry where action = 'staff.sign_in_failed'") == 5
