"""The SQL that admits at once agrees with `decide`, for every combination of what may speak against a shopper."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.db.serving import serving_engine
from backroom.entry import gate as entry_gate
from backroom.entry.decision import NOTHING_DENIES, GateRules, KnownShopper, Reason, decide
from backroom.entry.gate import Gate, GateEvent, UnknownStore, verify_identity_key
from backroom.entry.scan_code import parse_scan_code
from backroom.shoppers.registry import key_hash

AT = datetime(2026, 3, 22, 17, tzinfo=UTC)
RULES = GateRules("IMAG", timedelta(seconds=60))
STRATEGIES = ("RETAILER_MANAGED", "AMAZON_MANAGED", "AMAZON_RECOMMENDATION")
SCOPES = ("ALL_STORES", "THIS_STORE")
EXPIRIES = (None, timedelta(0), timedelta(seconds=-1), timedelta(seconds=1))
DEBTS = ("none", "here", "elsewhere", "paid here", "written off here", "forgiven here")
ELSEWHERE = "ANOTHER"


@dataclass(frozen=True)
class Case:
    """A shopper with one key, at a store."""

    revoked: bool
    expires: timedelta | None
    active: bool
    flagged: bool
    debt: str
    strategy: str
    scope: str

    @property
    def shopper_id(self) -> str:
        parts = (self.revoked, EXPIRIES.index(self.expires), self.active, self.flagged, DEBTS.index(self.debt))
        return "s" + "".join(str(int(part)) for part in parts) + self.store_id

    @property
    def store_id(self) -> str:
        return f"{self.strategy}-{self.scope}"

    @property
    def expected(self) -> Reason:
        """As the rules say."""
        owes = self.debt in ("here", "written off here") or (self.debt == "elsewhere" and self.scope == "ALL_STORES")
        shopper = KnownShopper(
            self.shopper_id, "SHOPPER", self.active, self.flagged, owes, self.revoked,
            None if self.expires is None else AT + self.expires,
        )  # fmt: skip
        return decide(
            at=AT, code=None, shopper=shopper, used_by_another=False,
            balance_denies=self.strategy == "RETAILER_MANAGED", rules=RULES,
        ).reason  # fmt: skip


CASES = [
    Case(*values)
    for values in itertools.product((False, True), EXPIRIES, (True, False), (False, True), DEBTS, STRATEGIES, SCOPES)
]


@pytest.fixture(scope="module")
def world(database: Engine) -> Engine:
    """Every case: its store, shopper, key and debt."""
    stores = [(f"{strategy}-{scope}", strategy, scope) for strategy in STRATEGIES for scope in SCOPES]
    with database.begin() as connection:
        for store_id, strategy, scope in [*stores, (ELSEWHERE, "AMAZON_MANAGED", "ALL_STORES")]:
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                    " preauthorization_amount, feeds, balance_scope)"
                    " values (:id, 'a store', 'm', 'UTC', 'USD', 'X', :strategy, 75, '{FILES}', :scope)"
                ),
                {"id": store_id, "strategy": strategy, "scope": scope},
            )
        connection.execute(
            text("insert into shopper (shopper_id, type, active, flagged) values (:id, 'SHOPPER', :active, :flagged)"),
            [{"id": case.shopper_id, "active": case.active, "flagged": case.flagged} for case in CASES],
        )
        connection.execute(
            text(
                "insert into recognition_key (key_hash, shopper_id, kind, revoked, expires_at)"
                " values (:hash, :id, 'OPAQUE', :revoked, :expires)"
            ),
            [
                {
                    "hash": key_hash(case.shopper_id.encode()),
                    "id": case.shopper_id,
                    "revoked": case.revoked,
                    "expires": None if case.expires is None else AT + case.expires,
                }
                for case in CASES
            ],
        )
        connection.execute(
            text(
                "insert into debt (shopping_trip_id, store_id, shopper_id, cause, currency, amount, paid, written_off,"
                " state, opened_at, forgiven_at) values (:trip, :store, :id, 'CAPTURE_DECLINED', 'USD', 12, :paid,"
                " :written_off, :state, :at, :forgiven)"
            ),
            [
                {
                    "trip": f"trip-{case.shopper_id}",
                    "store": ELSEWHERE if case.debt == "elsewhere" else case.store_id,
                    "id": case.shopper_id,
                    "paid": 12 if case.debt == "paid here" else 0,
                    "written_off": 12 if case.debt in ("written off here", "forgiven here") else 0,
                    "state": {
                        "written off here": "WRITTEN_OFF",
                        "forgiven here": "WRITTEN_OFF",
                        "paid here": "PAID",
                    }.get(case.debt, "OPEN"),
                    "forgiven": AT if case.debt == "forgiven here" else None,
                    "at": AT,
                }
                for case in CASES
                if case.debt != "none"
            ],
        )
    return database


@pytest.fixture(scope="module")
def serving(world: Engine) -> Iterator[Engine]:
    engine = serving_engine(world.url, connections=4, timeout_seconds=10, application="a test of the gate")
    yield engine
    engine.dispose()


def event(case: Case, **changes: Any) -> GateEvent:
    values = {"store_id": case.store_id, "key": case.shopper_id.encode(), **changes}
    return GateEvent("r", auth_event_id=str(uuid.uuid4()), at=AT, **values)


def test_the_condition_holds_exactly_where_the_rules_admit(world: Engine) -> None:
    assert len(CASES) == 1152
    assert {case.expected for case in CASES} == {
        Reason.ADMITTED, Reason.KEY_REVOKED, Reason.KEY_EXPIRED, Reason.SHOPPER_INACTIVE, Reason.SHOPPER_FLAGGED,
        Reason.BALANCE_OUTSTANDING,
    }  # fmt: skip
    with world.connect() as connection:
        admitted = set(
            connection.scalars(
                text(
                    "select shopper.shopper_id from shopper join recognition_key as known using (shopper_id)"
                    " cross join (select cast(:at as timestamptz) as at) as event"
                    " join store on shopper.shopper_id like '%' || store.store_id"
                    f" where {NOTHING_DENIES}"
                ),
                {"at": AT},
            )
        )
    wrong = [case for case in CASES if (case.shopper_id in admitted) is not (case.expected is Reason.ADMITTED)]
    assert wrong == []


def test_the_gate_and_the_careful_way_give_the_same_answer_and_keep_the_same_row(
    world: Engine, serving: Engine
) -> None:
    gate = Gate(serving, RULES)
    for case in CASES[::7] + [case for case in CASES if case.expected is Reason.ADMITTED]:
        first, second = event(case), event(case)
        at_once = gate.verify(first, {"requestId": "r", "identityKey": "secret"}, now=AT)
        carefully = verify_identity_key(
            serving, second, {"requestId": "r", "identityKey": "secret"}, rules=RULES, now=AT
        )
        assert at_once == carefully, case
        assert carefully.reason == case.expected, case
        assert at_once.status == (200 if case.expected is Reason.ADMITTED else 401)
        rows = [kept(world, one) for one in (first, second)]
        assert rows[0] == rows[1]
        assert rows[0].raw_body == {"requestId": "r"}


def kept(world: Engine, one: GateEvent) -> Any:
    with world.connect() as connection:
        return connection.execute(
            text(
                "select request_id, store_id, key_hash, auth_event_at, status, reason, shopper_id, shopper_type,"
                " response_body, raw_body, received_at from gate_decision where auth_event_id = :id"
            ),
            {"id": one.auth_event_id},
        ).one()


def of(**values: Any) -> Case:
    """A shopper against whom nothing speaks, but for what is given."""
    return Case(
        **{
            "revoked": False, "expires": None, "active": True, "flagged": False, "debt": "none",
            "strategy": "RETAILER_MANAGED", "scope": "ALL_STORES", **values,
        }
    )  # fmt: skip


def test_a_key_of_another_store_an_unknown_key_and_a_closed_store_do_not_open(world: Engine, serving: Engine) -> None:
    gate, case = Gate(serving, RULES), of()
    assert gate.verify(event(case, key=b"nobody's"), {}, now=AT).reason == Reason.UNKNOWN_KEY
    with pytest.raises(UnknownStore):
        gate.verify(event(case, store_id="NOWHERE"), {}, now=AT)
    with world.begin() as connection:
        connection.execute(
            text(
                "insert into recognition_key (key_hash, shopper_id, kind, store_id) values (:hash, :id, 'OPAQUE', :s)"
            ),
            {"hash": key_hash(b"of one store"), "id": case.shopper_id, "s": ELSEWHERE},
        )
    assert gate.verify(event(case, key=b"of one store"), {}, now=AT).reason == Reason.UNKNOWN_KEY
    assert gate.verify(event(case, key=b"of one store", store_id=ELSEWHERE), {}, now=AT).status == 200
    with world.begin() as connection:
        connection.execute(text("update store set active = false where store_id = :id"), {"id": ELSEWHERE})
    with pytest.raises(UnknownStore):
        gate.verify(event(case, key=b"of one store", store_id=ELSEWHERE), {}, now=AT)


def test_a_token_is_no_opaque_key_and_a_code_opens_once(world: Engine, serving: Engine) -> None:
    gate, case = Gate(serving, RULES), of()
    token = "f" * 21
    with world.begin() as connection:
        connection.execute(
            text("insert into recognition_key (key_hash, shopper_id, kind) values (:hash, :id, 'TOKEN')"),
            {"hash": key_hash(token.encode()), "id": case.shopper_id},
        )
    code = f"JWOIMAG{int(AT.timestamp() * 1000):011x}{token}".encode()
    assert gate.verify(event(case, key=token.encode()), {}, now=AT).reason == Reason.UNKNOWN_KEY
    first = event(case, key=code)
    answers = [gate.verify(one, {}, now=AT) for one in (first, first, event(case, key=code))]
    assert [answer.reason for answer in answers] == ["ADMITTED", "REPEATED", "CODE_USED"]
    assert answers[0].body == answers[1].body


def test_events_of_one_statement_go_in_the_order_of_their_codes_and_of_copies_the_first(
    world: Engine, serving: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that two processes with the same codes never wait for each other in a circle."""
    sent: list[list[dict[str, Any]]] = []

    class Watched:
        def one(self, _engine: Engine, values: dict[str, str]) -> SimpleNamespace:
            sent.append(json.loads(values["events"]))
            return SimpleNamespace(admitted=json.dumps({"event-1": "{}"}))

    monkeypatch.setattr(entry_gate, "_ADMIT", Watched())
    codes = [f"JWOIMAG{int(AT.timestamp() * 1000):011x}{letter * 21}".encode() for letter in "0123"]
    keys = {"event-1": codes[0], "event-2": codes[1], "event-3": codes[2], "event-9": b"opaque", "event-0": b"another"}
    arrivals = [
        entry_gate._Arrival(replace(event(of(), key=key), auth_event_id=name), parse_scan_code(key), {"n": n}, AT)
        for n, (name, key) in enumerate([*keys.items(), ("event-1", codes[3])])
    ]
    answers = Gate(serving, RULES)._admit(arrivals)
    assert answers == ["{}", None, None, None, None, None], "the copy is looked at by itself"
    order = [(row["code_hash"] or "", row["auth_event_id"]) for row in sent[0]]
    assert order == sorted(order)
    assert [name for code, name in order if not code] == ["event-0", "event-9"]
    assert [row["raw_body"] for row in sent[0] if row["auth_event_id"] == "event-1"] == [{"n": 0}]


def test_an_answer_is_written_the_same_by_the_statement_and_by_the_careful_way(world: Engine, serving: Engine) -> None:
    """Ids with quotes and letters beyond ASCII: the bytes are the same, and JSON."""
    for name in ('"quoted\\', "Zoë/ü", "名前", "a'b"):
        with world.begin() as connection:
            connection.execute(text("insert into shopper (shopper_id, type) values (:id, 'SHOPPER')"), {"id": name})
            connection.execute(
                text("insert into recognition_key (key_hash, shopper_id, kind) values (:hash, :id, 'OPAQUE')"),
                {"hash": key_hash(name.encode()), "id": name},
            )
        one, other = (event(of(), key=name.encode()) for _ in range(2))
        at_once = Gate(serving, RULES).verify(one, {}, now=AT)
        assert at_once == verify_identity_key(serving, other, {}, rules=RULES, now=AT)
        assert json.loads(at_once.body) == {"visitorDetails": {"id": name, "type": "SHOPPER"}}
