import orjson
import pytest

from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.objects import NoProtobuf, encode_event, encode_item, encode_list, encode_object, to_json
from kcpshard.api.errors import NotFound

CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}}


def test_an_object_both_ways() -> None:
    assert orjson.loads(to_json(encode_object(CONFIG_MAP), None)) == CONFIG_MAP


def test_a_status() -> None:
    status = NotFound('configmaps "a" not found', name="a", kind="configmaps").status()
    assert decode_object(encode_object(status)) == status


def test_a_list() -> None:
    item = {k: v for k, v in CONFIG_MAP.items() if k not in ("kind", "apiVersion")}
    items = encode_item("api/core/v1.ConfigMap", CONFIG_MAP) * 2
    found = decode_object(encode_list("v1", "ConfigMapList", {"resourceVersion": "7"}, items))
    expected = {
        "kind": "ConfigMapList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "7"},
        "items": [item, item],
    }
    assert found == expected


def test_an_event() -> None:
    frame = encode_event("ADDED", b"object")
    assert frame == b"\x00\x00\x00\x11\x0a\x05ADDED\x12\x08\x0a\x06object"


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param({"kind": "Foo", "apiVersion": "example.com/v1"}, id="unknown kind"),
        pytest.param({"kind": "Table", "apiVersion": "meta.k8s.io/v1"}, id="Table"),
        pytest.param({**CONFIG_MAP, "data": ["not", "a", "map"]}, id="a custom resource under a built-in name"),
    ],
)
def test_no_protobuf_form(obj: dict[str, object]) -> None:
    with pytest.raises(NoProtobuf):
        encode_object(obj)
