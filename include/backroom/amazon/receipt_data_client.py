"""What a receipt needs of Amazon (payments.md): the card's EMV data of a trip, and a shopper's address.

Both are questions: a repeat is harmless. A call is one attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import STORE_ID, TRIP_ID, MalformedRequest
from backroom.amazon.transport import Transport, require_deliberate
from backroom.settings import Settings

TRANSACTIONAL_DATA: Final = "/v1/payment/transactional-data"
SHOPPER_IDENTITY: Final = "/v1/identity/shopper"
SHOPPER_ID: Final = re.compile(r"[0-9a-zA-Z_.-]{1,255}")
POS_ENTRY_MODES: Final = frozenset({f"EMV_9F39_{mode}" for mode in ("02", "05", "07", "80", "90")})
LONGEST_ADDRESS: Final = 128


@dataclass(frozen=True)
class TransactionalData:
    """How the trip's card was read. Any of it may be missing; there is no amount in it."""

    brand: str | None = None
    tail: str | None = None  # the card number's last four digits
    pos_entry_mode: str | None = None
    currency: str | None = None
    authorization_response_code: str | None = None
    cryptogram_information_data: str | None = None
    pan_sequence_number: str | None = None
    application_id: str | None = None
    expiration_year: str | None = None
    expiration_month: str | None = None
    cardholder_verification_method_result: str | None = None
    terminal_id: str | None = None
    reconciliation_id: str | None = None
    card_statement_transaction_id: str | None = None


class ReceiptDataClient:
    """Thread-safe; one per process."""

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError for a host beyond tests without the setting that allows it."""
        data = config.amazon_transactional_data_url or config.amazon_payments_url
        identity = config.amazon_shopper_identity_url or config.amazon_payments_url
        for url in (data, identity):
            require_deliberate(url, config)
        self._data = Transport(data, config, successes=(200,))
        self._identity = Transport(identity, config, successes=(200,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        self._identity.close()

    def transactional_data(self, *, store_id: str, shopping_trip_id: str) -> tuple[Answer, TransactionalData | None]:
        """The EMV data of the trip's payment; None unless the answer is SUCCEEDED.

        A value of a wrong type or shape makes the answer UNKNOWN (unintelligible). Raises MalformedRequest for what
        Amazon would refuse.
        """
        _check(STORE_ID, store_id, "a store id")
        _check(TRIP_ID, shopping_trip_id, "a trip id")
        answer = self._data.post(TRANSACTIONAL_DATA, {"storeId": store_id, "shoppingTripId": shopping_trip_id})
        if answer.outcome is not Outcome.SUCCEEDED:
            return answer, None
        try:
            return answer, _read(answer.body)
        except ValueError as error:
            return _unintelligible(answer, f"transactional data: {error}"), None

    def shopper_email(self, *, store_id: str, shopper_id: str) -> tuple[Answer, str | None]:
        """The shopper's e-mail address; None where Amazon knows none (a 200 too), or unless it SUCCEEDED.

        `shopper_id` is the id that was tied to the shopper at the receipt kiosk (a dot is allowed). Raises
        MalformedRequest for what Amazon would refuse, a blank id included.
        """
        _check(STORE_ID, store_id, "a store id")
        _check(SHOPPER_ID, shopper_id, "a shopper id")
        answer = self._identity.post(SHOPPER_IDENTITY, {"storeId": store_id, "shopperId": {"id": shopper_id}})
        if answer.outcome is not Outcome.SUCCEEDED:
            return answer, None
        found = answer.body.get("shopperEmail") if isinstance(answer.body, dict) else None
        if found is not None and (not isinstance(found, str) or len(found) > LONGEST_ADDRESS):
            return _unintelligible(answer, "shopper identity: the address is no text of at most 128 characters"), None
        return answer, found or None


def _check(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise MalformedRequest(f"{value!r} is not {what} that Amazon accepts")


def _unintelligible(answer: Answer, message: str) -> Answer:
    return replace(answer, outcome=Outcome.UNKNOWN, problem=Problem.UNINTELLIGIBLE, message=message)


def _read(body: Any) -> TransactionalData:
    if not isinstance(body, Mapping):
        raise ValueError("it is not an object")
    expires = body.get("expirationDate") or {}
    if not isinstance(expires, Mapping):
        raise ValueError("expirationDate is not an object")
    mode = _text(body, "posEntryMode")
    if mode is not None and mode not in POS_ENTRY_MODES:
        raise ValueError(f"posEntryMode {mode!r} is none that is published")
    tail = _text(body, "tail")
    if tail is not None and not re.fullmatch(r"[0-9]{4}", tail):
        raise ValueError("tail is not four digits")  # it is never shown: it might be a whole card number
    return TransactionalData(
        brand=_text(body, "brand"),
        tail=tail,
        pos_entry_mode=mode,
        currency=_text(body, "currency"),
        authorization_response_code=_text(body, "authorizationResponseCode"),
        cryptogram_information_data=_text(body, "cryptogramInformationData"),
        pan_sequence_number=_text(body, "panSequenceNumber"),
        application_id=_text(body, "applicationId"),
        expiration_year=_text(expires, "expirationYear"),
        expiration_month=_text(expires, "expirationMonth"),
        cardholder_verification_method_result=_text(body, "cardholderVerificationMethodResult"),
        terminal_id=_text(body, "terminalId"),
        reconciliation_id=_text(body, "reconciliationId"),
        card_statement_transaction_id=_text(body, "cardStatementTransactionId"),
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    found = body.get(name)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{name} is not text")
    return found or None
