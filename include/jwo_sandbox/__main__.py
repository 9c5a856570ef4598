"""`python -m jwo_sandbox serve | aws | aws-resources | world`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import date
from pathlib import Path

from jwo_sandbox.configuration import ConfigurationError, from_environment


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on standard error and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m jwo_sandbox", description="Amazon's side of Just Walk Out")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="Amazon's payment and catalog APIs, and the control API")
    commands.add_parser("aws", help="the AWS stand-in (moto)")
    commands.add_parser("aws-resources", help="make buckets, topics, queues, key and event bus in the stand-in")
    world = commands.add_parser("world", help="a day of two stores from real baskets, with the retailer's files")
    world.add_argument("--out", type=Path, required=True, help="folder to write")
    world.add_argument("--date", type=date.fromisoformat, required=True, help="business date, YYYY-MM-DD")
    world.add_argument("--trips", type=int, default=1200, help="trips of the day (default 1200)")
    world.add_argument("--seed", type=int, default=7, help="the same seed makes the same bytes (default 7)")
    world.add_argument("--catalog", type=int, default=5000, help="products per store, at least those sold")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        run(asked)
    except (ConfigurationError, TimeoutError, ValueError, OSError) as error:
        sys.stderr.write(f"jwo_sandbox: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run(asked: argparse.Namespace) -> None:
    """The command that was asked for; each loads only what it needs."""
    configuration = from_environment()
    if asked.command == "aws":
        from jwo_sandbox import aws_stand_in

        aws_stand_in.serve(configuration.aws_port)
    elif asked.command == "aws-resources":
        from jwo_sandbox import aws_resources

        aws_resources.wait_for(configuration.aws_endpoint_url, configuration.region)
        for name, where in aws_resources.create_resources(configuration.aws_endpoint_url, configuration.region).items():
            sys.stdout.write(f"{name}\t{where}\n")
    elif asked.command == "serve":
        from jwo_sandbox import server

        server.serve(configuration)
    elif asked.command == "world":
        from jwo_sandbox.world.build import build
        from jwo_sandbox.world.trips import SHARES

        if asked.trips < len(SHARES):
            raise ConfigurationError(f"--trips: at least {len(SHARES)} (one of each special kind)")
        counts = build(asked.out, asked.date, asked.trips, asked.seed, asked.catalog)
        sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    sys.exit(main())
