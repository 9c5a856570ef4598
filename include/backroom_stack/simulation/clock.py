"""The moved clock that every worker reads, and where each says that nothing is left to do at the present moment.

A small file in memory that all processes map. Each move of the clock has a number (its generation).
"""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

SLOTS: Final = 32
_WORD: Final = struct.Struct("<q")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SharedClock:
    """Words of 8 bytes: generation, microseconds since 1970 (UTC), then per slot the generation it is done with."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._words = mmap.mmap(self._file.fileno(), _WORD.size * (2 + SLOTS))

    @classmethod
    def make(cls, path: Path) -> Self:
        """A new clock that nobody has set yet: generation 0."""
        path.write_bytes(bytes(_WORD.size * (2 + SLOTS)))
        return cls(path)

    def set(self, moment: datetime) -> int:
        """Moves the clock; the new generation."""
        generation = self._get(0) + 1
        self._put(1, (moment - _EPOCH) // timedelta(microseconds=1))
        self._put(0, generation)
        return generation

    def read(self) -> tuple[int, datetime]:
        """The generation and the moment."""
        return self._get(0), _EPOCH + timedelta(microseconds=self._get(1))

    def done(self, slot: int, generation: int) -> None:
        """The worker of that slot found nothing more to do."""
        self._put(2 + slot, generation)

    def is_done(self, slot: int) -> bool:
        """Whether it has said so at the present generation."""
        return self._get(2 + slot) == self._get(0)

    def _get(self, word: int) -> int:
        return int(_WORD.unpack_from(self._words, word * _WORD.size)[0])

    def _put(self, word: int, value: int) -> None:
        _WORD.pack_into(self._words, word * _WORD.size, value)
