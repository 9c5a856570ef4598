"""What verification reports."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Discrepancy:
    """One thing that is not as it must be; amounts in the trip's currency."""

    subject: str
    what: str
    expected: Decimal | str
    found: Decimal | str

    def as_json(self) -> dict[str, str]:
        """Amounts as exact text."""
        return {
            "subject": self.subject, "what": self.what, "expected": shown(self.expected), "found": shown(self.found),
        }  # fmt: skip


def shown(value: Decimal | str) -> str:
    """An amount, or a state, as text."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value
