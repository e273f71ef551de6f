import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.patches import PatchFault, apply_json_patch, is_too_deep, merge_patch, parse_json_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c", ""]), JSON, max_size=4)


def apply(document: Any, *steps: dict[str, Any]) -> Any:
    return apply_json_patch(copy.deepcopy(document), parse_json_patch(list(steps)))


def op(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **{key.rstrip("_"): value for key, value in more.items()}}


# RFC 7386, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(target)
    assert merge_patch(target, patch) == result
    assert target == before


@given(OBJECTS, OBJECTS)
def test_merge_patch_is_idempotent(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


# RFC 6902, appendix A
@pytest.mark.parametrize(
    ("document", "steps", "result"),
    [
        pytest.param({"foo": "bar"}, [op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}, id="A.1"),
        pytest.param(
            {"foo": ["bar", "baz"]}, [op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}, id="A.2"
        ),
        pytest.param({"baz": "qux", "foo": "bar"}, [op("remove", "/baz")], {"foo": "bar"}, id="A.3"),
        pytest.param({"foo": ["bar", "qux", "baz"]}, [op("remove", "/foo/1")], {"foo": ["bar", "baz"]}, id="A.4"),
        pytest.param({"baz": "qux"}, [op("replace", "/baz", value="boo")], {"baz": "boo"}, id="A.5"),
        pytest.param(
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [op("move", "/qux/thud", from_="/foo/waldo")],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
            id="A.6",
        ),
        pytest.param(
            {"foo": ["all", "grass", "cows", "eat"]},
            [op("move", "/foo/3", from_="/foo/1")],
            {"foo": ["all", "cows", "eat", "grass"]},
            id="A.7",
        ),
        pytest.param(
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [op("test", "/baz", value="qux"), op("test", "/foo/1", value=2)],
            {"baz": "qux", "foo": ["a", 2, "c"]},
            id="A.8",
        ),
        pytest.param(
            {"foo": "bar"}, [op("add", "/child", value={"g": {}})], {"foo": "bar", "child": {"g": {}}}, id="A.10"
        ),
        pytest.param({"/": 9, "~1": 10}, [op("test", "/~01", value=10)], {"/": 9, "~1": 10}, id="A.14"),
        pytest.param({"foo": ["bar"]}, [op("add", "/foo/-", value=["a"])], {"foo": ["bar", ["a"]]}, id="A.16"),
        pytest.param(
            {"a": {"b": [1]}},
            [op("copy", "/c", from_="/a"), op("add", "/c/b/0", value=0)],
            {"a": {"b": [1]}, "c": {"b": [0, 1]}},
            id="copies do not share",
        ),
        pytest.param({"a": [1, 2, 3]}, [op("remove", "/a/-1")], {"a": [1, 2]}, id="negative index"),
        pytest.param({}, [op("replace", "/a", value=1)], {"a": 1}, id="replace adds a member"),
        pytest.param({"a": 1}, [op("replace", "", value={"b": 2})], {"b": 2}, id="whole document"),
        pytest.param({}, [op("test", "/a", value=None)], {}, id="absent equals null"),
    ],
)
def test_json_patch_examples(document: Any, steps: list[dict[str, Any]], result: Any) -> None:
    assert apply(document, *steps) == result


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(op("test", "/baz", value="bar"), id="A.9 test fails"),
        pytest.param(op("add", "/baz/bat", value="qux"), id="A.12 no parent"),
        pytest.param(op("test", "/foo", value=1), id="true is not 1"),
        pytest.param(op("remove", "/nope"), id="remove absent"),
        pytest.param(op("remove", ""), id="remove the document"),
        pytest.param(op("add", "", value={}), id="add the document"),
        pytest.param(op("add", "/list/5", value=1), id="index beyond"),
        pytest.param(op("add", "/list/x", value=1), id="no index"),
        pytest.param(op("replace", "/list/2", value=1), id="replace beyond"),
        pytest.param(op("replace", "", value="x"), id="no document"),
        pytest.param(op("move", "/x", from_="/nope"), id="move absent"),
        pytest.param({"op": "add", "value": 1}, id="no path"),
        pytest.param({"op": "copy", "path": "/x"}, id="no from"),
        pytest.param(op("bogus", "/x"), id="unknown"),
    ],
)
def test_json_patch_faults(step: dict[str, Any]) -> None:
    with pytest.raises(PatchFault):
        apply({"foo": True, "list": [1, 2]}, step)


def test_copy_bombs_are_defused() -> None:
    grow = [op("copy", f"/a/{n}", from_="/a") for n in range(64)]
    with pytest.raises(PatchFault, match="copies"):
        apply({"a": {"x": "y" * 100}}, *grow)


@given(JSON, st.integers(1, 6))
def test_depth_is_counted(document: Any, limit: int) -> None:
    def depth(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 0
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)

    if isinstance(document, dict | list):
        assert is_too_deep(document, limit) == (depth(document) > limit)
