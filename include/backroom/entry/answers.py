"""The bodies that the inbound calls are answered with, for the OpenAPI document. Source: inbound.md, 1 to 4 and 6."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backroom.entry.wire import BlankableIdentifier, Currency, Identifier, Number, WireModel


class Visitor(WireModel):
    """Who came in; the id comes back as `scanResult.id` in the cart."""

    id: Identifier
    type: Literal["SHOPPER", "ASSOCIATE", "CASH_SHOPPER"]


class VisitorAnswer(WireModel):
    """The gate opens; or: this is the shopper."""

    visitor_details: Visitor


class ScanResult(WireModel):
    """Whose scan it is."""

    id: Identifier
    type: Literal["SHOPPER", "ASSOCIATE", "CASH", "LOYALTY"]


class ScanAnswer(WireModel):
    """A scan is taken, with its result, or rejected, without one."""

    action: Literal["ACCEPT", "REJECT"]
    scan_result: Annotated[ScanResult | None, Field(json_schema_extra={"description": "with ACCEPT only"})] = None


class ScanDetailsAnswer(WireModel):
    """What a scan result brings."""

    provider: Identifier
    promotion_ids: list[Identifier]


class AnswerMoney(WireModel):
    """An amount, as a JSON number."""

    value: Number
    currency_code: Currency


class AnswerCondition(WireModel):
    """ADJUST: authorize this amount instead."""

    type: Identifier
    amount: AnswerMoney | None = None


class ShopperAuthorizationAnswer(WireModel):
    """A denial is a 200 with `shopperAuthorized` false."""

    shopper_authorized: bool
    authorization_conditions: list[AnswerCondition]
    shopper_risks: list[Identifier]


class PurchaseAnswer(WireModel):
    """The purchase's id; empty for an empty cart."""

    purchase_id: BlankableIdentifier


class ErrorAnswer(WireModel):
    """What is wrong, as `<field>: <what>`; it never quotes a value."""

    error_msg: Annotated[str, Field(min_length=1)]
