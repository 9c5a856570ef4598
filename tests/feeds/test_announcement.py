"""What a message announces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.feeds import events
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
    [
        "",
        "no",
        "[]",
        "{}",
        '{"Type": "Notification", "Message": "no"}',
        message().replace("eventTime", "time"),
        '{"Records": ["x"]}',
        "[" * 100_000,
        message(key=5),
        message(key="a%00b"),
        message(key="k" * 1025),
        message(versionId="\ud800"),
        message().replace("2026-03-01T15:20:00.000Z", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_is_no_announcement_is_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        parse(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORD = st.fixed_dictionaries(
    {"eventName": st.just("ObjectCreated:Put"), "eventTime": st.just("2026-03-01T15:20:00Z") | JSON},
    optional={
        "s3": JSON
        | st.fixed_dictionaries(
            {"bucket": JSON | st.fixed_dictionaries({"name": JSON})},
            optional={"object": JSON | st.fixed_dictionaries({"key": JSON, "sequencer": JSON, "eTag": JSON})},
        )
    },
)
ENVELOPE = st.fixed_dictionaries({"id": JSON, "detail-type": JSON, "time": JSON, "detail": JSON})


@given(JSON | st.fixed_dictionaries({"Records": st.lists(RECORD | JSON, max_size=2)}))
def test_any_json_is_an_announcement_or_malformed(value: Any) -> None:
    try:
        found = parse(json.dumps(value))
    except Malformed:
        return
    assert all("\0" not in one.bucket + one.key + one.version for one in found)


@given(JSON | ENVELOPE)
def test_any_json_is_an_event_or_malformed(value: Any) -> None:
    try:
        assert events.parse(json.dumps(value)).event_id
    except events.Malformed:
        return


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
