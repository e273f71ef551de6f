"""Strategic merge patch: a merge patch that knows which lists are merged by a key, and its directives.

Decides the merged document, with the order of list items that kubectl relies on; leaves to `verbs.patch` which kinds
offer it. Directives: `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`. The order rules: items of the patch are ordered by `$setElementOrder` (or as they stand in
the patch), items only the server has keep their order, and the two are woven by where the server had them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from kcpshard.api.errors import BadRequest
from kcpshard.api.objects import go_text

Object = dict[str, Any]

_PATCH = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_FROM_LIST = "$deleteFromPrimitiveList/"
_ELEMENT_ORDER = "$setElementOrder/"


class MergeSchema(Protocol):
    """What a merge needs to know of one value; `definitions.facts.Schema` is one."""

    @property
    def properties(self) -> Mapping[str, "MergeSchema"] | None: ...
    @property
    def values(self) -> "MergeSchema | None": ...
    @property
    def items(self) -> "MergeSchema | None": ...
    @property
    def patch_strategy(self) -> str: ...
    @property
    def merge_key(self) -> str: ...


def strategic_merge(document: Object, patch: Object, schema: MergeSchema | None) -> Object:
    """A new document that may share parts with both arguments. Without a schema lists are replaced, objects merged.

    Raises BadRequest for a malformed patch, also where kube-apiserver says the same with 500: it is the client's.
    """
    return _merge_objects(document, patch, schema)


def _child(schema: MergeSchema | None, field: str) -> MergeSchema | None:
    if schema is None:
        return None
    if schema.properties is not None:
        return schema.properties.get(field)
    return schema.values


def _merge_objects(original: Object, patch: Object, schema: MergeSchema | None) -> Object:
    match patch.get(_PATCH):
        case None:
            pass
        case "replace":
            return {key: value for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
        case "merge":
            patch = {key: value for key, value in patch.items() if key != _PATCH}
        case unknown:
            raise BadRequest(f"unknown patch type: {go_text(unknown)} in map: {go_text(patch)}")
    result = _retained(original, patch)
    deletions, orders = _list_directives(patch)
    for key, value in patch.items():
        if key == _RETAIN_KEYS or key.startswith((_DELETE_FROM_LIST, _ELEMENT_ORDER)):
            continue
        if key in deletions or key in orders:
            continue  # below, together with its directives
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_values(result.get(key), value, _child(schema, key))
    for key in {**deletions, **orders}:
        _merge_directed(result, patch, key, deletions.get(key), orders.get(key), _child(schema, key))
    return result


def _retained(original: Object, patch: Object) -> Object:
    """The original without the fields that `$retainKeys` does not name."""
    if _RETAIN_KEYS not in patch:
        return dict(original)
    keep = patch[_RETAIN_KEYS]
    if not isinstance(keep, list):
        raise BadRequest("invalid patch format of retainKeys")
    given = {key for key, value in patch.items() if not _is_directive(key) and value is not None}
    if not given.issubset(map(str, keep)):
        raise BadRequest("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in keep}


def _list_directives(patch: Object) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Fields with values to delete, fields with an order."""
    deletions: dict[str, list[Any]] = {}
    orders: dict[str, list[Any]] = {}
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM_LIST):
            if not isinstance(value, list):
                raise BadRequest("invalid patch format of primitive list")
            deletions[key.removeprefix(_DELETE_FROM_LIST)] = value
        elif key.startswith(_ELEMENT_ORDER):
            if not isinstance(value, list):
                raise BadRequest("invalid patch format of setElementOrder list")
            orders[key.removeprefix(_ELEMENT_ORDER)] = value
    return deletions, orders


def _merge_directed(
    result: Object,
    patch: Object,
    key: str,
    deletions: list[Any] | None,
    order: list[Any] | None,
    schema: MergeSchema | None,
) -> None:
    """One list field that comes with directives."""
    original, given = result.get(key), patch.get(key)
    if key in patch and given is None:
        result.pop(key, None)
        return
    if original is not None and not isinstance(original, list):
        raise BadRequest("invalid JSON document")
    if given is not None and not isinstance(given, list):
        raise BadRequest("invalid patch format of setElementOrder list")
    if original is None and given is None:
        return
    merge_key = schema.merge_key if schema else ""
    remaining = [item for item in original or [] if deletions is None or item not in deletions]
    if order is None:
        result[key] = _merge_values(remaining, given, schema) if given else remaining
        return
    _check_order(given or [], order, merge_key)
    result[key] = (
        _without_directives(given) if original is None else _merge_lists(remaining, given or [], schema, order)
    )


def _merge_values(original: Any, patch: Any, schema: MergeSchema | None) -> Any:
    if isinstance(patch, dict):
        if isinstance(original, dict) and not _has_strategy(schema, "replace"):
            return _merge_objects(original, patch, schema)
        if isinstance(original, dict):
            return _without_directives(patch)
        return _merge_objects({}, patch, schema) if _PATCH in patch else _without_directives(patch)
    if isinstance(patch, list):
        if isinstance(original, list) and _has_strategy(schema, "merge"):
            return _merge_lists(original, patch, schema)
        return _without_directives(patch)
    return patch


def _has_strategy(schema: MergeSchema | None, strategy: str) -> bool:
    return schema is not None and strategy in schema.patch_strategy.split(",")


