import pytest

from kcpshard.cel.field_paths import field_path

SCHEMA = {"properties": {"a": {"properties": {"b": {}}}, "m": {"additionalProperties": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(".a.b", ".a.b"), ("['a'].b", ".a.b"), (".m['x.y']", ".m[x.y]"), (".c", None), ("a", None), (".a[0]", None)],
)
def test_paths(text: str, wanted: str | None) -> None:
    assert field_path(text, SCHEMA) == wanted
