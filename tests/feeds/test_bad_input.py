"""Each kind of bad input has one defined outcome (the table in docs/feeds.md); a good file beside it comes in."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import Engine

from backroom.feeds import dead_letters
from backroom.feeds.aws import Aws
from backroom.feeds.intraday import collect
from tests.feeds.conftest import AMAZON, NOW, STORE, Amazon, as_csv, order
from tests.feeds.test_intraday import ask, take_in

GOOD = as_csv(order())
LONG = as_csv([row for number in range(50) for row in order(f"o-{number}")])
Files = list[tuple[bytes, str]]


def row_with(**changes: str) -> bytes:
    """A good order, and one with such a row."""
    return as_csv(order("o-good") + order("o-bad", ("1.00", "0.00"), **changes))


ROWS = "INGESTED", 1  # the file is in, one row waits in quarantine
FAILED = "FAILED", 0
FINE = "INGESTED", 0
CASES: dict[str, tuple[bytes, tuple[str, int], str]] = {
    "empty": (b"", FAILED, "not even a header"),
    "a header alone": (as_csv([]), FINE, ""),
    "cut off inside a row": (GOOD[:-40], ROWS, "has 19 fields where the header has 24"),
    "cut off inside the last value": (GOOD[:-5], ROWS, "is not an instant"),
    "gzip": (gzip.compress(GOOD), FINE, ""),
    "gzip with quotes inside": (gzip.compress(GOOD.replace(b"SKU-1", b'"SKU-1"')), FINE, ""),
    "gzip cut off": (gzip.compress(LONG)[:-20], FAILED, "it is not whole gzip"),
    "no gzip at all": (b"\x1f\x8bnothing", FAILED, "it is not whole gzip"),
    "byte-order mark": (b"\xef\xbb\xbf" + GOOD, FINE, ""),
    "lines end as on Windows": (GOOD.replace(b"\n", b"\r\n"), FINE, ""),
    "blank lines": (GOOD.replace(b"\n", b"\n\n"), FINE, ""),
    "blanks around values": (GOOD.replace(b",USD,", b", USD ,"), FINE, ""),
    "quoted values": (GOOD.replace(b"SKU-1", b'"SKU-1"'), FINE, ""),
    "columns in another order": (as_csv(order(), header=sorted(order()[0])), FINE, ""),
    "wrong header": (as_csv(order(), header=["orderId", "storeId"]), FAILED, "has no column shoppingTripId"),
    "surplus column": (as_csv(order(), header=[*order()[0], "somethingNew"]), FINE, ""),
    "bad encoding": (GOOD.replace(b"VISA", b"VIS\xff"), FAILED, "it is not UTF-8 text"),
    "not CSV": (GOOD + b'"never closed', FAILED, "it is not CSV"),
    "NUL character": (row_with(cardBrand="VI\0SA"), ROWS, "holds a NUL character"),
    "wrong type": (row_with(priceValue="cheap"), ROWS, "is not a number"),
    "negative amount": (row_with(priceValue="-1.00"), ROWS, "is negative"),
    "unknown store in a row": (row_with(storeId="STORE-777"), ROWS, "is not a store of ours"),
    "a backslash and a dot": (row_with(orderId="\\."), FINE, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_in_a_file_has_a_defined_outcome(clean: Engine, aws: Aws, amazon: Amazon, case: str) -> None:
    content, (state, waiting), reason = CASES[case]
    amazon.write(content, "20260301_1515")
    amazon.write(as_csv(order("beside")), "20260301_1530")
    odd, good = take_in(clean, aws)
    assert (odd.state, odd.rows_quarantined, good.state) == (state, waiting, "INGESTED")
    assert odd.rows_read == odd.rows_applied + odd.rows_stale + odd.rows_quarantined
    said = str(odd.reason) if state == "FAILED" else " ".join(
        str(row[0]) for row in ask(clean, "select reason from feed_quarantine")
    )  # fmt: skip
    assert reason in said
    if state == "INGESTED" and not waiting and odd.rows_read:
        assert odd.rows_applied == odd.rows_read
    assert amazon.waiting(aws.intraday_queue) == 0


def test_line_numbers_are_the_same_in_plain_files_and_in_those_taken_apart(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    plain = row_with(priceValue="cheap")
    amazon.write(plain, "20260301_1515")
    amazon.write(plain.replace(b"SKU-2", b'"SKU-2"'), "20260301_1530")
    take_in(clean, aws)
    kept = ask(clean, "select line, column_name, reason, raw from feed_quarantine order by file_id")
    assert kept[0] == kept[1]
    assert kept[0][:2] == (4, "priceValue")


class Refused:
    """Amazon's bucket while the role may not decrypt: every read of it is an AccessDenied of KMS."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.denied = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def get_object(self, **asked: Any) -> Any:
        """As S3 answers."""
        if self.denied and asked["Bucket"] == AMAZON:
            message = "User is not authorized to perform: kms:Decrypt"
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "GetObject")
        return self._s3.get_object(**asked)


