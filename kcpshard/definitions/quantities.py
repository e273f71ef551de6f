"""Resource quantities ("1500m", "1Gi"): read exactly, written canonically (apimachinery `resource.Quantity`)."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_MAX_DIGITS = 1000  # far more than any real amount needs; bounds the cost of a hostile number

WRONG_FORMAT = r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_SUFFIX = "unable to parse quantity's suffix"
WRONG_NUMBER = "unable to parse numeric part of quantity"

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()} | {0: ""}


class Format(Enum):
    DECIMAL_SI = 1
    BINARY_SI = 2
    DECIMAL_EXPONENT = 3


class InvalidQuantity(ValueError):
    """The text is Go's."""


class Quantity(NamedTuple):
    value: Fraction  # a multiple of 10^-9
    format: Format

    def __str__(self) -> str:
        return _canonical(self)


ZERO = Quantity(Fraction(0), Format.DECIMAL_SI)


def count_of(number: int) -> Quantity:
    return Quantity(Fraction(number), Format.DECIMAL_SI)


def total(amounts: Iterable[Quantity]) -> Quantity:
    """Their sum, in the format of the first that is not zero."""
    found = ZERO
    for amount in amounts:
        found = Quantity(found.value + amount.value, found.format if found.value else amount.format)
    return found


def are_equal(some: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether these are the same amounts of the same, however they are written."""
    if some.keys() != others.keys():
        return False
    return all(parse_quantity(text).value == parse_quantity(others[name]).value for name, text in some.items())


def parse_quantity(text: str) -> Quantity:
    """Raises InvalidQuantity."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or not text or len(text) > _MAX_DIGITS:
        raise InvalidQuantity(WRONG_FORMAT)
    sign, whole, fraction, suffix = shape[1], shape[2], shape[3] or "", shape[4]
    if not whole and not fraction:
        raise InvalidQuantity(WRONG_NUMBER if shape[3] is not None or sign else WRONG_FORMAT)
    scale, format_ = _scale(suffix)
    value = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction)) * scale
    if (value * 10**9).denominator != 1:  # finer than nano is rounded away from zero
        value = Fraction(-(-value * 10**9 // 1), 10**9)
    return Quantity(-value if sign == "-" else value, format_)


def _scale(suffix: str) -> tuple[Fraction, Format]:
    if suffix in _DECIMAL:
        return Fraction(10) ** _DECIMAL[suffix], Format.DECIMAL_SI
    if suffix in _BINARY:
        return Fraction(1 << _BINARY[suffix]), Format.BINARY_SI
    if found := _EXPONENT.fullmatch(suffix):
        exponent = int(found[1]) if len(found[1]) < 5 else 10**4
        if abs(exponent) >= 10**4:
            raise InvalidQuantity(WRONG_SUFFIX)
        return Fraction(10) ** exponent, Format.DECIMAL_EXPONENT
    raise InvalidQuantity(WRONG_SUFFIX)


def _canonical(quantity: Quantity) -> str:
    value, format_ = quantity
    if not value:
        return "0"
    if format_ is Format.BINARY_SI and abs(value) >= 1024:
        return _binary(value)
    mantissa, exponent = _decimal(value)
    if format_ is Format.DECIMAL_EXPONENT:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    if exponent > 18:
        return f"{mantissa * 10 ** (exponent - 18)}E"
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


def _decimal(value: Fraction) -> tuple[int, int]:
    """An integer and an exponent divisible by three, the exponent as large as it can be."""
    exponent = -9
    mantissa = int(value * 10**9)
    while mantissa % 1000 == 0:
        mantissa, exponent = mantissa // 1000, exponent + 3
    return mantissa, exponent


def _binary(value: Fraction) -> str:
    """Fractions are rounded away from zero to whole units."""
    number = -(-abs(value) // 1)
    exponent = 0
    while number % 1024 == 0 and exponent < 60:
        number, exponent = number // 1024, exponent + 10
    return f"{'-' if value < 0 else ''}{number}{_BINARY_SUFFIX[exponent]}"


_PLAIN = re.compile(r"[1-9][0-9]{0,2}(m|k|M|G|T|Ki|Mi|Gi|Ti)?|0")


def canonical_quantity(text: str) -> str:
    """The form in which it is stored. Raises InvalidQuantity. Most texts are canonical, which one match shows."""
    if _PLAIN.fullmatch(text):
        return text
    found = parse_quantity(text)
    return text if _is_kept(text, found.format) else str(found)


_DIGITS, _NANO = 18, -9


def _is_kept(text: str, format_: Format) -> bool:
    """Whether Go keeps the text as it was written: it does where the digits look canonical, sign and zeros aside."""
    shape = _SHAPE.fullmatch(text)
    assert shape is not None
    whole, fraction, suffix = shape[2].lstrip("0"), shape[3] or "", shape[4]
    digits = whole + fraction
    if format_ is Format.BINARY_SI:
        exponent = _BINARY[suffix]
        precision = 15 - len(whole) - exponent * 3 // 10 - 1
        is_small = not fraction and precision >= 0 and int(digits or "0") << exponent < 2**63
        return is_small and int(digits or "0") & 7 != 0
    found = _EXPONENT.fullmatch(suffix)
    scale = (int(found[1]) if found else _DECIMAL[suffix]) - len(fraction)
    is_small = len(digits) <= _DIGITS and scale >= _NANO
    return is_small and scale % 3 == 0 and not digits.endswith("000") and digits[:1] not in ("", "0")


def rounded_to_milli(text: str) -> str:
    """A canonical text, rounded away from zero to thousandths."""
    if text[-1:] not in ("n", "u") and "e" not in text:
        return text
    value, format_ = parse_quantity(text)
    milli = -(-abs(value) * 1000 // 1)
    return str(Quantity(Fraction(milli if value > 0 else -milli, 1000), format_))
