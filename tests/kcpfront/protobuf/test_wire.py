import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.protobuf.wire import MalformedProtobuf, delimited, iterate, raw_fields, read_varint, signed, skip, varint


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_round_trip(value: int) -> None:
    data = varint(value)
    found, end = read_varint(data + b"\x01", 0)
    assert (signed(found), end) == (value, len(data))


def test_known_bytes() -> None:
    assert varint(300) == b"\xac\x02" and varint(-1) == b"\xff" * 9 + b"\x01"
    assert delimited(17, b"ab") == b"\x8a\x01\x02ab"


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11])
def test_broken_varints(data: bytes) -> None:
    with pytest.raises(MalformedProtobuf):
        read_varint(data, 0)


def test_fields_by_number() -> None:
    data = b"\x08\x05" + delimited(2, b"x") + b"\x19" + b"8" * 8 + b"\x25" + b"4" * 4 + b"\x08\x06"
    assert list(iterate(data)) == [(1, 5), (2, b"x"), (1, 6)]
    assert raw_fields(data) == {1: 6, 2: b"x"}


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x09\x01", b"\x0b", b"\x0a"])
def test_broken_fields(data: bytes) -> None:
    with pytest.raises(MalformedProtobuf):
        raw_fields(data)


def test_groups_are_not_read() -> None:
    with pytest.raises(MalformedProtobuf, match="illegal wireType 3"):
        skip(b"", 0, 0, 3)
