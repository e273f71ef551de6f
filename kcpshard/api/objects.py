"""Reading and writing unstructured objects: their metadata, times, and Go's way to show a value.

Decides how a timestamp is written and which metadata is empty; leaves to `verbs.metadata` what may be set when.
"""

import time
from functools import lru_cache
from typing import Any

import orjson

Object = dict[str, Any]

# Metadata members that Go leaves out when they are empty (`omitempty`), which is all of them.
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def metadata(obj: Object) -> Object:
    """The metadata of an object, made if it is absent or null."""
    found = obj.get("metadata")
    if not isinstance(found, dict):
        found = obj["metadata"] = {}
    return found


def drop_empty(members: Object) -> None:
    """Remove what is null or empty, as Go does with `omitempty`; 0 and false stay."""
    for key in [key for key, value in members.items() if value in _EMPTY]:
        del members[key]


def timestamp(microseconds: int) -> str:
    """RFC 3339 with whole seconds, as metadata shows times."""
    return _at_second(microseconds // 1_000_000)


@lru_cache(maxsize=4)
def _at_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def are_same(one: Any, other: Any) -> bool:
    """Equality of JSON: to Python true is 1 and 1 is 1.0, also deep inside; to whoever reads them they are not."""
    if one is other:
        return True
    if one != other or type(one) is not type(other):
        return False
    if isinstance(one, dict | list) and orjson.dumps(one) != orjson.dumps(other):
        # Equal to Python: mostly the keys stand in the same order too. Sorting them is the larger part of the cost.
        return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    return True


def go_text(value: Any) -> str:
    """A decoded JSON value as Go's %v shows it: what some error messages hold."""
    if value is None:
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    return str(value)
