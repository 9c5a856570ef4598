"""`python -m jwo_sandbox serve | aws | aws-resources | world`."""

from __future__ import annotations

import argparse
import logging
import sys

from jwo_sandbox.configuration import ConfigurationError, from_environment


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on standard error and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m jwo_sandbox", description="Amazon's side of Just Walk Out")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="Amazon's payment and catalog APIs, and the control API")
    commands.add_parser("aws", help="the AWS stand-in (moto)")
    commands.add_parser("aws-resources", help="make buckets, topics, queues, key and event bus in the stand-in")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        run(asked)
    except (ConfigurationError, TimeoutError) as error:
        sys.stderr.write(f"jwo_sandbox: {error}\n")
        return 2
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


if __name__ == "__main__":
    sys.exit(main())
