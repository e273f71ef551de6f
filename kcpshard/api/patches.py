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


class TestFailed(PatchFault):
    """A `test` whose value is another: what the patch was made for has changed."""

    __test__ = False  # no test of ours


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
        try:
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
                    raise PatchFault(f"Unexpected kind: {unknown}")
        except _Step as fault:
            raise PatchFault(_explained(step.op, fault)) from None
    return document


class _Step(PatchFault):
    """What one step stumbled over. `path` as given; `is_missing`: what should hold its last part is not there."""

    def __init__(self, text: str, path: tuple[str, ...] = (), is_missing: bool = False) -> None:
        super().__init__(text)
        self.text, self.path, self.is_missing = text, path, is_missing


# In the words of the library that kube-apiserver uses.
_MISSING_TEXTS = {
    "add": 'add operation does not apply: doc is missing path: "{}"',
    "remove": 'remove operation does not apply: doc is missing path: "{}"',
    "replace": "replace operation does not apply: doc is missing path: {}",
    "test": "test operation does not apply: is missing path: {}",
    "move": "move operation does not apply: doc is missing from path: {}",
    "copy": "copy operation does not apply: doc is missing from path: {}",
}


def _explained(op: str, fault: _Step) -> str:
    path = "/".join(part.replace("~", "~0").replace("/", "~1") for part in fault.path)
    if fault.is_missing:
        return _MISSING_TEXTS[op].format(path) + ": missing value"
    if op == "replace":
        return f"replace operation does not apply: doc is missing key: {path}: missing value"
    return f"error in {op} for path: '{path}': {fault.text}"


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
        raise _Step("the path names the whole document", path, True)
    found = document
    for part in path[1:-1]:
        try:
            found = _member(found, part)
        except PatchFault:
            found = None
        if not isinstance(found, dict | list):
            raise _Step("missing value", path, True)
    if not isinstance(found, dict | list):
        raise _Step("missing value", path, True)
    return found, path[-1]


def _member(container: Any, part: str, path: tuple[str, ...] = ()) -> Any:
    """_MISSING for an absent member of an object; a fault for an index that an array does not have."""
    if isinstance(container, dict):
        return container.get(part, _MISSING)
    return container[_index(part, len(container), path)]


def _index(part: str, size: int, path: tuple[str, ...]) -> int:
    if not _INDEX.fullmatch(part):
        syntax = f'strconv.Atoi: parsing "{part}": invalid syntax'
        raise _Step(f"value was not a proper array index: '{part}': {syntax}", path)
    index = int(part)
    if not -size <= index < size:
        raise _Step(f"Unable to access invalid index: {part}: invalid index referenced", path)
    return index + size if index < 0 else index


_INDEX = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def _get(document: Any, path: tuple[str, ...]) -> Any:
    container, last = _container(document, path)
    return _member(container, last, path)


def _add(document: Any, path: tuple[str, ...], value: Any) -> None:
    container, last = _container(document, path)
    if isinstance(container, dict):
        container[last] = value
    elif last == "-":
        container.append(value)
    else:
        container.insert(_index(last, len(container) + 1, path), value)


def _remove(document: Any, path: tuple[str, ...]) -> None:
    container, last = _container(document, path)
    if isinstance(container, dict):
        if last not in container:
            raise _Step(f"Unable to remove nonexistent key: {last}: missing value", path)
        del container[last]
    else:
        del container[_index(last, len(container), path)]


def _replace(document: Any, path: tuple[str, ...], value: Any) -> Any:
    if path == ("",):
        if not isinstance(value, dict | list):
            raise PatchFault("the whole document can only be replaced by an object or an array")
        return value
    container, last = _container(document, path)
    if isinstance(container, dict):
        container[last] = value
    else:
        container[_index(last, len(container), path)] = value
    return document


def _test(document: Any, path: tuple[str, ...], wanted: Any) -> None:
    found = document if path == ("",) else _present(_get(document, path))
    if not _equal(found, wanted):
        raise TestFailed(f"testing value {'/'.join(path)} failed: test failed")


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: Python takes True for 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
