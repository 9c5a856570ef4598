"""The types of the fields that Amazon sends: strict, with unknown attributes let through.

Source: inbound.md, tables 1 and 5. An optional attribute may be absent or null. Whatever is accepted here is kept
whole in the stored raw body.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


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
    return f"{field or 'body'}: {message}"


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise ValueError("not a UUID")
    return value


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


Uuid = Annotated[str, AfterValidator(_uuid)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255)]
BlankableIdentifier = Annotated[str, StringConstraints(max_length=255)]
Instant = Annotated[datetime, BeforeValidator(_instant)]


def one_of(setting: str) -> AfterValidator:
    """Restricts a field to the values that the validation context names under `setting`."""

    def check(value: str, info: Any) -> str:
        allowed = (info.context or {}).get(setting, ())
        if value not in allowed:
            raise ValueError(f"not one of {', '.join(allowed)}")
        return value

    return AfterValidator(check)


Location = Annotated[str, one_of("locations")]
KeyChannel = Annotated[str, one_of("key_channels")]
