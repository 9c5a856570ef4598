"""What a store may be called: its id names the files of its reports, and folders of what is kept and sent."""

from __future__ import annotations

from typing import Final

REPORT_OF_ALL_STORES: Final = "company"
"""The name of the reports that are about every store; file systems may not tell it from `Company`."""
LONGEST: Final = 200  # bytes: a file's name may have 255, and a report's has an ending
NO_FILE_NAME: Final = '/\\:*?"<>|'


def usable(store_id: str) -> str:
    """The id itself. Raises ValueError, which says what to do, where no file could be named so."""
    if store_id.casefold() == REPORT_OF_ALL_STORES:
        raise ValueError("the reports of all stores have this name; give the store another id")
    wrong = next((one for one in store_id if one in NO_FILE_NAME or not one.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"holds {wrong!r}, which no file's name may; give the store an id without it")
    if store_id != store_id.strip(" ."):
        raise ValueError("begins or ends with a blank or a dot, which a file's name may not; leave it out")
    if len(store_id.encode()) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes, too long for a file's name; shorten it")
    return store_id
