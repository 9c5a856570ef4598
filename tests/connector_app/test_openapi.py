"""The served OpenAPI document is true: schemathesis calls the connector by it, right and wrong, and finds no fault."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from pydantic import SecretStr
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.generation import GenerationMode
from sqlalchemy import Engine

from backroom.entry.wire import INSTANT_PATTERN
from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.amazon.openapi import OPERATIONS
from tests.connector_app.conftest import KEY_ID, SECRET, Amazon, signed_headers
from tests.connector_app.test_every_call import good
from tests.connector_app.test_shopper_authorization import PATH as AUTHORIZATION
from tests.connector_app.test_shopper_authorization import recommending
from tests.shoppers.accounts import add_account

AS_AMAZON = "as Amazon"


class Signing:
    """In front of the connector: signs what comes with `Authorization: as Amazon`, as Amazon's client would."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_AUTHORIZATION") == AS_AMAZON:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
            signed = signed_headers(
                environ["REQUEST_METHOD"], url, body, headers={"Content-Type": environ.get("CONTENT_TYPE", "")}
            )
            environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed.items()}
        return self.app(environ, start_response)


@pytest.fixture(scope="module")
def document(retailer: Engine) -> Any:
    """The connector as it is served, every call signed, by its own document."""
    config = Settings(
        connector_auth="sigv4",
        connector_access_key_id=KEY_ID,
        connector_secret_access_key=SecretStr(SECRET),
        log_level="WARNING",
    )
    generation = GenerationConfig(allow_x00=False, with_security_parameters=False)  # NUL: the document says it in words
    return schemathesis.openapi.from_wsgi(
        "/openapi.json",
        Signing(create_app(config, lambda: datetime.now(UTC))),
        config=SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)), seed=1),
    )


def fit_what_no_schema_says(body: Any) -> None:
    """A store that exists; a trip's end after its start; each line id once."""
    if not isinstance(body, dict):
        return
    if isinstance(body.get("storeId"), str) and 1 <= len(body["storeId"]) <= 255:
        body["storeId"] = "STORE-001"
    trip = body.get("shoppingTrip")
    if isinstance(trip, dict) and all(is_instant(trip.get(name)) for name in ("startTime", "endTime")):
        trip["endTime"] = trip["startTime"]
    if isinstance(body.get("cartItems"), list):
        for number, item in enumerate(body["cartItems"]):
            if isinstance(item, dict) and isinstance(item.get("lineItemId"), str) and len(item["lineItemId"]) <= 250:
                item["lineItemId"] = str(number)


def is_instant(value: Any) -> bool:
    return isinstance(value, str) and re.search(INSTANT_PATTERN, value) is not None


@pytest.mark.parametrize("path", [operation.path for operation in OPERATIONS])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_connector_answers_as_its_document_says(document: Any, path: str, mode: GenerationMode) -> None:
    @given(document[path]["POST"].as_strategy(generation_mode=mode))
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def calls(case: Any) -> None:
        fit_what_no_schema_says(case.body)
        case.call_and_validate(headers={"Authorization": AS_AMAZON})

    calls()


@pytest.mark.parametrize("path", [operation.path for operation in OPERATIONS])
def test_the_answer_to_a_good_call_is_the_documents(document: Any, retailer: Engine, path: str) -> None:
    """What random keys never reach: a visitor, an accepted scan, the details of an account, a reduced amount."""
    with retailer.begin() as connection:
        add_account(connection, "card", "a card", "Points", "ana", ["P"])
    body = good(path)
    if path == AUTHORIZATION:
        body = recommending(
            body, True, "InvalidCard", conditions=[{"type": "ADJUST", "amount": body["authorizedAmount"]}]
        )
    case = document[path]["POST"].Case(body=body, media_type="application/json")
    assert case.call_and_validate(headers={"Authorization": AS_AMAZON}).status_code in (200, 201)


def test_the_document_is_openapi_3_1_with_every_call(amazon: Amazon) -> None:
    document = amazon.client.get("/openapi.json").get_json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    served = {rule.rule for rule in amazon.client.application.url_map.iter_rules() if rule.rule.startswith("/v1/")}
    assert set(document["paths"]) == served
