"""Sets of field paths, in the very form that `metadata.managedFields[].fieldsV1` has on the wire.

A set is a nested dict. Keys are path elements: `f:<name>` a field or map key, `k:{"name":"x"}` an item of an
associative list, `v:<json>` an item of a set, `i:<n>` an index. A child that is `{}` is in the set; one that has
children only if "." is among them. The root itself is never in a set. Nothing here changes its arguments.

Source: structured-merge-diff FieldsV1 (KEP-555). Decides set algebra; what the sets mean is `structured_merge`.
"""

from collections.abc import Iterator
from typing import Any

import orjson

FieldSet = dict[str, Any]
SELF = "."


def is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    """A child node from its parts; None if nothing is left of it."""
    if not children:
        return {} if member else None
    return {SELF: {}, **children} if member else children


def _children(node: FieldSet) -> FieldSet:
    return {k: v for k, v in node.items() if k != SELF} if SELF in node else node


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not a or not b:
        return a or b
    result = dict(a)
    for key, theirs in b.items():
        if key == SELF:
            continue
        ours = result.get(key)
        if ours is None:
            result[key] = theirs
        elif ours or theirs:
            member = is_member(ours) or is_member(theirs)
            joined = _node(member, union(_children(ours), _children(theirs)))
            result[key] = {} if joined is None else joined
    return result


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for key, ours in a.items():
        theirs = b.get(key)
        if key == SELF or theirs is None:
            continue
        member = is_member(ours) and is_member(theirs)
        shared = _node(member, intersection(_children(ours), _children(theirs)))
        if shared is not None:
            result[key] = shared
    return result


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in `a` and not in `b`, path by path: a path below one of `b` stays."""
    if not b:
        return a
    result: FieldSet = {}
    for key, ours in a.items():
        if key == SELF:
            continue
        theirs = b.get(key)
        if theirs is None:
            result[key] = ours
            continue
        member = is_member(ours) and not is_member(theirs)
        left = _node(member, difference(_children(ours), _children(theirs)))
        if left is not None:
            result[key] = left
    return result


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in `a` and neither in `b` nor below a path of `b`."""
    result: FieldSet = {}
    for key, ours in a.items():
        if key == SELF:
            continue
        theirs = b.get(key)
        if theirs is None:
            result[key] = ours
        elif not is_member(theirs):
            left = _node(is_member(ours), recursive_difference(_children(ours), _children(theirs)))
            if left is not None:
                result[key] = left
    return result


def insert(root: FieldSet, path: tuple[str, ...]) -> None:
    """Add one path to a set that the caller owns (this one function changes its argument)."""
    node = root
    for key in path[:-1]:
        child = node.get(key)
        if child is None:
            child = node[key] = {}
        elif not child:
            child[SELF] = {}
        node = child
    last = node.get(path[-1])
    if last is None:
        node[path[-1]] = {}
    elif last:
        last[SELF] = {}


def with_named_fields(node: FieldSet) -> FieldSet:
    """The set with every `f:` that leads to a member made a member too."""
    result: FieldSet = {}
    for key, child in node.items():
        if key == SELF:
            result[SELF] = {}
            continue
        grown = with_named_fields(child)
        if key.startswith("f:") and grown and SELF not in grown:
            grown = {SELF: {}, **grown}
        result[key] = grown
    return result


def paths(node: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every member's path: those of one level in order, then what is below each."""
    keys = [key for key in sorted(node) if key != SELF]
    yield from ((*prefix, key) for key in keys if is_member(node[key]))
    for key in keys:
        yield from paths(node[key], (*prefix, key))


def format_path(path: tuple[str, ...]) -> str:
    """As conflicts show it: `.spec.containers[name="a"].image`."""
    return "".join(map(_format_element, path))


def _format_element(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = orjson.loads(rest)
            return "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in sorted(keys.items())) + "]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"
