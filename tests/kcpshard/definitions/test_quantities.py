from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.definitions.quantities import (
    InvalidQuantity,
    canonical_quantity,
    parse_quantity,
    rounded_to_milli,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"), ("0.5", "500m"), ("1500m", "1500m"), ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"),
        ("512Ki", "512Ki"), ("0.5Ki", "512"), ("1e3", "1e3"), ("1E3", "1E3"), ("1.5e3", "1500"), ("+1", "+1"),
        ("01Gi", "01Gi"),
        ("1000000", "1M"), (".5", "500m"), ("5.", "5."), ("1.500", "1.500"), ("0.5", "500m"),
        ("-5", "-5"), ("0.0000000001", "1n"), ("1E", "1E"), ("12345n", "12345n"), ("1025Ki", "1025Ki"),
        ("-1.5Gi", "-1536Mi"),
    ],
)  # fmt: skip
def test_canonical_form(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical


@pytest.mark.parametrize("text", ["", "x", "1mm", "1.2.3", "--1", "+", ".", "1 ", "1e", "1Kim", "1e99999", "1" * 1001])
def test_not_a_quantity(text: str) -> None:
    with pytest.raises(InvalidQuantity):
        parse_quantity(text)


def test_resource_lists_round_up_to_thousandths() -> None:
    assert [rounded_to_milli(q) for q in ("1n", "12345n", "-1u", "1500m", "1Gi")] == ["1m", "1m", "-1m", "1500m", "1Gi"]


@given(st.integers(-(10**15), 10**15), st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Gi", "e3", "e-3"]))
def test_canonical_form_is_canonical_and_the_same_amount(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    once = canonical_quantity(text)
    assert canonical_quantity(once) == once
    amount, again = parse_quantity(text), parse_quantity(once)
    if suffix not in ("Ki", "Gi"):
        assert again.value == amount.value
    assert abs(again.value - amount.value) < Fraction(1)
