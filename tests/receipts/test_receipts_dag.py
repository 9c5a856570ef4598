"""The DAG receipts, run by Airflow itself: the card's data, the address, one e-mail, what came back."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3

from tests.amazon.scripted_amazon import Call, Reply
from tests.connector_app.portal.shopping import NOW
from tests.receipts.conftest import Desk

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

EMV = {
    "brand": "VISA", "posEntryMode": "EMV_9F39_07", "currency": "USD", "tail": "4242",
    "applicationId": "A0000000031010",
    "expirationDate": {"expirationYear": "2029", "expirationMonth": "04"}, "cardStatementTransactionId": "AB12CD",
}  # fmt: skip


def answers(call: Call) -> Reply:
    if call.path == "/v1/identity/shopper":
        known = call.body["shopperId"]["id"] == "amzn1.kiosk.dee"
        return Reply(body={"shopperEmail": "Dee@Shopper.test"} if known else {})
    return Reply(body=EMV)


def test_a_receipt_goes_once_when_the_capture_is_final_and_a_bounce_is_shown(desk: Desk, dag_bag: DagBag) -> None:
    desk.amazon.script = answers
    anas, dees = desk.just_captured(), desk.just_captured(shopper=None, card="amzn1.kiosk.dee")
    unknown, anonymous = desk.just_captured(shopper=None, card="amzn1.kiosk.nobody"), desk.just_captured(shopper=None)
    unpaid = desk.just_captured(paid=False)
    dag = dag_bag.dags["receipts"]
    assert dag.test(logical_date=NOW).state == "success"
    assert desk.mails(anas) == desk.mails(dees) == [("FIRST", "SENT")]
    assert desk.mails(unknown) == desk.mails(anonymous) == [("FIRST", "NO_ADDRESS")]
    assert desk.mails(unpaid) == []
    cards = desk.world.rows("select * from trip_card where card_statement_transaction_id = 'AB12CD'")
    assert {card["shopping_trip_id"] for card in cards} == {anas, dees, unknown, anonymous, unpaid}
    asked = [call.body["shopperId"]["id"] for call in desk.amazon.calls if call.path == "/v1/identity/shopper"]
    assert sorted(asked) == ["amzn1.kiosk.dee", "amzn1.kiosk.nobody"]
    kept = desk.world.rows("select * from shopper_contact where holder_id = 'amzn1.kiosk.dee'")[0]
    assert desk.world.seal.open(kept["address_sealed"]) == "dee@shopper.test"
    assert "dee" not in kept["address_sealed"] + kept["address_index"]

    message = desk.world.rows("select message_id from receipt_mail where shopping_trip_id = :t", t=anas)[0]
    notice = {
        "notificationType": "Bounce", "bounce": {"bounceType": "Permanent"},
        "mail": {"messageId": message["message_id"]},
    }  # fmt: skip
    sqs = boto3.client("sqs", endpoint_url=os.environ["BACKROOM_AWS_ENDPOINT_URL"])
    for body in ({"Type": "Notification", "Message": json.dumps(notice)}, notice):
        sqs.send_message(QueueUrl=desk.queue, MessageBody=json.dumps(body))
    calls = len(desk.amazon.calls)
    assert dag.test(logical_date=NOW + timedelta(minutes=5)).state == "success"
    assert desk.mails(anas) == [("FIRST", "BOUNCED")]
    assert desk.mails(dees) == [("FIRST", "SENT")]
    assert len(desk.amazon.calls) == calls
    assert desk.world.rows("select * from alert where deduplication_key = 'receipt-bounced'")
