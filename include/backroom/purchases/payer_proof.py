"""Whether somebody whom a cart names as an associate or a cash payer is one: their trips cost no card anything.

Our gate's own answer is proof. Where it has none (it was down, and the store's default let them in), the cart's word is
held against our register of shoppers, which says how each pays. Source: inbound.md, 5 (whose trip it is: ours).
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, Engine

from backroom.db.serving import Statement
from backroom.purchases.cart import Owner

_TYPE = Statement("select type from shopper where shopper_id = %(shopper_id)s")


def known_payer(database: Engine | Connection, owner: Owner) -> Owner | None:
    """The owner as our register has them, where only the cart says that no card pays; None: it has nobody like that."""
    if not owner.claimed or owner.pays_by_card:
        return owner
    known = _TYPE.one(database, {"shopper_id": owner.shopper_id})
    return None if known is None else replace(owner, shopper_type=known.type)