def refusing(aws: Aws) -> tuple[Aws, Refused]:
    """The same, with Amazon's bucket closed to us."""
    s3 = Refused(aws.s3)
    return Aws(s3, aws.sqs, aws.feeds_bucket, aws.intraday_queue, aws.events_queue), s3


def receive_at_once(aws: Aws) -> None:
    """Messages that were received come again without a wait."""
    for queue in (aws.intraday_queue, aws.events_queue):
        aws.sqs.set_queue_attributes(QueueUrl=aws.queue_url(queue), Attributes={"VisibilityTimeout": "0"})


def test_a_file_we_may_not_decrypt_is_tried_again_given_up_and_comes_in_by_a_replay(
    clean: Engine, aws: Aws, amazon: Amazon
) -> None:
    closed, s3 = refusing(aws)
    receive_at_once(aws)
    amazon.write(GOOD)
    assert collect(clean, closed, now=NOW, max_messages=4) == []
    assert ask(clean, "select state from feed_file") == [("ANNOUNCED",)]
    assert collect(clean, closed, now=NOW) == []
    ((state, reason),) = ask(clean, "select state, reason from feed_file")
    assert state == "FAILED"
    assert "kms:Decrypt" in reason
    assert ask(clean, "select severity from alert") == [("critical",)]
    assert amazon.waiting("backroom-intraday-dead") == 1
    assert dead_letters.look(aws, aws.intraday_queue)[0].reason is None
    s3.denied = False
    assert dead_letters.replay(aws, aws.intraday_queue) == 1
    (result,) = take_in(clean, closed)
    assert (result.state, result.rows_applied) == ("INGESTED", 2)


def link_to(aws: Aws, record: dict[str, Any]) -> str:
    """A presigned link to the announced file."""
    entry = record["s3"]["object"]
    asked = {"Bucket": AMAZON, "Key": entry["key"].replace("%2F", "/"), "VersionId": entry["versionId"]}
    return str(aws.s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=3600))


def gone(link: str) -> str:
    """The link as it is once S3 refuses it: moto expires none, but it does not know this file."""
    return link.replace("versionId=", "versionId=expired-")


LINKS: list[tuple[Callable[[str], str], bool, str, str]] = [
    (str, True, "INGESTED", ""),
    (gone, False, "INGESTED", ""),
    (gone, True, "ANNOUNCED", "link has expired, and our own rights do not reach it"),
    (lambda _: "http://169.254.169.254/latest/meta-data", False, "ANNOUNCED", "does not lead to S3"),
]


@pytest.mark.parametrize(("change", "closed", "state", "reason"), LINKS, ids=["good", "renewed", "parked", "elsewhere"])
def test_a_presigned_link_is_used_renewed_or_its_file_is_parked(
    clean: Engine, aws: Aws, amazon: Amazon, change: Callable[[str], str], closed: bool, state: str, reason: str
) -> None:
    record = amazon.write(GOOD, announce=False)
    record["s3"]["object"]["presignedUrl"] = change(link_to(aws, record))
    amazon.announce(record)
    take_in(clean, refusing(aws)[0] if closed else aws)
    ((found, said),) = ask(clean, "select state, reason from feed_file")
    assert found == state
    assert reason in (said or "")
    assert "http" not in (said or "")


def test_fewer_bytes_than_were_announced_are_no_copy(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    record = amazon.write(GOOD[:-100], announce=False)
    record["s3"]["object"]["size"] = len(GOOD)
    amazon.announce(record)
    assert take_in(clean, aws) == []
    ((state, reason),) = ask(clean, "select state, reason from feed_file")
    assert state == "ANNOUNCED"
    assert f"{len(GOOD) - 100} bytes came where {len(GOOD)} were announced" in reason
    assert ask(clean, f"select count(*) from amazon_order where store_id = '{STORE}'") == [(0,)]
