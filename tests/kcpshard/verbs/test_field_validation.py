import pytest

from kcpshard.api.errors import Invalid
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs.field_validation import FieldFault, check_options, checked_fields

CONFIGMAP = Catalog().find(None, "", "v1", "configmaps")
assert CONFIGMAP is not None


def document() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "bar": 2}, "foo": 1}


@pytest.mark.parametrize(("mode", "count"), [("", 3), ("Warn", 3), ("Ignore", 0)])
def test_unknown_and_duplicate_fields_are_warnings_unless_ignored(mode: str, count: int) -> None:
    assert CONFIGMAP is not None
    obj = document()
    warnings = checked_fields(pb.Request(field_validation=mode, duplicate_fields=["data.a"]), CONFIGMAP, obj)
    assert len(warnings) == count
    assert "foo" not in obj and obj["metadata"] == {"name": "a"}


def test_strict() -> None:
    assert CONFIGMAP is not None
    with pytest.raises(FieldFault) as caught:
        checked_fields(pb.Request(field_validation="Strict", duplicate_fields=["data.a"]), CONFIGMAP, document())
    assert caught.value.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a", '
        'unknown field "metadata.bar", unknown field "foo"'
    )


def test_wrong_types() -> None:
    assert CONFIGMAP is not None
    with pytest.raises(FieldFault, match="cannot unmarshal number into Go struct field"):
        checked_fields(pb.Request(), CONFIGMAP, {"data": {"a": 1}})


def test_metadata_is_checked_where_nothing_is_known_of_the_kind() -> None:
    resource = Resource()
    resource.definition = None
    resource.schema, resource.kind, resource.version = None, "Thing", "v1"
    assert checked_fields(pb.Request(), resource, {"metadata": {"x": 1}, "any": 1}) == ['unknown field "metadata.x"']
    assert checked_fields(pb.Request(), resource, {"any": 1}) == ()
    for meta in ([], {"labels": {"a": 1}}):
        with pytest.raises(FieldFault):
            checked_fields(pb.Request(), resource, {"metadata": meta})


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.Request(field_validation="x"), 'fieldValidation: Unsupported value: "x"'),
        (pb.Request(field_manager="x" * 129), "fieldManager: Too long: may not be more than 128 bytes"),
        (pb.Request(field_manager="a\0b"), 'Invalid value: "a\\x00b": invalid character U+0000 (at position 1)'),
    ],
)
def test_options(request_: pb.Request, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_options(request_, "PatchOptions")
    assert 'PatchOptions.meta.k8s.io "" is invalid: ' in caught.value.message and message in caught.value.message
    check_options(pb.Request(field_manager="kubectl"), "PatchOptions")
