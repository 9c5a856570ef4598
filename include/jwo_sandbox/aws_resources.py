"""What must exist in AWS: Amazon's bucket, key, topics and bus, and the queues and bucket on the retailer's side.

Making them again changes nothing. In a real account the first half is Amazon's and the second is the retailer's
infrastructure code; here both live in the stand-in.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from jwo_sandbox.aws_clients import client

ACCOUNT = "123456789012"
REPORTS_BUCKET = "jwo-reports-amazon"
SENDER = "receipts@backroom.test"
"""An address that SES takes for verified."""
REPORTS_KEY_ALIAS = "alias/jwo-reports"
REPORTS_TOPIC = "jwo-reports"
CATALOG_TOPIC = "jwo-catalog"
EVENT_BUS = "jwo-events"
EVENT_RULE = "to-backroom"
EVENT_SOURCE = "amazon.justwalkout"
DELIVERED_TWICE = "arn:aws:justwalkout:::delivered-twice"
"""An event that names this resource matches two rules, and so reaches the queue twice under one id."""
BELL = "-bell"
"""A feed's second queue, by its name: each message only starts a run."""
REPORT_PREFIX = "catalog-reports/"
"""Where catalog reports lie in Amazon's bucket."""


def topic_arn(name: str, region: str) -> str:
    """ARN of one of Amazon's topics."""
    return f"arn:aws:sns:{region}:{ACCOUNT}:{name}"


def create_resources(endpoint_url: str, region: str = "us-east-1") -> dict[str, str]:
    """Make what is missing; returns names with their ARNs or URLs."""
    names = {
        "feeds": os.environ.get("BACKROOM_FEEDS_BUCKET", "backroom-feeds"),
        "intraday": os.environ.get("BACKROOM_INTRADAY_QUEUE", "backroom-intraday"),
        "events": os.environ.get("BACKROOM_EVENTS_QUEUE", "backroom-events"),
        "catalog": os.environ.get("BACKROOM_CATALOG_QUEUE", "backroom-catalog"),
    }
    receives = os.environ.get("BACKROOM_INTRADAY_MAX_RECEIVES", "5")
    made = {REPORTS_KEY_ALIAS: _key(endpoint_url, region)}
    for bucket in (REPORTS_BUCKET, names["feeds"]):
        made[bucket] = _bucket(endpoint_url, region, bucket)
    sns = client("sns", endpoint_url, region)
    for topic, queue in ((REPORTS_TOPIC, names["intraday"]), (CATALOG_TOPIC, names["catalog"])):
        made[topic] = sns.create_topic(Name=topic)["TopicArn"]
        made[queue] = _queue(endpoint_url, region, queue, receives, sender=made[topic], service="sns.amazonaws.com")
        sns.subscribe(TopicArn=made[topic], Protocol="sqs", Endpoint=made[queue])
    bell = f"{names['intraday']}{BELL}"
    made[bell] = _bell(endpoint_url, region, bell, sender=made[REPORTS_TOPIC], service="sns.amazonaws.com")
    sns.subscribe(TopicArn=made[REPORTS_TOPIC], Protocol="sqs", Endpoint=made[bell])
    made[EVENT_BUS] = _bus(endpoint_url, region)
    rule = f"arn:aws:events:{region}:{ACCOUNT}:rule/{EVENT_BUS}/{EVENT_RULE}*"
    made[names["events"]] = _queue(
        endpoint_url, region, names["events"], receives, sender=rule, service="events.amazonaws.com"
    )
    bell = f"{names['events']}{BELL}"
    made[bell] = _bell(endpoint_url, region, bell, sender=rule, service="events.amazonaws.com")
    _route(endpoint_url, region, made[names["events"]], made[bell])
    client("ses", endpoint_url, region).verify_email_identity(EmailAddress=SENDER)
    return made


def wait_for(endpoint_url: str, region: str, seconds: float = 30.0) -> None:
    """Return once the stand-in answers; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            client("sqs", endpoint_url, region).list_queues(MaxResults=1)
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no AWS stand-in answers at {endpoint_url}: {error}") from error
            time.sleep(0.2)


def _key(endpoint_url: str, region: str) -> str:
    kms = client("kms", endpoint_url, region)
    aliases = {alias["AliasName"]: alias for alias in kms.list_aliases()["Aliases"]}
    if REPORTS_KEY_ALIAS in aliases:
        return str(aliases[REPORTS_KEY_ALIAS]["TargetKeyId"])
    key_id = str(kms.create_key(Description="intra-day order files")["KeyMetadata"]["KeyId"])
    kms.create_alias(AliasName=REPORTS_KEY_ALIAS, TargetKeyId=key_id)
    return key_id


def _bucket(endpoint_url: str, region: str, name: str) -> str:
    s3 = client("s3", endpoint_url, region)
    place: dict[str, Any] = (
        {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=name, **place)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return f"arn:aws:s3:::{name}"


def _queue(endpoint_url: str, region: str, name: str, receives: str, *, sender: str, service: str) -> str:
    """A queue with its dead-letter queue; only `sender` may send. Returns its ARN."""
    sqs = client("sqs", endpoint_url, region)
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = {
        "VisibilityTimeout": "60",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": receives}),
    }
    return _open_to(sqs, url, attributes, sender=sender, service=service)


def _bell(endpoint_url: str, region: str, name: str, *, sender: str, service: str) -> str:
    """A queue whose messages are of no use a few minutes later. Returns its ARN."""
    sqs = client("sqs", endpoint_url, region)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return _open_to(sqs, url, {"MessageRetentionPeriod": "300"}, sender=sender, service=service)


def _open_to(sqs: Any, url: str, attributes: dict[str, str], *, sender: str, service: str) -> str:
    arn = str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnLike": {"aws:SourceArn": sender}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={**attributes, "Policy": json.dumps(policy)})
    return arn


def _bus(endpoint_url: str, region: str) -> str:
    events = client("events", endpoint_url, region)
    with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name=EVENT_BUS)
    return str(events.describe_event_bus(Name=EVENT_BUS)["Arn"])


def _route(endpoint_url: str, region: str, queue_arn: str, bell_arn: str) -> None:
    events = client("events", endpoint_url, region)
    patterns = {
        EVENT_RULE: {"source": [EVENT_SOURCE]},
        f"{EVENT_RULE}-again": {"source": [EVENT_SOURCE], "resources": [DELIVERED_TWICE]},
    }
    for rule, pattern in patterns.items():
        events.put_rule(Name=rule, EventBusName=EVENT_BUS, EventPattern=json.dumps(pattern), State="ENABLED")
        events.put_targets(Rule=rule, EventBusName=EVENT_BUS, Targets=[{"Id": "queue", "Arn": queue_arn}])
    events.put_targets(Rule=EVENT_RULE, EventBusName=EVENT_BUS, Targets=[{"Id": "bell", "Arn": bell_arn}])
