"""The rules as a table, one row per fact, and the promise as a property."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcpshard.schema.compatibility import Comparison, compare
from kcpshard.schema.defaulting import default
from kcpshard.schema.pruning import prune
from kcpshard.schema.structural import Structural
from kcpshard.schema.structural_faults import faults
from kcpshard.schema.validation import satisfies

Raw = dict[str, Any]
BASE = "schema.openAPISchema"
STRING, INTEGER, NUMBER, BOOLEAN = ({"type": t} for t in ("string", "integer", "number", "boolean"))
FREE = {"x-kubernetes-preserve-unknown-fields": True}
INT_OR_STRING = {"x-kubernetes-int-or-string": True}


def obj(**properties: Raw) -> Raw:
    return {"type": "object", "properties": properties}


def mapping(values: Any) -> Raw:
    return {"type": "object", "additionalProperties": values}


def array(items: Raw, **more: Any) -> Raw:
    return {"type": "array", "items": items, **more}


def text(**rules: Any) -> Raw:
    return {"type": "string", **rules}


def number(**rules: Any) -> Raw:
    return {"type": "integer", **rules}


def within(existing: Raw, new: Raw) -> Comparison:
    """Compared as the field `f` of an object."""
    return compare(obj(f=existing), obj(f=new), BASE)


TWO, ONE = obj(a=STRING, b=STRING), obj(a=STRING)
FITS = "fits"  # the new one accepts all; the LCD is the existing one
CONFLICT = "conflict"

# existing, new, and the LCD (or FITS, or CONFLICT) of the field
ROWS: dict[str, tuple[Raw, Raw, Any]] = {
    # the prototype's six
    "a new property": (obj(existing=STRING), obj(existing=STRING, new=INTEGER), FITS),
    "a property removed": (obj(existing=STRING, new=INTEGER), obj(existing=STRING), obj(existing=STRING)),
    "properties, new additionalProperties": (obj(p=ONE, q=TWO), mapping(TWO), FITS),
    "… that lack one": (obj(p=ONE, q=TWO), mapping(ONE), obj(p=ONE, q=ONE)),
    "properties, new additionalProperties true": (obj(existing=STRING), mapping(True), FITS),
    # those its successor added
    "number, more properties": (obj(e=NUMBER), obj(e=NUMBER, n=INTEGER), FITS),
    "integer, more properties": (obj(e=INTEGER), obj(e=INTEGER, n=NUMBER), FITS),
    "int-or-string, more properties": (obj(e=INT_OR_STRING), obj(e=INT_OR_STRING, n=INTEGER), FITS),
    "boolean, more properties": (obj(e=BOOLEAN), obj(e=BOOLEAN, n=NUMBER), FITS),
    "items, more properties": (array(obj(e=INTEGER)), array(obj(e=INTEGER, n=STRING)), FITS),
    "values, more properties": (mapping(ONE), mapping(TWO), FITS),
    "values of anything, new of one type": (mapping(True), mapping(BOOLEAN), mapping(BOOLEAN)),
    "values of one type, new of anything": (mapping(BOOLEAN), mapping(True), FITS),
    # types
    "integer to number": (INTEGER, NUMBER, FITS),
    "number to integer": (NUMBER, INTEGER, INTEGER),
    "string to integer": (STRING, INTEGER, CONFLICT),
    "int-or-string to string": (INT_OR_STRING, STRING, STRING),
    "int-or-string to integer": (INT_OR_STRING, INTEGER, INTEGER),
    "int-or-string to number": (INT_OR_STRING, NUMBER, INTEGER),
    "integer to int-or-string": (INTEGER, INT_OR_STRING, FITS),
    "string to int-or-string": (STRING, INT_OR_STRING, FITS),
    "boolean to int-or-string": (BOOLEAN, INT_OR_STRING, CONFLICT),
    "anything to string": (FREE, STRING, STRING),
    "string to anything": (STRING, FREE, FITS),
    "object to array": (ONE, array(STRING), CONFLICT),
    # fields
    "required added": (TWO, {**TWO, "required": ["a"]}, {**TWO, "required": ["a"]}),
    "required added with a default": (
        TWO,
        {**obj(a=text(default="x"), b=STRING), "required": ["a"]},
        {**obj(a=text(default="x"), b=STRING), "required": ["a"]},
    ),
    "required removed": ({**TWO, "required": ["a"]}, TWO, FITS),
    "required of an unknown field": (ONE, {**TWO, "required": ["b"]}, CONFLICT),
    "a required field removed": ({**TWO, "required": ["b"]}, ONE, CONFLICT),
    "unknown fields no longer kept": ({**ONE, **FREE}, ONE, ONE),
    "unknown fields kept": (ONE, {**ONE, **FREE}, FITS),
    "properties to none": (TWO, {"type": "object"}, {"type": "object"}),
    "none to properties": ({"type": "object"}, TWO, FITS),
    "values to properties": (mapping(STRING), ONE, ONE),
    "values to none": (mapping(STRING), {"type": "object"}, {"type": "object"}),
    "unknown fields to values": ({**ONE, **FREE}, mapping(STRING), ONE),
    "two levels": (obj(s=obj(a=STRING, b=TWO)), obj(s=obj(b=ONE)), obj(s=obj(b=ONE))),
    "embedded resource": ({**ONE, "x-kubernetes-embedded-resource": True}, ONE, CONFLICT),
    "map type": ({**ONE, "x-kubernetes-map-type": "atomic"}, ONE, CONFLICT),
    # null
    "null no longer allowed": ({**STRING, "nullable": True}, STRING, STRING),
    "null allowed": (STRING, {**STRING, "nullable": True}, FITS),
    # enums
    "enum added": (STRING, text(enum=["a", "b"]), text(enum=["a", "b"])),
    "enum dropped": (text(enum=["a", "b"]), STRING, FITS),
    "enum widened": (text(enum=["a"]), text(enum=["a", "b"]), FITS),
    "enum narrowed": (text(enum=["a", "b"]), text(enum=["b", "c"]), text(enum=["b"])),
    "enums disjoint": (text(enum=["a"]), text(enum=["b"]), CONFLICT),
    "enum of integers": (number(enum=[1, 2]), number(enum=[2]), number(enum=[2])),
    # bounds
    "maximum lowered": (number(maximum=5), number(maximum=3), number(maximum=3)),
    "maximum raised": (number(maximum=3), number(maximum=5), FITS),
    "minimum added": (INTEGER, number(minimum=1), number(minimum=1)),
    "interval": (number(minimum=1, maximum=5), number(minimum=3, maximum=9), number(minimum=3, maximum=5)),
    "intervals disjoint": (number(maximum=1), number(minimum=2), CONFLICT),
    "an end left out": (
        number(maximum=5),
        number(maximum=5, exclusiveMaximum=True),
        number(maximum=5, exclusiveMaximum=True),
    ),
    "maxLength lowered": (text(maxLength=5), text(maxLength=3), text(maxLength=3)),
    "minLength raised": (text(minLength=1), text(minLength=3), text(minLength=3)),
    "lengths disjoint": (text(maxLength=1), text(minLength=2), CONFLICT),
    "maxItems added": (array(STRING), array(STRING, maxItems=3), array(STRING, maxItems=3)),
    "minItems dropped": (array(STRING, minItems=3), array(STRING), FITS),
    "maxProperties lowered": ({**ONE, "maxProperties": 3}, {**ONE, "maxProperties": 1}, {**ONE, "maxProperties": 1}),
    "multipleOf": (number(multipleOf=4), number(multipleOf=6), number(multipleOf=12)),
    "multipleOf dropped": (number(multipleOf=4), INTEGER, FITS),
    # formats and patterns
    "format added": (STRING, text(format="date-time"), text(format="date-time")),
    "format dropped": (text(format="date-time"), STRING, FITS),
    "format changed": (text(format="date-time"), text(format="ipv4"), CONFLICT),
    "int64 to int32": (number(format="int64"), number(format="int32"), number(format="int32")),
    "int32 to int64": (number(format="int32"), number(format="int64"), FITS),
    "pattern added": (STRING, text(pattern="^a"), text(pattern="^a")),
    "pattern changed": (text(pattern="^a"), text(pattern="b$"), text(pattern="^a", allOf=[{"pattern": "b$"}])),
    "junctors alike": (text(anyOf=[{"pattern": "a"}]), text(anyOf=[{"pattern": "a"}]), FITS),
    "anyOf added": (STRING, text(anyOf=[{"pattern": "a"}]), text(anyOf=[{"pattern": "a"}])),
    "not changed": (
        text(**{"not": {"pattern": "a"}}),
        text(**{"not": {"pattern": "b"}}),
        text(**{"not": {"pattern": "a"}, "allOf": [{"not": {"pattern": "b"}}]}),
    ),
    "a junctor that names a removed field": ({**TWO, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, TWO, FITS),
    "a junctor that describes a removed field": ({**TWO, "not": {"properties": {"b": {"enum": ["x"]}}}}, ONE, CONFLICT),
    # lists
    "list types": (array(STRING, **{"x-kubernetes-list-type": "set"}), array(STRING), CONFLICT),
    "unique items": (array(STRING), array(STRING, uniqueItems=True), array(STRING, uniqueItems=True)),
    # expressions
    "rule added": (
        obj(a=INTEGER, b=INTEGER),
        {**obj(a=INTEGER, b=INTEGER), "x-kubernetes-validations": [{"rule": "self.a > 0"}]},
        {**obj(a=INTEGER, b=INTEGER), "x-kubernetes-validations": [{"rule": "self.a > 0"}]},
    ),
    "a rule on a removed field": ({**TWO, "x-kubernetes-validations": [{"rule": "self.b == ''"}]}, ONE, CONFLICT),
    # defaults
    "default of one": (STRING, text(default="x"), "default is kept"),
    "defaults differ": (text(default="y"), text(default="x"), "no default"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    existing, new, expected = ROWS[name]
    found = within(existing, new)
    if expected is CONFLICT:
        assert found.conflicts and found.lcd is None and not found.is_compatible
        return
    assert found.lcd is not None, found.conflicts
    lcd = found.lcd["properties"]["f"]
    if expected is FITS:
        assert found.is_compatible, found.narrowings
        assert lcd == existing
    elif expected == "default is kept":
        assert found.is_compatible and lcd["default"] == "x"
    elif expected == "no default":
        assert found.is_compatible and "default" not in lcd
    else:
        assert found.is_compatible == (name == "required added with a default")
        assert lcd == expected


def test_where_a_property_is_missing() -> None:
    found = compare(obj(existing=STRING, new=INTEGER), obj(existing=STRING), BASE)
    assert [(f.path, f.removed) for f in found.narrowings] == [(f"{BASE}.properties", ("new",))]
    found = compare(obj(p=ONE, q=TWO), mapping(ONE), BASE)
    assert [(f.path, f.removed) for f in found.narrowings] == [(f"{BASE}.properties[q].properties", ("b",))]


def test_an_absent_schema_allows_nothing() -> None:
    assert compare(ONE, None, BASE).conflicts


def test_keys_of_a_map_list() -> None:
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]}
    item = {**obj(port=INTEGER, protocol=text(default="TCP"), name=STRING), "required": ["port"]}
    bare = {**obj(port=INTEGER, protocol=STRING), "required": ["port", "protocol"]}
    turned = {**keyed, "x-kubernetes-list-map-keys": ["protocol", "port"]}
    lcd = within(array(item, **keyed), array(bare, **turned)).lcd
    assert lcd is not None
    assert lcd["properties"]["f"]["items"]["properties"] == {"port": INTEGER, "protocol": text(default="TCP")}
    assert within(array(item, **keyed), array(item, **{**keyed, "x-kubernetes-list-map-keys": ["port"]})).conflicts


def test_an_int_or_string_keeps_its_idiom() -> None:
    idiom = {**INT_OR_STRING, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    found = within(idiom, {**INT_OR_STRING, "pattern": "^a"})
    assert found.lcd is not None and found.lcd["properties"]["f"] == {**idiom, "pattern": "^a"}
    assert within(idiom, INT_OR_STRING).is_compatible


def test_descriptions_are_those_of_the_existing_schema() -> None:
    found = within({**STRING, "description": "ours"}, {**STRING, "description": "theirs"})
    assert found.is_compatible and found.lcd is not None
    assert found.lcd["properties"]["f"]["description"] == "ours"


# --- the promise

NAMES = st.sampled_from("abc")
TEXTS = ["", "a", "ab", "b", "abc"]
SCALARS = st.none() | st.booleans() | st.integers(-1, 4) | st.sampled_from([0.5, 2.0, *TEXTS])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def _with(kind: Raw, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Raw]:
    return st.fixed_dictionaries({k: st.just(v) for k, v in kind.items()}, optional=optional)


CONJUNCT = st.fixed_dictionaries({"pattern": st.sampled_from(["^a", "b$"])})
LEAVES = st.one_of(
    _with(
        STRING,
        nullable=st.booleans(),
        default=st.sampled_from(TEXTS),
        enum=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True),
        minLength=st.integers(0, 2),
        maxLength=st.integers(0, 3),
        pattern=st.sampled_from(["^a", "b$"]),
        allOf=st.lists(CONJUNCT, min_size=1, max_size=2),
        anyOf=st.lists(CONJUNCT, min_size=1, max_size=2),
        **{"not": CONJUNCT},
    ),
    _with(
        INTEGER,
        nullable=st.booleans(),
        minimum=st.sampled_from([0, 0.5, 1, 1.5]),
        maximum=st.sampled_from([2, 2.5, 3]),
        exclusiveMinimum=st.booleans(),
        exclusiveMaximum=st.booleans(),
        multipleOf=st.sampled_from([1, 2, 3]),
        default=st.integers(0, 3),
    ),
    _with(NUMBER, minimum=st.sampled_from([0, 0.5, 1]), exclusiveMinimum=st.booleans(), maximum=st.just(2)),
    _with(INT_OR_STRING, minimum=st.just(1), pattern=st.just("^a"), nullable=st.booleans()),
    _with(BOOLEAN, nullable=st.booleans()),
    _with(FREE, nullable=st.booleans()),
    _with({"type": "object", **FREE}),
)


def _nodes(inner: st.SearchStrategy[Raw]) -> st.SearchStrategy[Raw]:
    return st.one_of(
        objects(inner),
        _with({"type": "object"}, additionalProperties=inner | st.just(True), nullable=st.booleans()),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 1), "maxItems": st.integers(1, 3)},
        ),
    )


def objects(inner: st.SearchStrategy[Raw]) -> st.SearchStrategy[Raw]:
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={
            "required": st.lists(NAMES, max_size=2, unique=True),
            "x-kubernetes-preserve-unknown-fields": st.just(True),
            "nullable": st.booleans(),
        },
    )


SCHEMAS = st.recursive(LEAVES, _nodes, max_leaves=5)


def sane(schema: Raw) -> Raw:
    """Without defaults that it does not accept itself: a server refuses those."""
    made = {k: v for k, v in schema.items() if k != "default" or satisfies(v, Structural(schema))}
    if "properties" in made:
        made["properties"] = {name: sane(child) for name, child in made["properties"].items()}
    for member in ("items", "additionalProperties"):
        if isinstance(made.get(member), dict):
            made[member] = sane(made[member])
    return made


ROOTS = st.builds(lambda s: sane({k: v for k, v in s.items() if k != "nullable"}), objects(SCHEMAS))


def keeps(schema: Raw, value: Raw) -> bool:
    """Accepts it and drops nothing of it."""
    structural, copied = Structural(schema), copy.deepcopy(value)
    prune(copied, structural)
    return copied == value and satisfies(value, structural)


def filled(schema: Raw, value: Raw) -> Raw:
    copied = copy.deepcopy(value)
    default(copied, Structural(schema))
    return copied


@settings(max_examples=400, deadline=None)
@given(ROOTS, ROOTS, st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=1, max_size=8))
def test_what_the_lcd_accepts_both_accept(existing: Raw, new: Raw, values: list[Raw]) -> None:
    found = compare(existing, new, BASE)
    for value in values if found.lcd is not None else ():
        complete = filled(found.lcd or {}, value)
        if keeps(found.lcd or {}, complete):
            assert keeps(existing, complete) and keeps(new, complete)


@settings(max_examples=400, deadline=None)
@given(ROOTS, ROOTS, st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=1, max_size=8))
def test_compatible_means_that_nothing_is_lost(existing: Raw, new: Raw, values: list[Raw]) -> None:
    lcd = compare(existing, new, BASE).lcd  # two that are compatible, where chance rarely makes some
    pairs = [(existing, new)] if lcd is None else [(existing, new), (lcd, new), (lcd, existing)]
    for narrow, wide in pairs:
        if not compare(narrow, wide, BASE).is_compatible:
            assert narrow is existing
            continue
        for value in values:
            complete = filled(narrow, value)
            if keeps(narrow, complete):
                assert keeps(wide, filled(wide, complete))


@settings(max_examples=200, deadline=None)
@given(ROOTS, ROOTS, st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=1, max_size=6))
def test_the_order_does_not_matter(existing: Raw, new: Raw, values: list[Raw]) -> None:
    one, other = compare(existing, new, BASE), compare(new, existing, BASE)
    assert bool(one.conflicts) == bool(other.conflicts)
    if one.lcd is not None and other.lcd is not None:
        for value in values:
            assert keeps(one.lcd, value) == keeps(other.lcd, value)


@settings(max_examples=200, deadline=None)
@given(ROOTS, ROOTS)
def test_comparing_again_changes_nothing(existing: Raw, new: Raw) -> None:
    lcd = compare(existing, new, BASE).lcd
    if lcd is None:
        return
    again = compare(lcd, new, BASE)
    assert again.lcd == lcd and not again.conflicts
    assert compare(lcd, existing, BASE).lcd == lcd


@settings(max_examples=200, deadline=None)
@given(ROOTS, ROOTS)
def test_what_is_structural_stays_so(existing: Raw, new: Raw) -> None:
    lcd = compare(existing, new, BASE).lcd
    if lcd is not None and not faults(existing, BASE) and not faults(new, BASE):
        assert not faults(lcd, BASE)
