from typing import Any

import pytest

from kcpshard.schema.default_faults import default_faults


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string", "default": "a", "maxLength": 1}, [], id="a good one"),
        pytest.param({"type": "string", "default": "ab", "maxLength": 1}, ["s.default"], id="too long"),
        pytest.param(
            {"type": "object", "default": {"x": {}}, "properties": {"x": {"type": "object", "required": ["y"]}}},
            ["s.default.x.y"],
            id="within it",
        ),
        pytest.param(
            {
                "type": "object",
                "default": {},
                "required": ["a"],
                "properties": {"a": {"type": "string", "default": "x"}},
            },
            [],
            id="defaults fill defaults",
        ),
        pytest.param({"type": "array", "items": {"type": "integer", "default": "x"}}, ["s.items.default"], id="below"),
    ],
)
def test_defaults(schema: dict[str, Any], expected: list[str]) -> None:
    assert [fault.field for fault in default_faults(schema, "s")] == expected
