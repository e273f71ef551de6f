"""Does an object satisfy its structural schema, and if not, every reason, in kube-apiserver's words.

`satisfies` answers yes or no by closures, one per node, and builds nothing; only after a no does `explain` walk again
and yield every fault in order. Neither raises for a bad value. Sources: go-openapi/validate as apiextensions
uses it, JSON Schema draft 4 with Kubernetes' extensions.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import orjson
import re2

from kcpshard.api.errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)
from kcpshard.api.objects import are_same
from kcpshard.schema.formats import accepts
from kcpshard.schema.structural import Structural

Check = Callable[[Any], bool]
_PYTHON_TYPES: Mapping[str, Check] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def satisfies(value: Any, schema: Structural) -> bool:
    """Whether nothing is wrong with the value. Compiles each node of the schema when a value first gets to it."""
    check = schema.check
    if check is None:
        check = schema.check = _compiled(schema)
    return check(value)


def compile_schema(schema: Structural) -> Check:
    """The whole schema as one predicate."""
    return lambda value: satisfies(value, schema)


def _compiled(schema: Structural) -> Check:
    checks = (*_type_checks(schema), *_rule_checks(schema.rules), *_child_checks(schema))
    nullable = schema.nullable
    takes_null = None in schema.rules.get("enum", (None,))

    def check(value: Any) -> bool:
        if value is None and nullable:
            return takes_null
        for passes in checks:  # noqa: SIM110 - all() over a generator costs twice as much
            if not passes(value):
                return False
        return True

    return check


def _type_checks(schema: Structural) -> Iterator[Check]:
    if schema.int_or_string:
        yield lambda v: isinstance(v, str) or _PYTHON_TYPES["integer"](v)
    elif schema.type:
        yield _PYTHON_TYPES[schema.type]
    if schema.embedded:
        yield lambda v: not list(_embedded_faults(v, ""))


def _child_checks(schema: Structural) -> Iterator[Check]:
    if schema.required:
        names = schema.required
        yield lambda v: not isinstance(v, dict) or all(n in v for n in names)
    if schema.properties is not None:
        yield partial(_satisfies_properties, schema.properties)
    if (values := schema.values) is not None:
        yield lambda v: not isinstance(v, dict) or all(satisfies(item, values) for item in v.values())
    if (items := schema.items) is not None:
        yield lambda v: not isinstance(v, list) or all(satisfies(item, items) for item in v)
    if schema.list_type in ("set", "map"):
        yield lambda v: not isinstance(v, list) or next(_duplicates(v, schema, ""), None) is None


def _satisfies_properties(properties: Mapping[str, Structural], value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    for name, item in value.items():
        child = properties.get(name)
        if child is not None and not satisfies(item, child):
            return False
    return True


def _rule_checks(rules: Mapping[str, Any]) -> Iterator[Check]:
    if rules:
        yield lambda v: next(_rule_faults(v, rules, ""), None) is None


_ABSENT: Any = object()


def explain(value: Any, schema: Structural, path: str = "", old: Any = _ABSENT) -> Iterator[FieldError]:
    """Every fault but those of `list_faults`, outermost first.

    `old` is what an update replaces: what is as it was is not judged again (KEP-4008, ratcheting). Items are told from
    each other by the keys of a map list, in other lists they are all new.
    """
    if value is None and schema.nullable:
        yield from _enum_faults(value, schema.rules, path)  # which must name null for it to be allowed
        return
    if old is not _ABSENT and are_same(value, old):
        return
    wrong = _type_fault(value, schema, path)
    if wrong is not None:
        yield wrong
        yield from _enum_faults(value, schema.rules, path)
        return
    yield from _rule_faults(value, schema.rules, path)
    if isinstance(value, dict):
        yield from _explain_object(value, schema, path, old if isinstance(old, dict) else {})
    elif isinstance(value, list):
        yield from _explain_list(value, schema, path, old if isinstance(old, list) else [])


def _explain_object(value: dict[str, Any], schema: Structural, path: str, old: dict[str, Any]) -> Iterator[FieldError]:
    if schema.embedded:
        yield from _embedded_faults(value, path)
    for name in schema.required:
        if name not in value:
            yield required(_join(path, name))
    for name, item in value.items():
        child = schema.child(name)
        if child is not None:
            yield from explain(item, child, _join(path, name), old.get(name, _ABSENT))


def _explain_list(value: list[Any], schema: Structural, path: str, old: list[Any]) -> Iterator[FieldError]:
    if schema.items is not None:
        known = {_map_key(item, schema): item for item in old if isinstance(item, dict)} if schema.merge_key else {}
        for place, item in enumerate(value):
            before = known.get(_map_key(item, schema), _ABSENT) if known and isinstance(item, dict) else _ABSENT
            yield from explain(item, schema.items, f"{path}[{place}]", before)


def _map_key(item: dict[str, Any], schema: Structural) -> bytes:
    key = {n: item[n] for n in schema.list_map_keys if n in item}
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown_path(path: str) -> str:
    return path or '""'


def json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _type_fault(value: Any, schema: Structural, path: str) -> FieldError | None:
    if schema.int_or_string:
        if isinstance(value, str) or _PYTHON_TYPES["integer"](value):
            return None
        wanted = "integer,string"
    elif not schema.type or _PYTHON_TYPES[schema.type](value):
        return None
    else:
        wanted = schema.type
    actual = json_type(value)
    return type_invalid(path, actual, f'{path} in body must be of type {wanted}: "{actual}"')


def _embedded_faults(value: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(value, dict):
        return
    for name in ("apiVersion", "kind"):
        given = value.get(name)
        if given is None or not isinstance(given, str) or not given:
            yield required(_join(path, name), "must not be empty")


def list_faults(value: Any, schema: Structural, path: str = "") -> Iterator[FieldError]:
    """Lists that are sets or maps and hold something twice, anywhere in the value. Keys of maps stand in brackets."""
    if isinstance(value, list):
        yield from _duplicates(value, schema, path)
        if schema.items is not None:
            for place, item in enumerate(value):
                yield from list_faults(item, schema.items, f"{path}[{place}]")
    elif isinstance(value, dict):
        properties = schema.properties or {}
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                if name in properties:
                    yield from list_faults(item, properties[name], _join(path, name))
                elif schema.values is not None:
                    yield from list_faults(item, schema.values, f"{path}[{name}]")


def _duplicates(value: list[Any], schema: Structural, path: str) -> Iterator[FieldError]:
    if schema.list_type not in ("set", "map"):
        return
    if schema.list_type == "map":
        for place, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                yield invalid(f"{path}[{place}]", item, "must be an object for an array of list-type map")
                return
    seen: dict[bytes, int] = {}
    for place, item in enumerate(value):
        key = item
        if schema.list_type == "map":
            key = {n: item[n] for n in schema.list_map_keys if n in item} if isinstance(item, dict) else {}
        encoded = orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
        times = seen[encoded] = seen.get(encoded, 0) + 1
        if times == 2:  # once for each value
            yield duplicate(f"{path}[{place}]", key)


def _rule_faults(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """The value validations of one node."""
    if not rules:
        return
    match value:
        case bool():
            pass
        case int() | float():
            yield from _number_faults(value, rules, path)
        case str():
            yield from _string_faults(value, rules, path)
        case list():
            yield from _list_faults(value, rules, path)
        case dict():
            yield from _map_faults(value, rules, path)
    yield from _enum_faults(value, rules, path)
    yield from _junctor_faults(value, rules, path)


def _are_equal(value: Any, allowed: Any) -> bool:
    """As numbers 1 and 1.0 are; to Python true is 1 as well."""
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


def _enum_faults(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "enum" in rules and not any(_are_equal(value, allowed) for allowed in rules["enum"]):
        yield not_supported(path, value, [v if isinstance(v, str) else orjson.dumps(v).decode() for v in rules["enum"]])


def _number_faults(value: float, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    low, high, step = rules.get("minimum"), rules.get("maximum"), rules.get("multipleOf")
    if isinstance(value, int):
        # As go-openapi does: an integer is compared with the whole part of a bound.
        low, high = (int(bound) if bound is not None else None for bound in (low, high))
    if low is not None:
        if rules.get("exclusiveMinimum") and value <= low:
            yield invalid(path, value, f"{path} in body should be greater than {_number(low)}")
        elif value < low:
            yield invalid(path, value, f"{path} in body should be greater than or equal to {_number(low)}")
    if high is not None:
        if rules.get("exclusiveMaximum") and value >= high:
            yield invalid(path, value, f"{path} in body should be less than {_number(high)}")
        elif value > high:
            yield invalid(path, value, f"{path} in body should be less than or equal to {_number(high)}")
    if step and abs(value / step - round(value / step)) > 1e-9:
        yield invalid(path, value, f"{path} in body should be a multiple of {_number(step)}")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _string_faults(value: str, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "maxLength" in rules and len(value) > rules["maxLength"]:
        limit = int(rules["maxLength"])
        yield too_long(path, limit)
    if "minLength" in rules and len(value) < rules["minLength"]:
        yield invalid(path, value, f"{path} in body should be at least {int(rules['minLength'])} chars long")
    if "pattern" in rules and not _matches(rules["pattern"], value):
        yield invalid(path, value, f"{path} in body should match '{rules['pattern']}'")
    if "format" in rules and not accepts(rules["format"], value):
        shown = orjson.dumps(value).decode()
        yield type_invalid(path, value, f"{path} in body must be of type {rules['format']}: {shown}")


_patterns: dict[str, Any] = {}
_SHORT = 64  # characters
_MAX_PATTERNS = 4096  # when full the cache is emptied; a compilation is tens of microseconds


def _matches(pattern: str, value: str) -> bool:
    return _matches_short(pattern, value) if len(value) <= _SHORT else bool(_pattern(pattern).search(value))


@lru_cache(maxsize=2048)  # a search is some ten microseconds, and short values come again and again
def _matches_short(pattern: str, value: str) -> bool:
    return bool(_pattern(pattern).search(value))


def _pattern(text: str) -> Any:
    found = _patterns.get(text)
    if found is None:
        if len(_patterns) >= _MAX_PATTERNS:
            _patterns.clear()
        found = _patterns[text] = re2.compile(text)
    return found


def _list_faults(value: list[Any], rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "maxItems" in rules and len(value) > rules["maxItems"]:
        yield too_many(path, len(value), int(rules["maxItems"]))
    if "minItems" in rules and len(value) < rules["minItems"]:
        yield invalid(path, value, f"{path} in body should have at least {int(rules['minItems'])} items")


def _map_faults(value: dict[str, Any], rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "maxProperties" in rules and len(value) > rules["maxProperties"]:
        yield too_many(path, len(value), int(rules["maxProperties"]))
    if "minProperties" in rules and len(value) < rules["minProperties"]:
        yield invalid(path, value, f"{path} in body should have at least {int(rules['minProperties'])} properties")


def _junctor_faults(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    shown = _shown_path(path) if not path else f'"{path}"'
    if "allOf" in rules:
        failed = [f for child in rules["allOf"] for f in _raw_faults(value, child, path)]
        if failed:
            yield from failed
            yield _unmet(f"{shown} must validate all the schemas (allOf)")
    if "anyOf" in rules:
        results = [list(_raw_faults(value, child, path)) for child in rules["anyOf"]]
        if all(results):
            yield _unmet(f"{shown} must validate at least one schema (anyOf)")
            yield from min(results, key=len)
    if "oneOf" in rules:
        results = [list(_raw_faults(value, child, path)) for child in rules["oneOf"]]
        valid = sum(not r for r in results)
        if valid != 1:
            found = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            yield _unmet(f"{shown} must validate one and only one schema (oneOf). {found}")
            if not valid:
                yield from min(results, key=len)
    if "not" in rules and not list(_raw_faults(value, rules["not"], path)):
        yield _unmet(f"{shown} must not validate the schema (not)")


def _unmet(text: str) -> FieldError:
    """go-openapi does not say where; kube-apiserver shows that as a nil path."""
    return FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": {text}')


def _raw_faults(value: Any, raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A schema inside a junctor: value validations only, but `type` may stand in the two int-or-string idioms."""
    yield from explain(value, _junctor(raw), path)


_junctors: dict[int, tuple[Mapping[str, Any], Structural]] = {}


def _junctor(raw: Mapping[str, Any]) -> Structural:
    """Parsed once while its schema lives; keyed by identity, the entry keeps the key's object alive."""
    found = _junctors.get(id(raw))
    if found is None or found[0] is not raw:
        if len(_junctors) >= _MAX_PATTERNS:
            _junctors.clear()
        found = _junctors[id(raw)] = (raw, Structural(raw))
    return found[1]
