"""Which of the source's columns is which of ours: read from a JSON file (docs/catalog.md)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from backroom.errors import SourceFileError

REQUIRED = ("item_sku", "external_product_id", "item_name", "store_id")
OPTIONAL = (
    "external_product_id_type",
    "additional_external_product_ids",
    "standard_price",
    "brand_name",
    "product_tax_code",
    "product_category",
    "product_subcategory",
    "color_name",
    "size_name",
    "main_image_url",
    *(f"other_image_url{number}" for number in range(1, 9)),
    "unit",
)


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ValueError("not an encoding such as utf-8 or cp1252") from error
    return name


class SourceMapping(BaseModel):
    """How a source is read. `columns`: our name → the source's; `constants`: our name → the same text for each row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    other_columns: Literal["refuse", "ignore"] = "refuse"
    files: Literal["one_per_store", "any"] = "one_per_store"
    delimiter: str = Field(",", min_length=1, max_length=1)
    last_line: Literal["ended", "open"] = "ended"  # open: a CSV without a line break at its end is whole
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8-sig"
    query: str = ""

    @model_validator(mode="after")
    def _names_are_ours(self) -> Self:
        if strange := sorted({*self.columns, *self.constants} - {*REQUIRED, *OPTIONAL}):
            raise ValueError(f"{', '.join(strange)} is no column of ours; they are {', '.join(REQUIRED + OPTIONAL)}")
        if both := sorted(self.columns.keys() & self.constants.keys()):
            raise ValueError(f"{', '.join(both)} is both a column and a constant")
        return self

    def places(self, where: str, header: Sequence[str], *, sparse: bool = False) -> list[str]:
        """Our name of each column of a header, '' for one that is not read. Raises SourceFileError.

        `where` names the source for the reader of the error. `sparse`: what is empty may be left out, as in JSON.
        """
        theirs = {name: name for name in REQUIRED + OPTIONAL if name not in self.constants} | self.columns
        ours = {column: name for name, column in theirs.items()}
        if missing := [theirs[name] for name in REQUIRED if name in theirs and theirs[name] not in header]:
            needed = ", ".join(theirs[name] for name in REQUIRED if name in theirs)
            raise SourceFileError(f"{where} has no column {', '.join(missing)}; its header must name {needed}")
        if not sparse and (absent := sorted(column for column in self.columns.values() if column not in header)):
            raise SourceFileError(f"{where} has no column {', '.join(absent)}, which the mapping file names")
        unknown = [column for column in header if column not in ours]
        if unknown and self.other_columns == "refuse":
            raise SourceFileError(
                f"{where} has an unknown column {', '.join(map(repr, unknown))}; it may have {', '.join(ours)};"
                ' or let the mapping file say "other_columns": "ignore"'
            )
        if twice := sorted({column for column in header if column in ours and list(header).count(column) > 1}):
            raise SourceFileError(f"{where} has the column {', '.join(twice)} twice; keep one")
        return [ours.get(column, "") for column in header]


def load_mapping(path: str) -> SourceMapping:
    """The mapping file, or none where `path` is empty. Raises SourceFileError that names the file and the entry."""
    if not path:
        return SourceMapping()
    try:
        return SourceMapping.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise SourceFileError(f"mapping file {path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise SourceFileError(f"mapping file {path}{f', {where}' if where else ''}: {what}") from error
    except ValueError as error:
        raise SourceFileError(f"mapping file {path} is not JSON: {error}") from error