def _without_directives(value: Any) -> Any:
    """A value that is new to the document: nothing to merge with, so directives only go."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {key: _without_directives(inner) for key, inner in value.items() if not _is_directive(key)}
    if isinstance(value, list):
        kept = (item for item in value if not (isinstance(item, dict) and item.get(_PATCH) == "delete"))
        return [_without_directives(item) for item in kept if not _is_marker(item)]
    return value


def _is_directive(key: str) -> bool:
    return key in (_PATCH, _RETAIN_KEYS) or key.startswith((_DELETE_FROM_LIST, _ELEMENT_ORDER))


def _is_marker(item: Any) -> bool:
    """An item that only carries a directive: {"$patch": "replace"}."""
    return isinstance(item, dict) and item.keys() == {_PATCH}


# --- lists


def _merge_lists(
    original: list[Any], patch: list[Any], schema: MergeSchema | None, order: Sequence[Any] | None = None
) -> list[Any]:
    kinds = {_item_kind(item) for item in (*original, *patch)}
    if len(kinds) > 1:
        raise BadRequest(f"list element types are not identical: [{go_text(original)} {go_text(patch)}]")
    if kinds == {"list"}:
        raise BadRequest("lists of lists are not supported")
    if kinds != {"map"}:
        merged = _unique([*original, *patch])
        return _woven(merged, order if order is not None else patch, original, "", _values(patch, order))
    merge_key = schema.merge_key if schema else ""
    if not merge_key:
        return [_without_directives(item) for item in patch]
    kept, items, replaced = _special_items(original, patch, merge_key)
    merged = _merge_items(kept, items, schema, merge_key)
    if replaced:
        return merged
    return _woven(merged, order if order is not None else items, original, merge_key, _keys(items, order, merge_key))


def _item_kind(item: Any) -> str:
    if isinstance(item, bool):
        return "bool"
    if isinstance(item, int | float):
        return "number"
    return {dict: "map", list: "list", str: "string", type(None): "nil"}[type(item)]


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _values(patch: list[Any], order: Sequence[Any] | None) -> set[Any]:
    return {*patch, *(order or ())}


def _keys(patch: list[Any], order: Sequence[Any] | None, merge_key: str) -> set[Any]:
    return {_key(item, merge_key) for item in (*patch, *(order or ())) if merge_key in item}


def _key(item: Any, merge_key: str) -> Any:
    """The value that identifies an item; the item itself in a list of scalars."""
    return item.get(merge_key) if merge_key else item


def _special_items(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any], bool]:
    """What `$patch` directives of items leave: the server's items, the patch's items, whether the list is replaced."""
    items, deleted, replaced = [], [], False
    for item in patch:
        match item.get(_PATCH):
            case None:
                items.append(item)
            case "delete":
                if merge_key not in item:
                    raise _missing_key(item, merge_key)
                deleted.append(item[merge_key])
            case "replace":
                replaced = True
            case "merge":
                raise BadRequest("merging lists cannot yet be specified in the patch")
            case unknown:
                raise BadRequest(f"unknown patch type: {go_text(unknown)} in map: {go_text(item)}")
    if replaced:
        return [], items, True
    return [item for item in original if item.get(merge_key) not in deleted], items, False


def _missing_key(item: Object, merge_key: str) -> BadRequest:
    return BadRequest(f"map: {go_text(item)} does not contain declared merge key: {merge_key}")


def _merge_items(original: list[Any], patch: list[Any], schema: MergeSchema | None, merge_key: str) -> list[Any]:
    merged = list(original)
    places = {_hashable(item.get(merge_key)): at for at, item in reversed(list(enumerate(original)))}
    inner = schema.items if schema else None
    for item in patch:
        if merge_key not in item:
            raise _missing_key(item, merge_key)
        key = _hashable(item[merge_key])
        if key in places:
            merged[places[key]] = _merge_objects(merged[places[key]], item, inner)
        else:
            places[key] = len(merged)
            merged.append(_without_directives(item))
    return merged


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else go_text(value)


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """The patch's items must stand in the order that `$setElementOrder` gives, and all be in it."""
    items = [item for item in patch if not (isinstance(item, dict) and item.get(_PATCH) in ("delete", "replace"))]
    wanted = [_hashable(_key(item, merge_key) if isinstance(item, dict) else item) for item in order]
    at = 0
    for item in items:
        key = _hashable(_key(item, merge_key) if isinstance(item, dict) else item)
        try:
            at = wanted.index(key, at) + 1
        except ValueError:
            text = (
                f"The order in patch list:\n{go_text(items)}\n doesn't match $setElementOrder list:\n{go_text(order)}\n"
            )
            raise BadRequest(text) from None


def _woven(merged: list[Any], order: Sequence[Any], server: list[Any], merge_key: str, of_patch: set[Any]) -> list[Any]:
    """Items the patch speaks of in `order`, the others in the server's order, woven by where the server had them."""
    wanted = {_hashable(_key(item, merge_key)): at for at, item in reversed(list(enumerate(order)))}
    had = {_hashable(_key(item, merge_key)): at for at, item in reversed(list(enumerate(server)))}
    named = {_hashable(value) for value in of_patch}
    ours = [item for item in merged if _hashable(_key(item, merge_key)) in named]
    theirs = [item for item in merged if _hashable(_key(item, merge_key)) not in named]
    ours.sort(key=lambda item: wanted.get(_hashable(_key(item, merge_key)), len(wanted)))
    theirs.sort(key=lambda item: had.get(_hashable(_key(item, merge_key)), len(had)))
    result: list[Any] = []
    left = 0
    for item in ours:
        place = had.get(_hashable(_key(item, merge_key)))
        while place is not None and left < len(theirs):
            if had.get(_hashable(_key(theirs[left], merge_key)), place) >= place:
                break
            result.append(theirs[left])
            left += 1
        result.append(item)
    return result + theirs[left:]
