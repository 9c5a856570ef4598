"""Sharing an amount out exactly, and what of a refund is tax: pure rules over decimals of one currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final, TypeVar

from backroom.money import places, round_amount

ZERO: Final = Decimal(0)
K = TypeVar("K", bound=str)


def share_out(amount: Decimal, weights: Mapping[K, Decimal], currency: str) -> dict[K, Decimal]:
    """`amount` in proportion to the weights, in whole minor units: largest remainder first, then the name's order.

    The shares sum to `amount`; an amount up to the sum of the weights gives no share above its weight, where those are
    in whole minor units. Raises ValueError for a negative amount or weight, or where there is an amount but no weight.
    """
    total = sum(weights.values(), ZERO)
    if amount < 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError("neither an amount to share out nor a weight may be negative")
    if amount and not total:
        raise ValueError(f"{amount} can't be shared out over nothing")
    unit = Decimal(1).scaleb(-places(currency))
    exact = {name: amount * weight / total if total else ZERO for name, weight in weights.items()}
    shares = {name: value.quantize(unit, rounding=ROUND_FLOOR) for name, value in exact.items()}
    left = amount - sum(shares.values(), ZERO)
    for name in sorted(exact, key=lambda name: (shares[name] - exact[name], name)):
        if left <= 0:
            break
        shares[name] += min(unit, left)
        left -= min(unit, left)
    return shares


@dataclass(frozen=True)
class ReturnedLine:
    """One line of a refund by lines: what of it is given back now and was before, of the whole line. Tax included."""

    jurisdiction: str
    tax: Decimal  # of the whole line
    total: Decimal  # of the whole line
    before: Decimal  # given back by earlier requests
    now: Decimal


def tax_by_lines(lines: Iterable[ReturnedLine], currency: str) -> dict[str, Decimal]:
    """The tax that a refund by lines gives back, by jurisdiction.

    In proportion to what has been given back of each line so far, so that the last part of a line brings what is left
    of its tax.
    """
    given: dict[str, Decimal] = {}
    for line in lines:
        if line.total > 0:
            until_now = _tax_until(line, line.before + line.now, currency)
            tax = until_now - _tax_until(line, line.before, currency)
            given[line.jurisdiction] = given.get(line.jurisdiction, ZERO) + tax
    return {jurisdiction: tax for jurisdiction, tax in given.items() if tax}


def _tax_until(line: ReturnedLine, given: Decimal, currency: str) -> Decimal:
    return round_amount(line.tax * min(given, line.total) / line.total, currency)


@dataclass(frozen=True)
class Returnable:
    """What of a trip (or of a request) can still be given back: net of tax, and tax by jurisdiction."""

    net: Decimal
    tax: Mapping[str, Decimal]


NET: Final = "net\0"  # no jurisdiction's name


def tax_of_part(amount: Decimal, of: Returnable, left: Returnable, currency: str) -> dict[str, Decimal]:
    """What of `amount` is tax, by jurisdiction: shared out in proportion to `of`, never above what is `left` of each.

    What is not tax is the rest, so that both together are `amount` to the cent. The rest is not above what is left of
    the net either, as far as there is tax left: so the last part of a trip brings all that is left of its tax.
    """
    weights = {NET: max(of.net, ZERO), **{where: max(tax, ZERO) for where, tax in of.tax.items()}}
    shares = share_out(amount, weights, currency) if sum(weights.values(), ZERO) else {}
    tax = {where: min(shares.get(where, ZERO), max(most, ZERO)) for where, most in left.tax.items()}
    spare = {where: max(most, ZERO) - tax[where] for where, most in left.tax.items()}
    too_much_net = amount - sum(tax.values(), ZERO) - max(left.net, ZERO)
    moved = min(too_much_net, sum(spare.values(), ZERO))
    if moved > 0:
        for where, more in share_out(moved, spare, currency).items():
            tax[where] += more
    return {where: given for where, given in tax.items() if given > 0}
