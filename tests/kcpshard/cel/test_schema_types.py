from kcpshard.cel.schema_types import conversion, type_of_schema
from kcpshard.cel.values import Duration, SetList


def test_sizes_come_from_limits() -> None:
    found = type_of_schema({"type": "array", "maxItems": 7, "items": {"type": "string", "maxLength": 5}})
    assert found is not None
    assert (found.size, found.params[0].size) == (7, 20)


def test_what_has_no_type_is_not_seen() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"x-kubernetes-preserve-unknown-fields": True}, "b": {"type": "integer"}},
    }
    found = type_of_schema(schema)
    assert found is not None
    assert list(found.fields or ()) == ["b"]


def test_a_root_has_a_name() -> None:
    found = type_of_schema({"type": "object"}, is_root=True)
    assert found is not None
    assert sorted(found.fields or ()) == ["apiVersion", "kind", "metadata"]


def test_conversions() -> None:
    assert conversion({"type": "object", "properties": {"a": {"type": "string"}}}) is None
    duration = {"type": "string", "format": "duration"}
    names = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    convert = conversion({"type": "object", "properties": {"n": {"type": "number"}, "d": duration, "s": names}})
    assert convert is not None
    found = convert({"n": 1, "d": "1s", "s": ["a"]})
    assert (type(found["n"]), found["d"], type(found["s"])) == (float, Duration(10**9), SetList)
