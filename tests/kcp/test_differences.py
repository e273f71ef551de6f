import pytest

from kcp.differences import differences


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="nothing"),
        pytest.param({"spec": {"replicas": 1}}, {"spec": {"replicas": 3}}, ["  spec.replicas: 1 → 3"], id="a value"),
        pytest.param({}, {"data": {"k": "v"}}, ['+ data: {"k": "v"}'], id="added"),
        pytest.param({"l": ["a", "b"]}, {"l": ["a"]}, ['- l[1]: "b"'], id="the end of a list"),
        pytest.param({"l": ["a"]}, {"l": ["c", "b"]}, ['  l[0]: "a" → "c"', '+ l[1]: "b"'], id="more of a list"),
        pytest.param(
            {"labels": {"a.b/c": "1"}}, {"labels": {"a.b/c": "2"}}, ['  labels."a.b/c": "1" → "2"'], id="a dotted key"
        ),
        pytest.param({"a": {"b": 1}}, {"a": None}, ['  a: {"b": 1} → null'], id="another kind of value"),
        pytest.param(
            {"metadata": {"resourceVersion": "1", "generation": 1, "managedFields": []}},
            {"metadata": {"resourceVersion": "2", "generation": 2}},
            [],
            id="what every write changes",
        ),
    ],
)
def test_differences(before: dict[str, object], after: dict[str, object], lines: list[str]) -> None:
    assert differences(before, after) == lines


def test_a_missing_side_is_empty() -> None:
    assert differences(None, {"a": 1}) == ["+ a: 1"]
    assert differences({"a": 1}, None) == ["- a: 1"]
