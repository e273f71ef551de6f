"""OpenAPI v2 documents as one."""

import zlib
from typing import Any

import orjson
import pytest

from kcpshard.definitions.openapi_merging import Part, encode_job, merge_job, merged

GVKS = "x-kubernetes-group-version-kind"


def document(paths: dict[str, list[str]], **definitions: Any) -> bytes:
    """`paths`: to the names of what they refer to."""
    made = {path: {"get": [{"$ref": f"#/definitions/{name}"} for name in names]} for path, names in paths.items()}
    return orjson.dumps({"swagger": "2.0", "paths": made, "definitions": definitions})


LOCAL = document({"/api/v1/pods": ["Pod"]}, Pod={"type": "object"}, Meta={"type": "object", "description": "ours"})


def merge(*parts: tuple[str, bytes]) -> Any:
    made = [Part(prefix, text) for prefix, text in parts]
    found = orjson.loads(merged(LOCAL, made))
    assert orjson.loads(zlib.decompress(merge_job(encode_job(LOCAL, made)))) == found
    return found


def test_of_another_server_its_own_paths_and_what_they_need_come_in() -> None:
    paths: dict[str, list[str]] = {"/apis/a/v1/xs": ["X"], "/apis/b/v1/ys": ["Y"], "/apis/a/v10/zs": ["Y"]}
    found = merge(("/apis/a/v1/", document(paths, X={"items": {"$ref": "#/definitions/Part"}}, Part={"a": 1}, Y={})))
    assert sorted(found["paths"]) == ["/api/v1/pods", "/apis/a/v1/xs"]
    assert sorted(found["definitions"]) == ["Meta", "Part", "Pod", "X"]


def test_what_is_ours_stays_ours_and_theirs_gets_a_name_of_its_own() -> None:
    theirs = document({"/apis/a/v1/xs": ["Meta"]}, Meta={"type": "object", "description": "theirs"})
    other = document({"/apis/b/v1/xs": ["Meta"]}, Meta={"type": "object", "description": "others'"})
    same = document({"/apis/c/v1/xs": ["Meta"]}, Meta={"type": "object", "description": "theirs"})
    found = merge(("/apis/a/v1/", theirs), ("/apis/b/v1/", other), ("/apis/c/v1/", same))
    described = {name: value["description"] for name, value in found["definitions"].items() if name != "Pod"}
    assert described == {"Meta": "ours", "Meta_v2": "theirs", "Meta_v3": "others'"}
    refers = {path: item["get"][0]["$ref"] for path, item in found["paths"].items()}
    assert refers["/apis/a/v1/xs"] == refers["/apis/c/v1/xs"] == "#/definitions/Meta_v2"
    assert refers["/apis/b/v1/xs"] == "#/definitions/Meta_v3"
    taken = orjson.loads(merged(LOCAL, [Part("/api/v1/", document({"/api/v1/pods": ["Evil"]}, Evil={}))]))
    assert taken == orjson.loads(LOCAL)


def test_equal_definitions_are_one_and_name_the_kinds_of_both() -> None:
    local = document({"/x": ["Options"]}, Options={"type": "object", GVKS: [{"group": "x"}]})
    other = document({"/apis/a/v1/y": ["Options"]}, Options={"type": "object", GVKS: [{"group": "a"}]})
    found = orjson.loads(merged(local, [Part("/apis/a/v1/", other)]))
    assert found["definitions"] == {"Options": {"type": "object", GVKS: [{"group": "x"}, {"group": "a"}]}}


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"paths": 1}', b'{"paths": {"/apis/a/v1/x": 1}, "definitions": []}', b"[" * 5000]
)
def test_what_is_no_document_is_left_out(text: bytes) -> None:
    assert set(merge(("/apis/a/v1/", text))["definitions"]) == {"Pod", "Meta"}
