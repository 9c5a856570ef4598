"""What `backroom shoppers` registers is what the gate knows."""

from __future__ import annotations

from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.shoppers.commands import app
from tests.connector_app.conftest import NOW
from tests.connector_app.portal.gate import at_gate


def run(*arguments: str) -> None:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output


def test_a_registered_key_opens_every_gate_again_and_again_until_its_shopper_is_flagged(retailer: Engine) -> None:
    run("register", "--id", "badge-1", "--type", "ASSOCIATE", "--key", "badge of kim", "--key", "spare")
    for key in ("badge of kim", "spare", "badge of kim"):
        assert [at_gate(retailer, key, NOW, store) for store in ("STORE-001", "STORE-002")] == [200, 200]
    run("flag", "--id", "badge-1", "--reason", "lost")
    assert at_gate(retailer, "badge of kim", NOW) == 401
    run("unflag", "--id", "badge-1", "--reason", "found")
    assert at_gate(retailer, "badge of kim", NOW) == 200


def test_a_key_that_is_good_at_one_store_opens_no_other_gate(retailer: Engine) -> None:
    run("register", "--id", "local", "--type", "SHOPPER", "--key", "local-key", "--store", "STORE-002")
    assert at_gate(retailer, "local-key", NOW, "STORE-002") == 200
    assert at_gate(retailer, "local-key", NOW, "STORE-001") == 401
    run("register", "--id", "local", "--type", "SHOPPER", "--key", "local-key")
    assert at_gate(retailer, "local-key", NOW, "STORE-001") == 200
