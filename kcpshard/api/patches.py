"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on decoded JSON, as pure functions.

Decides what a patch does to a document and when it cannot be applied; leaves to `verbs.patch` which document that is
and what the client is told. Where the library that kube-apiserver uses departs from RFC 6902, so does this: negative
indices count from the end, `replace` of an absent member adds it, `add` at "" fails.
"""

import re
from typing import Any, NamedTuple

import orjson

MAX_OPERATIONS = 10_000  # kube-apiserver's limit
MAX_COPIED_BYTES = 3 * 1024 * 1024  # by all `copy` operations of one patch together: the limit of a body
MAX_DEPTH = 100
_MISSING: Any = object()


class PatchFault(Exception):
    """The patch cannot be applied to this document (a test failed, a path is missing). The text says why, for logs."""


class Operation(NamedTuple):
    """One step of a JSON patch, paths split and unescaped. `value` is None where the patch gave none."""

    op: str
    path: tuple[str, ...] | None  # None: absent; ("",) is the whole document
    source: tuple[str, ...] | None  # "from"
    value: Any


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386: a new document; `document` and `patch` are left as they are, but parts of both may be in it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge_patch(result.get(key), value)
        else:
            result[key] = value
    return result


def parse_json_patch(patch: list[dict[str, Any]]) -> list[Operation]:
    """`patch` is a list of objects; any member may be absent, that is a fault only when the step is reached."""
    return [
        Operation(str(step.get("op", "")), _pointer(step.get("path")), _pointer(step.get("from")), step.get("value"))
        for step in patch
    ]


def _pointer(text: Any) -> tuple[str, ...] | None:
    if not isinstance(text, str):
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/"))


def apply_json_patch(document: Any, operations: list[Operation]) -> Any:
    """The patched document, made of the argument's own parts: hand in a copy. After a PatchFault it is spoilt."""
    copied = 0
    for step in operations:
        match step.op:
            case "add":
                _add(document, _path(step), step.value)
            case "remove":
                _remove(document, _path(step))
            case "replace":
                document = _replace(document, _path(step), step.value)
            case "test":
                _test(document, _path(step), step.value)
            case "move":
                value = _get(document, _source(step))
                _remove(document, _source(step))
                _add(document, _path(step), None if value is _MISSING else value)
            case "copy":
                encoded = orjson.dumps(_present(_get(document, _source(step))))
                copied += len(encoded)
                if copied > MAX_COPIED_BYTES:
                    raise PatchFault(f"the copies of a patch may have {MAX_COPIED_BYTES} bytes in all")
                _add(document, _path(step), orjson.loads(encoded))
            case unknown:
                raise PatchFault(f"unexpected kind: {unknown}")
    return document


def is_too_deep(document: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether objects and arrays are nested more than `limit` levels: only JSON patches can make such a document."""
    level: list[Any] = [document]
    for _ in range(limit):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _path(step: Operation) -> tuple[str, ...]:
    if step.path is None:
        raise PatchFault(f"{step.op} operation without path")
    return step.path


def _source(step: Operation) -> tuple[str, ...]:
    if step.source is None:
        raise PatchFault(f"{step.op} operation without from")
    return step.source


def _present(value: Any) -> Any:
    return None if value is _MISSING else value


def _container(document: Any, path: tuple[str, ...]) -> tuple[Any, str]:
    """The object or array that holds the path's last part. What precedes the first slash is not looked at."""
    if len(path) < 2:
        raise PatchFault("the path names the whole document")
    found = document
    for part in path[1:-1]:
        found = _member(found, part)
        if not isinstance(found, dict | list):
            raise PatchFault(f"missing path: {'/'.join(path)}")
    if not isinstance(found, dict | list):
        raise PatchFault("the document is neither an object nor an array")
    return found, path[-1]


def _member(container: Any, part: str) -> Any:
    """_MISSING for an absent member of an object; a fault for an index that an array does not have."""
    if isinstance(container, dict):
        return container.get(part, _MISSING)
    return container[_index(part, len(container))]


def _index(part: str, size: int) -> int:
    if not _INDEX.fullmatch(part):
        raise PatchFault(f"not an array index: {part}")
    index = int(part)
    if not -size <= index < size:
        raise PatchFault(f"array index out of bounds: {part}")
    return index + size if index < 0 else index


_INDEX = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def _get(document: Any, path: tuple[str, ...]) -> Any:
    container, last = _container(document, path)
    return _member(container, last)


def _add(document: Any, path: tuple[str, ...], value: Any) -> None:
    container, last = _container(document, path)
    if isinstance(container, dict):
        container[last] = value
    elif last == "-":
        container.append(value)
    else:
        container.insert(_index(last, len(container) + 1), value)


def _remove(document: Any, path: tuple[str, ...]) -> None:
    container, last = _container(document, path)
    if isinstance(container, dict):
        if last not in container:
            raise PatchFault(f"remove of an absent member: {last}")
        del container[last]
    else:
        del container[_index(last, len(container))]


def _replace(document: Any, path: tuple[str, ...], value: Any) -> Any:
    if path == ("",):
        if not isinstance(value, dict | list):
            raise PatchFault("the whole document can only be replaced by an object or an array")
        return value
    container, last = _container(document, path)
    if isinstance(container, dict):
        container[last] = value
    else:
        container[_index(last, len(container))] = value
    return document


def _test(document: Any, path: tuple[str, ...], wanted: Any) -> None:
    found = document if path == ("",) else _present(_get(document, path))
    if not _equal(found, wanted):
        raise PatchFault(f"testing value {'/'.join(path)} failed")


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: Python takes True for 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
