"""What is known of used codes does not grow for ever, and nothing is forgotten that a gate could still take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, text

from backroom.entry.issuing import KEPT_AFTER_EXPIRY
from backroom.entry.used_codes import KEPT_AFTER_USE, purge_used_codes
from backroom.settings import Settings

NOW = datetime(2026, 3, 22, 6, tzinfo=UTC)


def test_uses_are_deleted_in_batches_once_they_are_four_days_old(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into scan_code_use (code_hash, auth_event_id, used_at)"
                " select 'code-' || age, 'event', cast(:now as timestamptz) - (age - 3) * interval '1 second'"
                " - :kept * interval '1 second' from generate_series(1, 10) as age"
            ),
            {"now": NOW, "kept": KEPT_AFTER_USE.total_seconds()},
        )
    assert purge_used_codes(database, now=NOW, at_once=3) == 7
    with database.connect() as connection:
        left = connection.execute(text("select code_hash from scan_code_use order by used_at desc")).scalars().all()
    assert left == ["code-1", "code-2", "code-3"], "the third was used four days ago to the second"
    assert purge_used_codes(database, now=NOW, at_once=3) == 0


def test_a_use_outlives_the_codes_token() -> None:
    longest = timedelta(minutes=1440)
    with pytest.raises(ValidationError):
        Settings(recognition_token_minutes=1441)
    daily_task = timedelta(days=1)
    assert longest + KEPT_AFTER_EXPIRY + daily_task < KEPT_AFTER_USE
