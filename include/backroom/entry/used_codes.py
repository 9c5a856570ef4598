"""Scan key codes that have served their event are forgotten once no gate would take them again.

A token lives a day at most (`BACKROOM_RECOGNITION_TOKEN_MINUTES`) and is deleted a day after that, by a daily task
(`issuing.purge_expired_tokens`). Four days are longer: by then no code has a token any more, not even for a gate event
of back then that Amazon sends late.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

KEPT_AFTER_USE: Final = timedelta(days=4)
AT_ONCE: Final = 20_000

_PURGE = text("""
    delete from scan_code_use where code_hash = any(array(
        select code_hash from scan_code_use where used_at < :until limit :at_once for update skip locked))
""")


def purge_used_codes(engine: Engine, *, now: datetime, at_once: int = AT_ONCE) -> int:
    """Deletes the uses that are older than four days at `now` (UTC), so many in a transaction; how many in all.

    Needs no index, which every gate call would pay for: the oldest rows are met first.
    """
    purged = 0
    while True:
        with engine.begin() as connection:
            gone = connection.execute(_PURGE, {"until": now - KEPT_AFTER_USE, "at_once": at_once}).rowcount
        purged += gone
        if gone < at_once:
            return purged
