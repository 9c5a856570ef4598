"""What is checked of an upload as it comes: shape, number, required fields, lengths. Barcodes are judged later."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, json

ITEMS_A_REQUEST = 10_000
Required = Annotated[str, Meta(min_length=1, max_length=255)]
Text = str | None | UnsetType


class _More(Struct):
    external_product_id: Required
    external_product_id_type: Text = UNSET


class _Item(Struct):
    item_sku: Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{1,255}$")]
    external_product_id: Required
    item_name: Required
    store_id: Required
    additional_external_product_information: Annotated[list[_More], Meta(max_length=50)] | UnsetType = UNSET
    external_product_id_type: Text = UNSET
    standard_price: Text = UNSET
    brand_name: Text = UNSET
    product_tax_code: Text = UNSET
    product_category: Text = UNSET
    product_subcategory: Text = UNSET
    color_name: Text = UNSET
    size_name: Text = UNSET
    main_image_url: Text = UNSET


class _Upload(Struct):
    catalogItems: Annotated[list[_Item], Meta(min_length=1, max_length=ITEMS_A_REQUEST)]  # noqa: N815 - Amazon's name


_DECODER = json.Decoder(_Upload)


def stores_of(body: bytes) -> list[str]:
    """The store of each item. Raises ValueError for a body that Amazon turns away at once."""
    return [item.store_id for item in _DECODER.decode(body).catalogItems]
