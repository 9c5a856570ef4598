"""How fast the connector is, against the barest handler that stores one row: `make bench`.

Same machine, server, pool, database and load generator; rounds of the reference and of the connector alternate, and the
medians are compared. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from statistics import median

import typer
from rich.console import Console

from tests.benchmarks import requests_made
from tests.benchmarks.goals import Goal, show
from tests.benchmarks.load import Result, as_fast_as_it_goes, at_rate
from tests.benchmarks.servers import Servers, running

CONNECTIONS = 24
HOT = 16  # connections that repeat one id
BODY = 1_700  # bytes of the reference's rows: about a cart of 8 lines
SIZES = (1, 10, 100, 1_000)


def measure(*, seconds: float, rounds: int, sizes: tuple[int, ...] = SIZES, console: Console) -> list[Goal]:
    """Runs everything; `seconds` per round. Raises RuntimeError where a call is not answered as it should be."""
    with running() as servers, console.status("warming up") as status:
        seeds = iter(range(1, 1_000_000))
        _warm_up(servers, seeds, max(sizes), min(seconds, 3))
        goals, rates = _throughput(servers, seeds, seconds, rounds, status.update)
        goals += _latency(servers, seeds, seconds, rates, status.update)
        status.update("carts by size")
        goals += _by_size(servers, seeds, sizes, seconds)
        return goals


def _warm_up(servers: Servers, seeds: Iterator[int], lines: int, seconds: float) -> None:
    """A store's products are on the shelf after its first carts, as on any day but the first."""
    large = requests_made.carts(servers.connector, lines, next(seeds), 100)
    _check(servers, as_fast_as_it_goes(servers.connector, large, connections=4, seconds=30), "purchases")
    for kind in ("bare", "purchases", "gate"):
        _flat_out(servers, kind, next(seeds), seconds)


def _throughput(
    servers: Servers, seeds: Iterator[int], seconds: float, rounds: int, say: Callable[[str], None]
) -> tuple[list[Goal], dict[str, float]]:
    found: dict[str, list[float]] = {"bare": [], "purchases": [], "gate": []}
    for number in range(rounds):
        for kind, rates in found.items():
            say(f"throughput, round {number + 1} of {rounds}: {kind}")
            rates.append(_flat_out(servers, kind, next(seeds), seconds).rate)
    rates = {kind: median(several) for kind, several in found.items()}
    purchases, gate = rates["purchases"] / rates["bare"], rates["gate"] / rates["bare"]
    goals = [
        Goal("purchases of 8 lines, requests a second ÷ reference", purchases, 0.6, True, "×", 0.8),
        Goal("gate calls, requests a second ÷ reference", gate, 0.7, True, "×", 0.9),
    ]
    return goals, rates


def _latency(
    servers: Servers, seeds: Iterator[int], seconds: float, rates: dict[str, float], say: Callable[[str], None]
) -> list[Goal]:
    goals: list[Goal] = []
    bare = _at_half(servers, seeds, seconds, rates, "bare", say)
    goals.append(Goal("reference at half its rate, p99", bare.percentile(0.99) * 1000, None, False, "ms"))
    for kind, limit in (("purchases", 0.05), ("gate", 0.025)):
        result = _at_half(servers, seeds, seconds, rates, kind, say)
        goals += [
            Goal(f"{kind} at half that rate, p99", result.percentile(0.99) * 1000, limit * 1000, False, "ms"),
            Goal(f"{kind} at half that rate, slowest", result.slowest * 1000, 1000, False, "ms"),
        ]
        say(f"one id again and again: {kind}")
        hot = requests_made.one_cart(servers.connector, 8, next(seeds)) if kind == "purchases" else (
            requests_made.one_gate_event(servers.connector, next(seeds))
        )  # fmt: skip
        result = as_fast_as_it_goes(servers.connector, hot, connections=HOT, seconds=seconds)
        _check(servers, result, kind)
        goals.append(Goal(f"{kind}, one id by {HOT} connections, slowest", result.slowest * 1000, 1000, False, "ms"))
    return goals


def _at_half(
    servers: Servers,
    seeds: Iterator[int],
    seconds: float,
    rates: dict[str, float],
    kind: str,
    say: Callable[[str], None],
) -> Result:
    say(f"latency at half the rate: {kind}")
    result = at_rate(
        _port(servers, kind),
        _requests(servers, kind, next(seeds), int(rates[kind] * seconds) + 1),
        rate=rates[kind] / 2,
        connections=CONNECTIONS,
        seconds=seconds,
    )
    _check(servers, result, kind)
    return result


def _by_size(servers: Servers, seeds: Iterator[int], sizes: tuple[int, ...], seconds: float) -> list[Goal]:
    """Time per line, against that of the size before: no worse than linear is a ratio of at most 1."""
    goals: list[Goal] = []
    before: tuple[int, float] | None = None
    for lines in sizes:
        requests = requests_made.carts(servers.connector, lines, next(seeds), max(20, 2_000 // lines))
        result = as_fast_as_it_goes(servers.connector, requests, connections=1, seconds=seconds)
        _check(servers, result, "purchases")
        each = median(result.seconds)
        if before is not None:
            name = f"a cart of {lines} lines ÷ one of {before[0]}, over {lines // before[0]}"
            goals.append(Goal(name, each / before[1] / (lines / before[0]), 1.0, False, "×"))
        before = (lines, each)
    return goals


def _flat_out(servers: Servers, kind: str, seed: int, seconds: float) -> Result:
    number = int(requests_made.MADE * seconds / 2)
    result = as_fast_as_it_goes(
        _port(servers, kind), _requests(servers, kind, seed, number), connections=CONNECTIONS, seconds=seconds
    )
    _check(servers, result, kind)
    return result


def _port(servers: Servers, kind: str) -> int:
    return servers.bare if kind == "bare" else servers.connector


def _requests(servers: Servers, kind: str, seed: int, number: int) -> Iterator[bytes]:
    if kind == "bare":
        return requests_made.bare(servers.bare, BODY, seed, number)
    if kind == "gate":
        return requests_made.gate_events(servers.connector, seed, number)
    return requests_made.carts(servers.connector, 8, seed, number)


def _check(servers: Servers, result: Result, kind: str) -> None:
    wanted = 200 if kind == "gate" else 201
    if set(result.statuses) != {wanted}:
        said = [line for line in servers.log.read_text().splitlines() if '"level": "error"' in line][-1:]
        raise RuntimeError(f"{kind}: answered {dict(result.statuses)}, and all should be {wanted}: {said}")


def main(seconds: float = 6, rounds: int = 3) -> None:
    """Measures and prints; `seconds` per round."""
    console = Console()
    goals = measure(seconds=seconds, rounds=rounds, console=console)
    reference = (
        "a Flask handler with one committed INSERT … ON CONFLICT … RETURNING, on the same server, pool and database, "
        "in this run"
    )
    sys.exit(show(console, "connector", goals, reference))


if __name__ == "__main__":
    typer.run(main)
