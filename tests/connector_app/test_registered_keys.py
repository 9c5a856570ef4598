"""What `backroom shoppers` registers is what the gate knows."""

from __future__ import annotations

from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.shoppers.commands import app
from tests.connector_app.conftest import NOW, scan_code
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


def test_a_revoked_key_opens_no_gate_any_more_and_the_shoppers_others_do(retailer: Engine) -> None:
    run("register", "--id", "pat", "--type", "SHOPPER", "--key", "pat-badge", "--key", "pat-spare", "--token", "e" * 21)
    assert [at_gate(retailer, key, NOW) for key in ("pat-badge", "pat-spare")] == [200, 200]
    run("revoke", "--key", "pat-badge", "--reason", "lost")
    assert [at_gate(retailer, key, NOW) for key in ("pat-badge", "pat-spare")] == [401, 200]
    run("revoke", "--key", scan_code("e" * 21), "--reason", "the telephone is gone")
    assert at_gate(retailer, scan_code("e" * 21, age=3), NOW) == 401
    run("revoke", "--id", "pat", "--reason", "all of them")
    assert at_gate(retailer, "pat-spare", NOW) == 401
    with retailer.connect() as connection:
        reasons = connection.execute(text("select reason from gate_decision where shopper_id = 'pat' and status = 401"))
        assert set(reasons.scalars()) == {"KEY_REVOKED"}
