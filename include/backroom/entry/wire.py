"""The types of the fields that Amazon sends: strict, with unknown attributes let through.

Source: inbound.md, tables 1 and 5. An optional attribute may be absent or null. Whatever is accepted here is kept
whole in the stored raw body. Each type's JSON schema says what it takes, so that the OpenAPI document is true.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)"  # at least one group
BASE64_PATTERN = f"^{_BASE64}$"
PADDED_BASE64_PATTERN = f"^[ \\t\\r\\n]*{_BASE64}[ \\t\\r\\n]*$"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# The same with the calendar in it: months of 31, 30 and 28 days, leap years, the years 2000 to 2999
_DAY = (
    "2[0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))|2(?:[0-9](?:0[48]|[2468][048]|[13579][26])|[048]00)-02-29"
)
_HOUR = "(?:[01][0-9]|2[0-3])"
INSTANT_PATTERN = (
    f"^(?:{_DAY})T{_HOUR}:[0-5][0-9]:[0-5][0-9](?:[.][0-9]{{1,9}})?(?:Z|[+-]{_HOUR}:[0-5][0-9])$"
)  # fmt: skip
LARGEST_AMOUNT = Decimal("9999999999.9999")


class WireModel(BaseModel):
    """An object of Amazon's, in camelCase on the wire."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, alias_generator=to_camel)


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong, as `<field>: <what>`; never the value itself."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ""
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    message = "required" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    named, _, rest = message.partition(": ")
    if rest and re.fullmatch(r"[a-z][A-Za-z]*", named):  # a rule over several fields names the one that is wrong
        return f"{field}.{message}" if field else message
    return f"{field or 'body'}: {message}"


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("not an ISO 8601 instant such as 2024-02-09T17:53:57Z")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("no such day or time") from error
    if not 2000 <= moment.year <= 2999:  # beyond it neither zones nor the token's life can be reckoned
        raise ValueError("not in the years 2000 to 2999")
    return moment.astimezone(UTC)


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a JSON number")
    number = Decimal(value)
    if not 0 <= number <= LARGEST_AMOUNT:
        raise ValueError(f"not from 0 to {LARGEST_AMOUNT}")
    return number


Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255)]
BlankableIdentifier = Annotated[str, StringConstraints(max_length=255)]
Key = Annotated[
    str,
    StringConstraints(max_length=1000, pattern=BASE64_PATTERN),
    Field(json_schema_extra={"contentEncoding": "base64"}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "pattern": INSTANT_PATTERN, "description": "ISO 8601 with its zone"}),
]
# A JSON number, exactly: an int or a Decimal, which is what the body's parser makes; a float never comes this far.
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(LARGEST_AMOUNT)}),
]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


def one_of(setting: str) -> tuple[AfterValidator, Any]:
    """Restricts a field to the values that the validation context names under `setting`.

    In the JSON schema the list stands as `x-values-of`, for whoever knows the settings to write it out.
    """

    def check(value: str, info: Any) -> str:
        allowed = (info.context or {}).get(setting, ())
        if value not in allowed:
            raise ValueError(f"not one of {', '.join(allowed)}")
        return value

    return AfterValidator(check), Field(json_schema_extra={"x-values-of": setting})


_LOCATIONS, _LOCATIONS_SCHEMA = one_of("locations")
_KEY_CHANNELS, _KEY_CHANNELS_SCHEMA = one_of("key_channels")
Location = Annotated[str, _LOCATIONS, _LOCATIONS_SCHEMA]
KeyChannel = Annotated[str, _KEY_CHANNELS, _KEY_CHANNELS_SCHEMA]
