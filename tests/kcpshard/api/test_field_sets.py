from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.field_sets import (
    FieldSet,
    difference,
    format_path,
    insert,
    intersection,
    paths,
    recursive_difference,
    union,
    with_named_fields,
)

elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"1"'])
all_paths = st.sets(st.lists(elements, min_size=1, max_size=3).map(tuple), max_size=8)


def built(members: set[tuple[str, ...]]) -> FieldSet:
    root: FieldSet = {}
    for path in sorted(members, key=lambda p: (len(p), p)):
        insert(root, path)
    return root


def listed(node: FieldSet) -> set[tuple[str, ...]]:
    return set(paths(node))


@given(all_paths)
def test_a_set_holds_what_was_inserted_in_any_order(members: set[tuple[str, ...]]) -> None:
    assert listed(built(members)) == members
    backwards: FieldSet = {}
    for path in sorted(members, key=lambda p: (-len(p), p)):
        insert(backwards, path)
    assert listed(backwards) == members


@given(all_paths, all_paths)
def test_algebra_is_that_of_sets(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> None:
    assert listed(union(built(a), built(b))) == a | b
    assert listed(intersection(built(a), built(b))) == a & b
    assert listed(difference(built(a), built(b))) == a - b


@given(all_paths, all_paths)
def test_recursive_difference_takes_what_is_below_too(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> None:
    left = {p for p in a if not any(p[: len(q)] == q for q in b)}
    assert listed(recursive_difference(built(a), built(b))) == left


def test_named_fields_on_the_way_become_members() -> None:
    grown = with_named_fields(built({("f:spec", 'k:{"name":"x"}', "f:image")}))
    assert listed(grown) == {("f:spec",), ("f:spec", 'k:{"name":"x"}', "f:image")}


def test_paths_are_shown_as_conflicts_show_them() -> None:
    path = ("f:spec", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")
    assert format_path(path) == '.spec[containerPort=80,protocol="TCP"].name'
    assert format_path(("f:finalizers", 'v:"a"')) == '.finalizers[="a"]'
