"""OpenAPI v2 documents of several servers as one. Pure, but slow: `merge_job` is for a worker process.

As kube-apiserver's aggregator does it: of another server only what lies under its group version, a path that is ours
stays ours, and a definition of theirs that has the name of another one of ours gets a new name (`…_v2`).
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]
_GVKS = "x-kubernetes-group-version-kind"
_SHARED = ("definitions", "parameters")  # members that references lead into


class Part(NamedTuple):
    """What another server says, and of which of its paths it is believed: "/apis/GROUP/VERSION/"."""

    prefix: str
    document: bytes


def encode_job(local: bytes, parts: Sequence[Part]) -> bytes:
    head = [[part.prefix, len(part.document)] for part in parts]
    return b"".join((orjson.dumps(head), b"\n", *(part.document for part in parts), local))


def merge_job(payload: bytes, _ask: object = None) -> bytes:
    """The merged document of what `encode_job` made, as zlib data; as worker processes run it."""
    head, _, rest = payload.partition(b"\n")
    parts, at = [], 0
    for prefix, length in orjson.loads(head):
        parts.append(Part(prefix, rest[at : at + length]))
        at += length
    return zlib.compress(merged(rest[at:], parts), 6)


def merged(local: bytes, parts: Sequence[Part]) -> bytes:
    """A part that is no OpenAPI document is left out."""
    found = orjson.loads(local)
    for part in parts:
        try:
            other = orjson.loads(part.document)
            chosen = _under(other, part.prefix, found["paths"])
        except (orjson.JSONDecodeError, RecursionError, AttributeError, KeyError, TypeError, ValueError):
            continue
        if chosen["paths"]:
            _take_over(found, chosen)
    return orjson.dumps(found)


def _under(document: Json, prefix: str, taken: Mapping[str, Any]) -> Json:
    """Of a document the paths that begin so and are not taken, and what they refer to."""
    paths = {path: item for path, item in document["paths"].items() if path.startswith(prefix) and path not in taken}
    found: Json = {"paths": paths}
    for member in _SHARED:
        found[member] = {}
    waiting = list(_references(paths))
    while waiting:
        member, name = waiting.pop()
        source = document.get(member) or {}
        if name in source and name not in found[member]:
            found[member][name] = source[name]
            waiting += _references(source[name])
    return found


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Member and name of all that a part of a document refers to."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            for member in _SHARED:
                if reference.startswith(f"#/{member}/"):
                    yield member, reference.removeprefix(f"#/{member}/")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _take_over(found: Json, other: Json) -> None:
    renames: dict[str, str] = {}
    for member in _SHARED:
        ours = found.setdefault(member, {}) if other[member] else found.get(member, {})
        for name, value in other[member].items():
            new = _name(name, value, ours, other[member])
            if new != name:
                renames[f"#/{member}/{name}"] = f"#/{member}/{new}"
    for member in _SHARED:
        for name, value in other[member].items():
            reference = f"#/{member}/{name}"
            new = renames.get(reference, reference).removeprefix(f"#/{member}/")
            if new in found[member]:
                _add_kinds(found[member][new], value)
            else:
                found[member][new] = _renamed(value, renames)
    found["paths"] |= {path: _renamed(item, renames) for path, item in other["paths"].items()}


def _name(name: str, value: Any, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Under which name it can be added, or is there already."""
    found, number = name, 1
    while found in ours and not _alike(ours[found], value):
        number += 1
        found = f"{name}_v{number}"
        while found in theirs:
            number += 1
            found = f"{name}_v{number}"
    return found


def _alike(one: Any, other: Any) -> bool:
    """Equal but for the kinds that they describe."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {k: v for k, v in one.items() if k != _GVKS} == {k: v for k, v in other.items() if k != _GVKS}
    return bool(one == other)


def _add_kinds(ours: Json, theirs: Any) -> None:
    known = ours.get(_GVKS)
    if isinstance(known, list) and isinstance(theirs, dict):
        known += [kind for kind in theirs.get(_GVKS) or () if kind not in known]


def _renamed(value: Any, renames: Mapping[str, str]) -> Any:
    if not renames:
        return value
    if isinstance(value, dict):
        found = {key: _renamed(inner, renames) for key, inner in value.items()}
        reference = value.get("$ref")
        if isinstance(reference, str) and reference in renames:
            found["$ref"] = renames[reference]
        return found
    return [_renamed(inner, renames) for inner in value] if isinstance(value, list) else value
