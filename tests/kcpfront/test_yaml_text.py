import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.yaml_text import from_json, to_json


def read(text: str) -> Any:
    return json.loads(to_json(text.encode())[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: yes", {"a": True}, id="YAML 1.1 booleans"),
        pytest.param("a: 'yes'", {"a": "yes"}, id="quoted"),
        pytest.param("a: 0755", {"a": 493}, id="octal"),
        pytest.param("a: 0x10", {"a": 16}, id="hexadecimal"),
        pytest.param("a: 1e3", {"a": 1000.0}, id="exponent"),
        pytest.param("a: 1:30", {"a": "1:30"}, id="no sexagesimal"),
        pytest.param("a: 2020-01-01", {"a": "2020-01-01"}, id="dates stay strings"),
        pytest.param("a: !!str 12", {"a": "12"}, id="explicit string"),
        pytest.param("a: ~\nb:", {"a": None, "b": None}, id="null"),
        pytest.param("1: x", {"1": "x"}, id="keys are strings"),
        pytest.param("a: &x [1]\nb: *x", {"a": [1], "b": [1]}, id="alias"),
        pytest.param(
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}, id="merge"
        ),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block"),
        pytest.param("--- {a: 1}\n--- {b: 1}\n", {"a": 1}, id="the first document"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_yaml_is_read(text: str, expected: Any) -> None:
    assert read(text) == expected


def test_duplicate_keys_are_reported() -> None:
    assert to_json(b"a: 1\nb: {c: 1, c: 2}\na: 3") == (
        b'{"a":3,"b":{"c":2}}',
        ['line 2: key "c" already set in map', 'line 3: key "a" already set in map'],
    )
    assert to_json(b"yes: 1\nyes: 2\n")[1] == ["line 2: key true already set in map"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(BOMB, "excessive aliasing", id="alias bomb"),
        pytest.param("a: &a [*a]", "contains itself", id="alias within itself"),
        pytest.param("[" * 101 + "]" * 101, "max depth", id="deep flow"),
        pytest.param("- " * 101 + "x", "max depth", id="deep block"),
        pytest.param("a: [", "line 1: did not find expected node content", id="broken"),
        pytest.param("? [a]\n: b", "not a scalar", id="complex key"),
        pytest.param("a: !!python/object/apply:os.system [ls]\nb: [", "yaml", id="tags run nothing"),
    ],
)
def test_yaml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_json(text.encode())


def test_foreign_tags_are_plain_values() -> None:
    assert read("a: !!python/name:os.system x") == {"a": "x"}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"]))
    | st.sampled_from(
        ["yes", "no", "on", "null", "~", "0755", "1.5", "1e3", "2020-01-01", "=", "<<", "- a", "a: b", "#"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ayno1~ :", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_what_is_written_reads_the_same(value: Any) -> None:
    written = from_json(json.dumps(value).encode())
    assert json.loads(to_json(written)[0]) == value
