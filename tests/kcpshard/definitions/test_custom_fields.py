from typing import Any

import pytest

from kcpshard.definitions.custom_fields import (
    SelectableField,
    scale_faults,
    selectable_fields,
    set_at,
    steps_of,
    value_at,
)


def test_paths() -> None:
    assert steps_of(".spec.a.b") == ("spec", "a", "b")
    assert steps_of(".metadata.labels['a.b/c']") == ("metadata", "labels", "a.b/c")
    obj: dict[str, Any] = {"spec": 1}
    assert value_at(obj, ("spec", "x")) is None
    set_at(obj, ("spec", "x"), 2)
    assert obj == {"spec": {"x": 2}} and value_at(obj, ("spec", "x")) == 2


def test_selectable_fields_are_texts() -> None:
    fields = [SelectableField.parse(path) for path in (".spec.a", ".spec.b", ".spec.c", ".spec.d")]
    found = selectable_fields({"spec": {"a": "x", "b": True, "c": 3}}, fields)
    assert found == {"spec.a": "x", "spec.b": "true", "spec.c": "3", "spec.d": ""}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, []), ({"n": 1}, []), ({"n": -1}, [".spec.n"]), ({"n": "x"}, [".spec.n"]), ({"n": 2**31}, [".spec.n"])],
)
def test_scale(spec: Any, expected: list[str]) -> None:
    paths = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
    assert [f.field for f in scale_faults({"spec": spec}, paths)] == expected
    assert [f.field for f in scale_faults({"status": {"s": "!!"}}, paths)] == [".status.s"]
