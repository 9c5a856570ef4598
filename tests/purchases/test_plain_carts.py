"""The quick reading of a cart takes nothing that the whole reading refuses, and makes the same cart of it."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backroom.purchases.plain_carts import read_plain
from backroom.purchases.purchases_request import PurchasesRequest

LOCATIONS = ["ENTRY", "EXIT"]
ID = "58899d8c-f872-42d3-945b-1304df16ffa3"
CART: dict[str, Any] = {
    "requestId": ID,
    "idempotentShoppingTripId": "trip-1",
    "storeId": "STORE-001",
    "shoppingTrip": {
        "startTime": "2026-03-22T17:00:00.5+02:00",
        "endTime": "2026-03-22T17:09:39Z",
        "authEvents": [
            {
                "id": ID, "timestamp": "2026-03-22T17:00:00Z", "location": "ENTRY", "payloadType": "SCAN_CODE",
                "scanResult": {"id": "ana", "type": "CASH"},
            },
            {"id": ID, "payloadType": "FINANCIAL"},
        ],
    },
    "cartItems": [
        {
            "id": "SKU-1", "type": "SKU", "quantity": {"value": "2", "unit": "unit"}, "lineItemId": "a",
            "externalIdentifiers": [{"id": "012345678905", "type": "UPC"}],
        },
        {"id": "400", "type": "SCANCODE", "quantity": {"value": "0.25", "unit": "kg"}, "lineItemId": ""},
    ],
    "shopperIdentity": {"id": "token"},
    "shopperDeviceId": "device",
    "paymentSource": {"id": ""},
    "notYetKnown": [1, 2.5, None],
}  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            0,
            1,
            1.5,
            "",
            " ",
            "0",
            "00.5",
            "1e3",
            "1.",
            ".5",
            "-1",
            "1_0",
            "\u0661",
            "1\n",
            "2" * 11,
            ID.upper(),
            ID + "\n",
            ID[:-1],
            "2026-02-29T00:00:00Z",
            "2024-02-29T00:00:00Z",
            "2026-03-22T17:09:39Z\n",
            "2026-03-22T25:00:00Z",
            "1999-12-31T00:00:00Z",
            "2026-03-22 17:00:00Z",
            "2026-03-22T17:00:00",
            "2026-03-22T16:59:59Z",
            "LOYALTY",
            "SHOPPER",
            "EXIT",
            "CEILING",
            "lb",
            "SKU",
            "a",
            "x" * 255,
            "x" * 256,
            "\u00e9" * 255,
            [],
            {},
            [[]],
            [{}],
            [None],
        ]
    ),
    st.text(max_size=12),
    st.integers(),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the cart, its containers included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, part in inner for place in places(part, (*path, name)))]


def with_changes(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> Any:
    body = copy.deepcopy(CART)
    for path, value, remove in changes:
        inside: Any = body
        try:
            for name in path[:-1]:
                inside = inside[name]
            if remove:
                del inside[path[-1]]
            else:
                inside[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    return body


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(places(CART)[1:]), VALUES, st.booleans()), max_size=3))
def test_what_is_read_quickly_is_the_cart_that_the_whole_reading_makes(
    changes: list[tuple[tuple[Any, ...], Any, bool]],
) -> None:
    body = with_changes(changes)
    quick = read_plain(body, LOCATIONS)
    if quick is None:
        return
    try:
        whole = PurchasesRequest.model_validate(body, context={"locations": LOCATIONS}).cart()
    except ValidationError as error:
        pytest.fail(f"the whole reading refuses it: {error}")
    assert quick == whole


@pytest.mark.parametrize("place", places(CART)[1:])
@pytest.mark.parametrize("value", [None, 5, "", "x" * 300, "2026-03-22T17:09:39Z\n", ID + "\n", "1\n", [], {}])
def test_no_single_wrong_value_passes_the_quick_reading_alone(place: tuple[Any, ...], value: Any) -> None:
    body = with_changes([(place, value, False)])
    quick = read_plain(body, LOCATIONS)
    if quick is not None:
        assert quick == PurchasesRequest.model_validate(body, context={"locations": LOCATIONS}).cart()


def test_an_ordinary_cart_is_read_quickly() -> None:
    assert read_plain(CART, LOCATIONS) is not None


def test_threads_that_read_their_first_cart_at_once_do_not_end_the_process() -> None:
    program = f"""
import sys, threading
sys.setswitchinterval(1e-6)
CART, LOCATIONS = {CART!r}, {LOCATIONS!r}
from backroom.purchases.plain_carts import read_plain
ready = threading.Barrier(8)
def read():
    ready.wait()
    assert read_plain(CART, LOCATIONS) is not None
threads = [threading.Thread(target=read) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
"""
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
