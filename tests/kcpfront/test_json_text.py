import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.json_text import MAX_NESTING, check_nesting, duplicate_fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b'{"a":1}', [], id="none"),
        pytest.param(b'{"a":1,"b":{"c":1,"c":2}}', ["b.c"], id="nested"),
        pytest.param(b'{"a":1,"a":2,"a":3}', ["a"], id="said once"),
        pytest.param(b'{"l":[{"x":1},{"x":1,"x":2}]}', ["l[1].x"], id="in a list"),
        pytest.param(b'{"a":{"x":1},"a":{"y":1}}', ["a"], id="of objects"),
        pytest.param(b'{"a":1,"\\u0061":2}', ["a"], id="escaped spelling"),
        pytest.param(b'{"a" :1,"a" :2}', ["a"], id="space before the colon"),
        pytest.param(b'{"a" :1,"b":"\\u0022:","a":2}', ["a"], id="the count alone would not see it"),
        pytest.param(b'{"a":"x\\":y","b":"\\":"}', [], id="quote and colon in strings"),
        pytest.param(b'{"a":', [], id="broken JSON is somebody else's"),
        pytest.param(b"[1,2]", [], id="no object"),
    ],
)
def test_duplicates(text: bytes, expected: list[str]) -> None:
    assert duplicate_fields(text) == expected


KEYS = st.sampled_from(["a", "b", '":', "\\", "é", ""])


@st.composite
def texts(draw: st.DrawFn, depth: int = 2) -> tuple[str, bool]:
    """A JSON object and whether it has duplicates, spelled in many ways."""
    parts, seen, found = [], set(), False
    for key in draw(st.lists(KEYS, max_size=4)):
        found |= key in seen
        seen.add(key)
        value, inner = draw(texts(depth - 1)) if depth and draw(st.booleans()) else (json.dumps(draw(KEYS)), False)
        found |= inner
        spelled = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if key == '":' and draw(st.booleans()):
            spelled = spelled.replace('\\"', "\\u0022")
        parts.append(f"{spelled}{draw(st.sampled_from(['', ' ', chr(9)]))}:{draw(st.sampled_from(['', ' ']))}{value}")
    return "{" + ",".join(parts) + "}", found


@given(texts())
def test_duplicates_are_found_however_they_are_spelled(made: tuple[str, bool]) -> None:
    text, has = made
    assert bool(duplicate_fields(text.encode())) == has


def nested(levels: int) -> bytes:
    value: Any = "[" * 500  # brackets in strings are not levels
    for _ in range(levels):
        value = [value]
    return json.dumps(value).encode()


def test_nesting_is_bounded() -> None:
    check_nesting(nested(MAX_NESTING))
    with pytest.raises(ValueError, match="max depth"):
        check_nesting(nested(MAX_NESTING + 1))
    check_nesting(b"[" + b",".join([b"[]"] * 1000) + b"]")
