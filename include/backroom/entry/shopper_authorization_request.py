"""The body of `POST /v1/fraudandabuse/shopperauthorization` (inbound.md, 6). Money and quantities are JSON numbers.

Required are the store and the card's token, as the page says; everything else may be absent. What is only a hint to
us (types, the cart) is held to its JSON type and length, not to a list of values.
"""

from __future__ import annotations

from typing import Any

from backroom.entry.authorization_decision import Amount, Condition, Recommendation
from backroom.entry.shopper_authorization import AuthorizationQuestion
from backroom.entry.wire import BlankableIdentifier, Currency, Identifier, Instant, Location, Number, WireModel


class MoneyField(WireModel):
    """An amount of money."""

    value: Number
    currency_code: Currency

    def amount(self) -> Amount:
        """In the decision's terms, to the digit."""
        return Amount(self.value, self.currency_code)


class ShopperIdentityField(WireModel):
    """Amazon's token for the payment instrument."""

    id: Identifier


class GateAuthenticationEventField(WireModel):
    """The card at the gate."""

    id: Identifier | None = None
    type: BlankableIdentifier | None = None
    interaction_type: BlankableIdentifier | None = None
    timestamp: Instant | None = None
    location: Location | None = None
    data: dict[str, Any] | None = None


class ConditionField(WireModel):
    """A condition that Amazon suggests."""

    type: Identifier
    amount: MoneyField | None = None


class RecommendationField(WireModel):
    """What Amazon suggests."""

    shopper_authorized: bool
    authorization_conditions: list[ConditionField] | None = None
    shopper_risks: list[Identifier] | None = None

    def recommendation(self) -> Recommendation:
        """In the decision's terms."""
        return Recommendation(
            authorized=self.shopper_authorized,
            conditions=tuple(
                Condition(condition.type, condition.amount.amount() if condition.amount else None)
                for condition in self.authorization_conditions or ()
            ),
            risks=tuple(self.shopper_risks or ()),
        )


class HintQuantityField(WireModel):
    """How much of an item."""

    value: Number | None = None
    unit: BlankableIdentifier | None = None


class HintIdentifierField(WireModel):
    """Another name of an item."""

    id: BlankableIdentifier | None = None
    external_identifier_type: BlankableIdentifier | None = None


class HintItemField(WireModel):
    """An item that Amazon expects in the cart."""

    id: BlankableIdentifier | None = None
    type: BlankableIdentifier | None = None
    unit_price: MoneyField | None = None
    quantity: HintQuantityField | None = None
    external_identifiers: list[HintIdentifierField] | None = None


class CartHintField(WireModel):
    """What Amazon expects in the cart."""

    total_price: MoneyField | None = None
    items: list[HintItemField] | None = None


class ShopperInteractionField(WireModel):
    """What happens at the gate, and what Amazon makes of it."""

    shopping_trip_id: BlankableIdentifier | None = None
    gate_authentication_event: GateAuthenticationEventField | None = None
    recommendation: RecommendationField | None = None
    cart_hint: CartHintField | None = None


class ShopperAuthorizationRequest(WireModel):
    """May the holder of this card come in, and for how much?"""

    store_id: Identifier
    shopper_identity: ShopperIdentityField
    authorized_amount: MoneyField | None = None
    shopper_interaction: ShopperInteractionField | None = None

    def question(self) -> AuthorizationQuestion:
        """In the terms of `backroom.entry.shopper_authorization`."""
        interaction = self.shopper_interaction or ShopperInteractionField()
        event = interaction.gate_authentication_event
        suggested = interaction.recommendation
        return AuthorizationQuestion(
            store_id=self.store_id,
            shopper_identity=self.shopper_identity.id,
            amount=self.authorized_amount.amount() if self.authorized_amount else None,
            shopping_trip_id=interaction.shopping_trip_id or None,
            event_id=event.id if event else None,
            recommendation=suggested.recommendation() if suggested else None,
        )
