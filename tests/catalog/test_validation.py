"""Each field's rule of the catalog page."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean

from backroom.catalog.validation import Item, Rejection, barcode_problem, barcode_type, canonical, validate
from tests.catalog.conftest import item, upc

CURRENCIES = {"STORE-001": "USD", "STORE-002": "USD", "STORE-JP": "JPY"}


def judged(**changes: str) -> Item | Rejection:
    return validate(item(1, **changes), file_store=changes.get("store_id", "STORE-001"), currencies=CURRENCIES)


def test_a_good_row_becomes_the_upload_record() -> None:
    good = judged(additional_external_product_ids="4011; 73513537", brand_name="Acme")
    assert isinstance(good, Item)
    assert good.record == {
        "item_sku": "SKU-1",
        "store_id": "STORE-001",
        "item_name": "Product 1",
        "external_product_id": upc(1),
        "external_product_id_type": "UPC",
        "standard_price": "1.99",
        "product_tax_code": "FOOD",
        "brand_name": "Acme",
        "additional_external_product_information": [
            {"external_product_id": "4011", "external_product_id_type": "PLU"},
            {"external_product_id": "73513537"},  # eight digits may be UPC or EAN8
        ],
    }
    assert good.barcodes == ((upc(1), "UPC"), ("4011", "PLU"), ("73513537", None))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("item_sku", "", "is empty"),
        ("item_sku", "A B", "letters, digits"),
        ("item_sku", "ACME®", "letters, digits"),
        ("item_sku", "x" * 256, "longer than 255"),
        ("item_name", "", "is empty"),
        ("item_name", "x" * 256, "longer than 255"),
        ("item_name", "a\tb", "control character"),
        ("store_id", "STORE-9", "not a store of ours"),
        ("standard_price", "-1", "not an amount"),
        ("standard_price", "1.999", "more decimal places than USD"),
        ("standard_price", "$1", "not an amount"),
        ("standard_price", "١٢", "not an amount"),
        ("unit", "stone", "not one of"),
        ("external_product_id", "", "is empty"),
        ("external_product_id", "123456789013", "wrong check digit"),
        ("external_product_id", "12345", "not the length of a barcode of type UPC"),
        ("external_product_id_type", "QR", "not one of"),
        ("additional_external_product_ids", "1", "not the length of any barcode"),
        ("brand_name", "x" * 256, "longer than 255"),
    ],
)
def test_a_bad_field_is_named_with_its_reason(field: str, value: str, reason: str) -> None:
    rejection = judged(**{field: value})
    assert isinstance(rejection, Rejection)
    assert rejection.field == field
    assert reason in rejection.reason


def test_a_row_in_another_stores_file_is_rejected() -> None:
    rejection = validate(item(1, store_id="STORE-002"), file_store="STORE-001", currencies=CURRENCIES)
    assert rejection == Rejection("store_id", "'STORE-002' is in the file of 'STORE-001'")


def test_more_than_fifty_additional_barcodes_are_rejected() -> None:
    more = ";".join(upc(number) for number in range(2, 53))
    assert isinstance(judged(additional_external_product_ids=more), Rejection)
    assert isinstance(judged(additional_external_product_ids=more.rsplit(";", 1)[0]), Item)


def test_a_name_is_sent_with_at_most_a_hundred_characters() -> None:
    long = judged(item_name="x" * 150)
    assert isinstance(long, Item)
    assert len(long.record["item_name"]) == 100


def test_a_price_in_yen_has_no_decimal_places() -> None:
    assert isinstance(judged(store_id="STORE-JP", standard_price="198"), Item)
    assert isinstance(judged(store_id="STORE-JP", standard_price="198.5"), Rejection)


@pytest.mark.parametrize(
    ("barcode", "kind"),
    [
        ("012345678905", "UPC"),
        ("04252614", "UPC"),  # UPC-E: its check digit is that of 042100005264
        ("4006381333931", "EAN"),
        ("73513537", "EAN8"),
        ("0306406152", "ISBN"),
        ("080442957X", "ISBN"),
        ("98412345678908", "GTIN"),
        ("4011", "PLU"),
        ("94011", "PLU"),
        ("73513537", ""),
        ("04252614", ""),
    ],
)
def test_barcodes_of_each_type_are_accepted(barcode: str, kind: str) -> None:
    assert barcode_problem(barcode, kind) is None


@pytest.mark.parametrize(
    ("barcode", "kind"),
    [
        ("012345678904", "UPC"),
        ("04252613", "UPC"),
        ("73513536", "EAN8"),
        ("0306406153", "ISBN"),
        ("40A1", "PLU"),
        ("٤٠١١", "PLU"),
        ("98412345678900", "GTIN"),
        ("12", ""),
    ],
)
def test_wrong_barcodes_are_named(barcode: str, kind: str) -> None:
    assert barcode_problem(barcode, kind)


@given(st.integers(0, 10**11 - 1), st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_of_a_upc_is_always_noticed(number: int, place: int, by: int) -> None:
    good = upc(number)
    bad = good[:place] + str((int(good[place]) + by) % 10) + good[place + 1 :]
    assert barcode_problem(good, "UPC") is None
    assert barcode_problem(bad, "UPC")


@given(st.text("0123456789", min_size=12, max_size=14))
def test_check_digits_are_those_of_the_library(digits: str) -> None:
    kind = {12: "UPC", 13: "EAN", 14: "GTIN"}[len(digits)]
    for barcode in (digits, digits[:-1] + ean.calc_check_digit(digits[:-1])):
        assert (barcode_problem(barcode, kind) is None) == ean.is_valid(barcode)


def test_a_record_is_written_as_json_itself_would() -> None:
    record = {"b": 'quote " and \\ and \x7f and ü and 🧀', "a": [{"y": "1", "x": ""}]}
    assert canonical(record) == json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_type_is_told_from_the_length_where_it_can_be() -> None:
    assert [barcode_type(each) for each in ("4011", "73513537", "012345678905")] == ["PLU", None, "UPC"]


def test_the_hash_does_not_depend_on_the_order_of_columns() -> None:
    row = item(1)
    turned = dict(reversed(row.items()))
    one, two = (validate(each, file_store="STORE-001", currencies=CURRENCIES) for each in (row, turned))
    assert isinstance(one, Item)
    assert isinstance(two, Item)
    assert one.content_hash == two.content_hash
