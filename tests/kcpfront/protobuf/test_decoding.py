from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.protobuf import envelope
from kcpfront.protobuf.decoding import decode_object, decoder
from kcpfront.protobuf.facts import ResourceKind
from kcpfront.protobuf.wire import MalformedProtobuf, delimited

CONFIG_MAP = ResourceKind("v1", "ConfigMap")


def test_what_go_clients_write_for_unset_fields_is_left_out() -> None:
    metadata = b"\x0a\x01a" + b"".join(delimited(n, b"") for n in (2, 3, 4, 5, 6)) + b"\x38\x00" + b"\x42\x00"
    assert decoder("api/core/v1.ConfigMap")(delimited(1, metadata)) == {"metadata": {"name": "a"}}


def test_pointers_keep_their_zero() -> None:
    assert decoder("api/apps/v1.DeploymentSpec")(b"\x08\x00") == {"replicas": 0}


def test_unknown_fields_are_passed_over() -> None:
    data = b"\xf8\x07\x01" + delimited(99, b"x") + b"\xf9\x07" + b"8" * 8 + delimited(1, b"\x0a\x01a")
    assert decoder("api/core/v1.ConfigMap")(data) == {"metadata": {"name": "a"}}


def test_packed_numbers() -> None:
    assert decoder("api/core/v1.PodSecurityContext")(b"\x22\x03\x01\xac\x02") == {"supplementalGroups": [1, 300]}


def test_a_map_entry_may_lack_either_part() -> None:
    assert decoder("api/core/v1.ConfigMap")(delimited(2, b"")) == {"data": {"": ""}}
    assert decoder("api/core/v1.Secret")(delimited(2, b"\x0a\x01k")) == {"data": {"k": ""}}


def test_an_extension_may_be_protobuf_again() -> None:
    inner = envelope.write("v1", "ConfigMap", delimited(2, b"\x0a\x01k\x12\x01v"))
    data = delimited(2, delimited(1, inner))
    revision = decoder("api/apps/v1.ControllerRevision")(data)
    assert revision == {"data": {"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "v"}}}


def test_the_kind_is_the_expected_one_unless_named() -> None:
    assert decode_object(b"k8s\0\x12\x00", CONFIG_MAP) == {"kind": "ConfigMap", "apiVersion": "v1"}
    named = decode_object(envelope.write("v9", "Odd", b"\xff"), CONFIG_MAP)
    assert named == {"kind": "Odd", "apiVersion": "v9"}


def test_endless_nesting_is_refused() -> None:
    schema = b""
    for _ in range(3000):
        schema = delimited(28, schema)  # not
    version = delimited(4, delimited(1, schema))
    crd = delimited(2, delimited(7, version))
    with pytest.raises(MalformedProtobuf, match="max depth"):
        decode_object(envelope.write("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for kind in ("Pod", "ConfigMap", "Secret", "Service"):
        with suppress(MalformedProtobuf):
            decode_object(envelope.write("v1", kind, data))
