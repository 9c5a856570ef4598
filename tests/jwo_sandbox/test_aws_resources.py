"""What must exist in AWS does, each tried against the stand-in."""

from __future__ import annotations

import json
from typing import Any

import boto3

from jwo_sandbox.aws_resources import EVENT_BUS, EVENT_SOURCE, create_resources


def client(service: str, endpoint: str) -> Any:
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1")


def test_making_them_again_changes_nothing(aws_endpoint: str) -> None:
    first, second = create_resources(aws_endpoint), create_resources(aws_endpoint)
    assert first == second
    topics = client("sns", aws_endpoint)
    assert len(topics.list_subscriptions()["Subscriptions"]) == 3  # the reports' bell too


def test_queues_have_dead_letter_queues_and_let_only_amazon_send(aws_endpoint: str) -> None:
    sqs = client("sqs", aws_endpoint)
    for name, sender in (
        ("backroom-intraday", ":jwo-reports"),
        ("backroom-catalog", ":jwo-catalog"),
        ("backroom-events", "rule/jwo-events/"),
    ):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{name}-dead")
        assert sender in json.dumps(json.loads(found["Policy"])["Statement"][0]["Condition"])


def test_a_message_received_too_often_becomes_a_dead_letter(aws_endpoint: str) -> None:
    sqs = client("sqs", aws_endpoint)
    url = sqs.get_queue_url(QueueName="backroom-catalog")["QueueUrl"]
    client("sns", aws_endpoint).publish(TopicArn="arn:aws:sns:us-east-1:123456789012:jwo-catalog", Message="{}")
    for _ in range(6):
        for message in sqs.receive_message(QueueUrl=url).get("Messages", []):
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    dead = sqs.get_queue_url(QueueName="backroom-catalog-dead")["QueueUrl"]
    assert len(sqs.receive_message(QueueUrl=dead)["Messages"]) == 1


def test_an_event_reaches_the_queue_in_its_envelope(aws_endpoint: str) -> None:
    entry = {"Source": EVENT_SOURCE, "DetailType": "SHOPPER", "EventBusName": EVENT_BUS, "Detail": '{"a": 15.9}'}
    sent = client("events", aws_endpoint).put_events(Entries=[entry])["Entries"][0]
    sqs = client("sqs", aws_endpoint)
    url = sqs.get_queue_url(QueueName="backroom-events")["QueueUrl"]
    envelope = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    bell = sqs.get_queue_url(QueueName="backroom-events-bell")["QueueUrl"]
    assert len(sqs.receive_message(QueueUrl=bell)["Messages"]) == 1
    assert (envelope["id"], envelope["detail-type"], envelope["detail"]) == (sent["EventId"], "SHOPPER", {"a": 15.9})


def test_objects_are_encrypted_with_the_reports_key(aws_endpoint: str) -> None:
    s3 = client("s3", aws_endpoint)
    where = {"Bucket": "jwo-reports-amazon", "Key": "a b.csv"}
    s3.put_object(**where, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/jwo-reports")
    assert s3.get_object(**where)["ServerSideEncryption"] == "aws:kms"
    assert s3.head_bucket(Bucket="backroom-feeds")["ResponseMetadata"]["HTTPStatusCode"] == 200
