"""The simulated day begins when it is run, at whatever hour that is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backroom.clock import business_day_bounds
from backroom_stack.simulation.world import STORES, day_of


@pytest.mark.parametrize("hour", range(24))
def test_at_any_hour_the_day_has_begun_at_every_store(hour: int) -> None:
    for start in (datetime(2026, 11, 26, hour, tzinfo=UTC), datetime(2026, 7, 1, hour, tzinfo=UTC)):
        assert all(business_day_bounds(day_of(start), store[1])[0] <= start for store in STORES)
