"""Pruning and defaulting of generated objects by generated schemas: what a second pass may not change."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.schema.defaulting import default
from kcpshard.schema.pruning import prune
from kcpshard.schema.structural import Structural

NAMES = st.sampled_from("abcd")
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


def _scalar_schema(kind: str, value: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just(kind)}, optional={"default": st.just(value), "nullable": st.booleans()}
    )


LEAVES = st.one_of(
    _scalar_schema("string", "d"),
    _scalar_schema("integer", 7),
    st.just({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("object"), "properties": properties}, optional={"default": st.just({})}),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
    )


SCHEMAS = st.recursive(LEAVES, _objects, max_leaves=6)
ROOTS = st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(NAMES, SCHEMAS, max_size=4)})


@given(ROOTS, OBJECTS)
def test_pruning_again_drops_nothing(schema: dict[str, Any], obj: dict[str, Any]) -> None:
    structural = Structural(schema)
    prune(obj, structural)
    once = copy.deepcopy(obj)
    assert prune(obj, structural) == []
    assert obj == once


@given(ROOTS, OBJECTS)
def test_defaulting_again_changes_nothing(schema: dict[str, Any], obj: dict[str, Any]) -> None:
    structural = Structural(schema)
    default(obj, structural)
    once = copy.deepcopy(obj)
    default(obj, structural)
    assert obj == once


@given(ROOTS, OBJECTS)
def test_what_defaulting_adds_is_never_pruned(schema: dict[str, Any], obj: dict[str, Any]) -> None:
    structural = Structural(schema)
    prune(obj, structural)
    default(obj, structural)
    filled = copy.deepcopy(obj)
    assert prune(obj, structural) == []
    assert obj == filled


@given(ROOTS, OBJECTS)
def test_pruning_keeps_what_is_known(schema: dict[str, Any], obj: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    dropped = prune(obj, Structural(schema))
    known = {name for name, value in before.items() if name in schema["properties"] and value is not None}
    assert known <= set(obj) <= schema["properties"].keys()
    assert not dropped or obj != before
