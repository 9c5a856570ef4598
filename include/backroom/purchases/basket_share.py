"""An amount off the whole basket, shared over its lines by highest averages (D'Hondt), none getting more than it has.

Minor units are handed out one by one: the k-th of a line comes at k / weight, the smallest first; of equals the line
with the larger weight, then the earlier one. What a line gets can only fall when another line has room for more,
which a largest-remainder share does not promise; so a further promotion never makes a cart dearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


def share_out(amount: int, weights: Sequence[int], room: Sequence[int]) -> list[int]:
    """What each line gets of `amount`, in the lines' order. room[i] <= weights[i]; all in whole units, none negative.

    The sum is the amount, or all the room where that is less. Takes n log n steps, whatever the amount.
    """
    given = [0] * len(weights)
    open_lines = [line for line, most in enumerate(room) if most > 0]
    left = min(amount, sum(room))
    if left <= 0:
        return given
    # Two unlike fractions with such denominators differ by more than one unit once scaled by 2 ** bits.
    bits = 2 * max(weights).bit_length()
    open_lines.sort(key=lambda line: (room[line] << bits) // weights[line])
    weight = sum(weights[line] for line in open_lines)
    full = 0
    for line in open_lines:
        if room[line] * weight > left * weights[line]:
            break
        given[line] = room[line]
        left -= room[line]
        weight -= weights[line]
        full += 1
    partly = open_lines[full:]
    for line in partly:
        given[line] = left * weights[line] // weight
    spare = left - sum(given[line] for line in partly)

    def turn(line: int) -> tuple[int, int, int]:
        return (((given[line] + 1) << bits) // weights[line], -weights[line], line)

    if spare:
        turns = [turn(line) for line in partly]
        heapify(turns)
        for _ in range(spare):
            line = heappop(turns)[2]
            given[line] += 1
            if given[line] < room[line]:
                heappush(turns, turn(line))
    return given
