from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.field_sets import paths
from kcpshard.api.structured_merge import DuplicateItem, compare, fields_of, item_element, merge, remove
from kcpshard.schema.structural import Structural

LIST = {"type": "array", "items": {"type": "string"}}
SCHEMA = Structural(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "free": {"type": "object", "additionalProperties": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "list": LIST,
            "set": {**LIST, "x-kubernetes-list-type": "set"},
            "map": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {
                    "type": "object",
                    "properties": {"k": {"type": "string", "default": "d"}, "v": {"type": "integer"}},
                },
            },
        },
    }
)
scalars = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
items = st.lists(
    st.fixed_dictionaries({"k": st.sampled_from("abc")}, optional={"v": st.integers(0, 2)}),
    unique_by=lambda i: i["k"],
    max_size=3,
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 2),
        "free": scalars,
        "whole": scalars,
        "list": st.lists(st.sampled_from("ab"), max_size=2),
        "set": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
        "map": items,
    },
)


def members(value: Any) -> set[str]:
    return {"/".join(path) for path in paths(fields_of(value, SCHEMA))}


def test_the_fields_of_an_object_are_its_leaves_items_and_free_keys() -> None:
    value = {"n": 1, "free": {"a": "x"}, "whole": {"a": "x"}, "list": ["a"], "set": ["a"], "map": [{"v": 1}]}
    assert members(value) == {
        "f:n", "f:free/f:a", "f:whole", "f:list", 'f:set/v:"a"', 'f:map/k:{"k":"d"}', 'f:map/k:{"k":"d"}/f:v'
    }  # fmt: skip


def test_an_empty_map_is_a_leaf_and_an_empty_set_is_nothing() -> None:
    assert members({"free": {}, "set": [], "n": None}) == {"f:free", "f:n"}


def test_a_missing_key_counts_as_its_default() -> None:
    schema = SCHEMA.properties["map"] if SCHEMA.properties else None
    assert schema is not None
    assert item_element({"v": 1}, schema) == 'k:{"k":"d"}'


@given(objects)
def test_an_object_does_not_differ_from_itself(value: Any) -> None:
    assert compare(value, value, SCHEMA) == ({}, {})


@given(objects, objects)
def test_merging_is_idempotent_and_keeps_what_was_applied(live: Any, applied: Any) -> None:
    once = merge(live, applied, SCHEMA)
    assert merge(once, applied, SCHEMA) == once
    assert members(applied) - {m for m in members(applied) if m.count("/") == 0} <= members(once)
    for name in ("n", "whole", "list"):
        if name in applied:
            assert once[name] == applied[name]


@given(objects, objects)
def test_what_changed_is_what_differs(old: Any, new: Any) -> None:
    changed, removed = compare(old, new, SCHEMA)
    assert (changed == {} and removed == {}) == (old == new or _same_but_for_order(old, new))


def _same_but_for_order(old: Any, new: Any) -> bool:
    def ordered(value: Any) -> Any:
        return {k: sorted(v, key=str) if k in ("set", "map") else v for k, v in value.items()}

    return bool(ordered(old) == ordered(new))


def test_removing_takes_members_and_leaves_the_rest() -> None:
    value = {"free": {"a": "x", "b": "y"}, "map": [{"k": "a", "v": 1}, {"k": "b"}], "set": ["a", "b"]}
    gone = {"f:free": {"f:a": {}}, "f:map": {'k:{"k":"a"}': {"f:v": {}}, 'k:{"k":"b"}': {}}, "f:set": {'v:"b"': {}}}
    assert remove(value, gone, SCHEMA) == {"free": {"b": "y"}, "map": [{"k": "a"}], "set": ["a"]}


def test_an_applied_list_may_not_name_an_item_twice() -> None:
    with pytest.raises(DuplicateItem):
        merge({}, {"map": [{"k": "a"}, {"k": "a"}]}, SCHEMA)
