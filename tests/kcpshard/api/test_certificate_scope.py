import pytest

from kcpshard.api.certificate_scope import decode_scope, encode_scope


@pytest.mark.parametrize("scope", [1, 1_796_061_743_698_089_001])
def test_round_trip(scope: int) -> None:
    assert decode_scope(encode_scope(scope)) == scope


@pytest.mark.parametrize(
    "raw", [b"", b"\x0c", b"\x0c\x00", b"\x0c\x021", b"\x13\x011", b"\x0c\x01a", b"\x0c\x16" + b"1" * 22]
)
def test_anything_else_is_of_no_logical_cluster(raw: bytes) -> None:
    assert decode_scope(raw) == 0
