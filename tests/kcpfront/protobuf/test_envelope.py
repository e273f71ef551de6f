import pytest

from kcpfront.protobuf import envelope
from kcpfront.protobuf.wire import MalformedProtobuf


def test_known_bytes() -> None:
    data = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x01x\x1a\x00\x22\x00"
    assert envelope.write("v1", "ConfigMap", b"x") == data
    assert envelope.read(data) == ("v1", "ConfigMap", b"x")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"{}", "expected prefix"), (b"k8s\0", "empty body"), (b"k8s\0\x0a", "unexpected EOF"), (b"", "expected prefix")],
)
def test_refusals(data: bytes, text: str) -> None:
    with pytest.raises(MalformedProtobuf, match=text):
        envelope.read(data)
