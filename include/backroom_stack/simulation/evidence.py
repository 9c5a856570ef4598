"""How Amazon's evidence reaches Backroom: late, doubled, out of order, sometimes never.

Order rows and events are handed over directly into the tables that the feeds fill; a row never overwrites a newer one,
as in the feeds. (The feeds themselves are proven elsewhere; here they would be most of the time.)
"""

from __future__ import annotations

import heapq
import itertools
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from backroom_stack.simulation.scenario import Scenario
from backroom_stack.simulation.stack import plain_client
from backroom_stack.simulation.world import STORES

_FILES = frozenset(store[0] for store in STORES if "FILES" in store[4])
_DELAYS = (20, 70, 200, 300, 1500)  # minutes

_ROWS = text(
    """
    insert into amazon_order (store_id, order_id, shopping_trip_id, business_date, status, entry_method,
        trip_started_at, trip_ended_at, currency, order_total, authorized, captured, refunded, card_brand,
        card_last_four, reconciliation_id, updated_at, window_end, sequencer)
    select store_id, order_id, shopping_trip_id, business_date, order_status, entry_method, trip_started_at,
        trip_ended_at, currency, order_total, authorized, captured, refunded, card_brand, card_last_four,
        reconciliation_id, updated_at, updated_at, '1'
    from json_to_recordset(cast(:rows as json)) as o (store_id text, order_id text, shopping_trip_id text,
        business_date date, order_status text, entry_method text, trip_started_at timestamptz,
        trip_ended_at timestamptz, currency text, order_total numeric, authorized numeric, captured numeric,
        refunded numeric, card_brand text, card_last_four text, reconciliation_id text, updated_at timestamptz)
    on conflict (store_id, order_id) do update set status = excluded.status, order_total = excluded.order_total,
        authorized = excluded.authorized, captured = excluded.captured, refunded = excluded.refunded,
        updated_at = excluded.updated_at, window_end = excluded.window_end
    where excluded.updated_at > amazon_order.updated_at
    """
)
_EVENTS = text(
    """
    insert into feed_event (event_id, detail_type, subtype, shopping_trip_id, store_id, happened_at, received_at, known,
                            envelope)
    select event_id, kind, subtype, trip, store, cast(at as timestamptz), :now, true, cast(envelope as jsonb)
    from json_to_recordset(cast(:rows as json)) as e (event_id text, kind text, subtype text, trip text, store text,
        at text, envelope text)
    on conflict (event_id) do nothing
    """
)


class Mail:
    """What is on its way from the sandbox to Backroom's feed tables."""

    def __init__(self, scenario: Scenario, engine: Engine, sandbox_url: str) -> None:
        self._scenario, self._engine = scenario, engine
        self._url = f"{sandbox_url}/sandbox/changes"
        self._places = {"after": 0, "events_after": 0}
        self._order = itertools.count()
        self._waiting: list[tuple[datetime, int, str, dict[str, Any]]] = []
        self._http = plain_client(timeout=120)

    def deliver(self, now: datetime, *, everything: bool = False) -> int:
        """Fetches what is new and hands over what has arrived by `now`; how much that was."""
        answer = self._http.get(self._url, params=self._places).json()
        first_event = self._places["events_after"]
        self._places = {"after": answer["at"], "events_after": answer["events_at"]}
        for row in answer["orders"]:
            if row["store_id"] in _FILES:
                self._post(now, "row", row, row["shopping_trip_id"], row["updated_at"])
        for number, event in enumerate(answer["events"], start=first_event):
            detail = event["detail"]
            if event["detail-type"] == "PAYMENT":
                event["id"] = f"event-{self._scenario.seed}-{number}"
                lost = detail["storeId"] in _FILES  # where files tell it too
                self._post(now, "event", event, detail["shoppingTripId"], detail["subtype"], may_be_lost=lost)
        return self._hand_over(now, everything=everything)

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def _post(self, now: datetime, kind: str, what: dict[str, Any], *about: str, may_be_lost: bool = False) -> None:
        chance = self._scenario.chance("mail", kind, *about)
        rate = self._scenario.faults
        if may_be_lost and chance.random() < rate / 2:
            return
        late = timedelta(minutes=chance.choice(_DELAYS)) if chance.random() < rate else timedelta(0)
        times = [now + late, *([now + timedelta(minutes=chance.choice(_DELAYS))] if chance.random() < rate else [])]
        for at in times:
            heapq.heappush(self._waiting, (at, next(self._order), kind, what))

    def _hand_over(self, now: datetime, *, everything: bool) -> int:
        arrived: dict[str, list[dict[str, Any]]] = {"row": [], "event": []}
        while self._waiting and (everything or self._waiting[0][0] <= now):
            _, _, kind, what = heapq.heappop(self._waiting)
            arrived[kind].append(what)
        newest: dict[str, dict[str, Any]] = {}
        for row in arrived["row"]:
            kept = newest.get(row["order_id"])
            newest[row["order_id"]] = row if kept is None or row["updated_at"] >= kept["updated_at"] else kept
        events = {event["id"]: event for event in arrived["event"]}
        if newest or events:
            with self._engine.begin() as connection:
                connection.execute(_ROWS, {"rows": json.dumps(list(newest.values()))})
                rows = json.dumps([_event_row(event) for event in events.values()])
                connection.execute(_EVENTS, {"rows": rows, "now": now})
        return len(newest) + len(events)


def _event_row(event: dict[str, Any]) -> dict[str, Any]:
    detail = event["detail"]
    return {
        "event_id": event["id"],
        "kind": event["detail-type"],
        "subtype": detail["subtype"],
        "trip": detail["shoppingTripId"],
        "store": detail["storeId"],
        "at": event["time"],
        "envelope": json.dumps(event),
    }
