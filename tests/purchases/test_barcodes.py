"""One trade item number in its several spellings."""

from __future__ import annotations

import pytest

from backroom.purchases.barcodes import spellings


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("036000291452", ["0036000291452", "00036000291452"]),
        ("0036000291452", ["036000291452", "00036000291452"]),
        ("4006381333931", ["04006381333931"]),
        ("96385074", ["000096385074", "0000096385074", "00000096385074"]),
        ("4011", []),
        ("SKU-1", []),
        ("٠٣٦٠٠٠٢٩١٤٥٢", []),
    ],
)
def test_a_number_is_looked_up_as_it_came_first(code: str, others: list[str]) -> None:
    assert spellings(code) == [code, *others]
