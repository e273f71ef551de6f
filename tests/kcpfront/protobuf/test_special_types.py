import pytest

from kcpfront.protobuf.special_types import (
    DECODERS,
    ENCODERS,
    INT_OR_STRING,
    JSON,
    MICRO_TIME,
    PROPS_OR_ARRAY,
    PROPS_OR_BOOL,
    PROPS_OR_STRINGS,
    QUANTITY,
    TIME,
    schema_decoder,
    schema_encoder,
)
from kcpfront.protobuf.wire import MalformedProtobuf


@pytest.mark.parametrize(
    ("message", "value", "data"),
    [
        pytest.param(TIME, "2026-11-23T22:56:17Z", b"\x08\x91\x89\x93\xd8\x06\x10\x00", id="time"),
        pytest.param(MICRO_TIME, "1970-01-01T00:00:01.000002Z", b"\x08\x01\x10\xd0\x0f", id="microseconds"),
        pytest.param(QUANTITY, "5Gi", b"\x0a\x035Gi", id="quantity"),
        pytest.param(INT_OR_STRING, 80, b"\x08\x00\x10\x50\x1a\x00", id="port number"),
        pytest.param(INT_OR_STRING, "web", b"\x08\x01\x10\x00\x1a\x03web", id="port name"),
        pytest.param(JSON, {"a": [1]}, b'\x0a\x09{"a":[1]}', id="raw JSON"),
    ],
)
def test_both_ways(message: str, value: object, data: bytes) -> None:
    assert ENCODERS[message](value) == data
    assert DECODERS[message](data) == value


def test_a_time_with_an_offset_is_the_same_moment() -> None:
    assert ENCODERS[TIME]("2026-11-24T00:56:17.9+02:00") == ENCODERS[TIME]("2026-11-23T22:56:17Z")


def test_an_unset_time_is_null() -> None:
    assert DECODERS[TIME](b"") is None and DECODERS[TIME](b"\x08\x00\x10\x00") is None


@pytest.mark.parametrize(
    ("message", "data"),
    [(TIME, b"\x08" + b"\xff" * 8 + b"\x01"), (TIME, b"\x0a\x01x"), (JSON, b"\x0a\x01{"), (JSON, b"\x08\x01")],
)
def test_what_cannot_be_shown_is_refused(message: str, data: bytes) -> None:
    with pytest.raises(MalformedProtobuf):
        DECODERS[message](data)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (PROPS_OR_BOOL, False),
        (PROPS_OR_BOOL, True),
        (PROPS_OR_BOOL, "schema"),
        (PROPS_OR_ARRAY, "schema"),
        (PROPS_OR_ARRAY, ["one", "two"]),
        (PROPS_OR_STRINGS, ["a", "b"]),
    ],
)
def test_schemas_or_something_else(message: str, value: object) -> None:
    encode, decode = schema_encoder(message, str.encode), schema_decoder(message, bytes.decode)
    assert decode(encode(value)) == value


def test_long_values_are_not_kept() -> None:
    long = "1" * 100
    assert DECODERS[QUANTITY](ENCODERS[QUANTITY](long)) == long
    assert DECODERS[INT_OR_STRING](ENCODERS[INT_OR_STRING]("p" * 100)) == "p" * 100
