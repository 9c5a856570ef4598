"""What a message announces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backroom.feeds.announcement import Malformed, parse, parse_key


def message(**changes: Any) -> str:
    record = {
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "eventTime": "2026-03-01T15:20:00.000Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "acme/S%201/orders_20260301_1515.csv", "eTag": "abc"}},
    }
    record["s3"]["object"] |= changes  # type: ignore[index]
    return json.dumps({"Type": "Notification", "Message": json.dumps({"Records": [record]})})


def test_a_key_is_url_decoded() -> None:
    assert parse(message())[0].key == "acme/S 1/orders_20260301_1515.csv"


def test_identity_is_the_version_else_the_sequencer_else_etag_and_time() -> None:
    assert parse(message(versionId="v1", sequencer="0A"))[0].version == "v1"
    assert parse(message(sequencer="0A"))[0].version == "0A"
    assert parse(message())[0].version == "abc 2026-03-01T15:20:00+00:00"


def test_sequencers_of_different_length_compare_as_s3_says() -> None:
    short, long = parse(message(sequencer="0055A"))[0], parse(message(sequencer="0055a0f1"))[0]
    assert short.sequencer < long.sequencer


@pytest.mark.parametrize(
    "name", ["ObjectCreated:Put", "s3:ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]
)
def test_every_kind_of_creation_counts(name: str) -> None:
    assert len(parse(message().replace("ObjectCreated:CompleteMultipartUpload", name))) == 1


def test_other_events_and_services_own_messages_announce_nothing() -> None:
    assert parse(message().replace("ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:Delete")) == []
    assert parse('{"Type": "SubscriptionConfirmation", "Token": "x"}') == []
    test_event = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    assert parse(json.dumps({"Type": "Notification", "Message": test_event})) == []


@pytest.mark.parametrize(
    "body",
    ["", "no", "[]", "{}", '{"Type": "Notification", "Message": "no"}', message().replace("eventTime", "time")],
)
def test_what_is_no_announcement_is_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        parse(body)


def test_a_key_names_the_store_and_the_end_of_its_window() -> None:
    name = parse_key("acme/STORE-001/orders_20260301_1515.csv")
    assert name is not None
    assert (name.merchant, name.store_id) == ("acme", "STORE-001")
    assert name.window_end == datetime(2026, 3, 1, 15, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "key", ["orders_20260301_1515.csv", "a/b/c/orders_20260301_1515.csv", "a/b/orders_20260231_1515.csv", "a/b/x.csv"]
)
def test_another_key_names_nothing(key: str) -> None:
    assert parse_key(key) is None
