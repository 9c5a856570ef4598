"""Amazon's limit on catalog calls, and what it saw of the retailer's rate."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

REQUESTS_A_SECOND = 10


@dataclass
class CatalogRate:
    """Calls by the real clock, since the world was loaded."""

    most_in_a_second: int = 0
    throttled: int = 0
    uploads: int = 0
    _recent: deque[float] = field(default_factory=deque)
    _first_upload: float = 0.0
    _last_upload: float = 0.0

    def too_many(self, operation: str) -> bool:
        """Counts a call that has come; whether it is one too many in any second that ends with it."""
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= 1.0:
            self._recent.popleft()
        self.most_in_a_second = max(self.most_in_a_second, len(self._recent) + 1)
        if len(self._recent) >= REQUESTS_A_SECOND:
            self.throttled += 1
            return True
        self._recent.append(now)
        if operation.endswith("upload"):
            self.uploads += 1
            self._first_upload = self._first_upload or now
            self._last_upload = now
        return False

    def figures(self) -> dict[str, Any]:
        """For the summary; `upload_seconds` from the first upload to the last."""
        return {
            "uploads": self.uploads,
            "upload_seconds": str(round(self._last_upload - self._first_upload, 3)),
            "most_calls_in_a_second": self.most_in_a_second,
            "throttled": self.throttled,
        }
