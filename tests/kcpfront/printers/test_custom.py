from typing import Any

import orjson
import pytest

from kcpfront.printers.custom import custom_printer, follow, parse_path

OBJ: dict[str, Any] = {
    "metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:00:00Z", "annotations": {"x.io/y": "z"}},
    "spec": {
        "replicas": 3,
        "on": True,
        "list": [1, 2, 3],
        "items": [{"n": "p"}, {"n": "q"}],
        "ratio": 0.5,
        "map": {"k": 1},
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.replicas", [3]),
        ("$.spec.replicas", [3]),
        (".spec.list[0]", [1]),
        (".spec.list[-1]", [3]),
        (".spec.list[9]", []),
        (".spec.list[*]", [1, 2, 3]),
        (".spec.items[*].n", ["p", "q"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='No')].status", []),
        (r".metadata.annotations.x\.io/y", ["z"]),
        (".metadata.annotations['x.io/y']", ["z"]),
        (".nope.nope", []),
    ],
)
def test_paths(path: str, expected: list[Any]) -> None:
    steps = parse_path(path)
    assert steps is not None
    assert follow(steps, OBJ) == expected


@pytest.mark.parametrize("path", [".a[", ".a[?(@.x>3)]", ".a b", "..a"])
def test_paths_we_cannot_follow(path: str) -> None:
    assert parse_path(path) is None


def column(name: str, type_: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "jsonPath": path, **more}


@pytest.mark.parametrize(
    ("type_", "path", "cell"),
    [
        ("integer", ".spec.replicas", 3),
        ("integer", ".spec.on", None),
        ("number", ".spec.ratio", 0.5),
        ("boolean", ".spec.on", True),
        ("string", ".spec.replicas", "3"),
        ("string", ".spec.on", "true"),
        ("string", ".spec.map", '{"k":1}'),
        ("string", ".nope", None),
        ("date", ".metadata.creationTimestamp", "100s"),
        ("date", ".nope", "<unknown>"),
        ("string", ".a[", None),
    ],
)
def test_cells(type_: str, path: str, cell: Any) -> None:
    printer = custom_printer(orjson.dumps([column("C", type_, path)]))
    assert printer.cells(OBJ, 100.0) == ["a", cell]


def test_columns_are_described() -> None:
    printer = custom_printer(
        orjson.dumps([column("C", "string", ".a", priority=1), column("D", "date", ".b", description="d")])
    )
    assert [(c.name, c.type, c.priority) for c in printer.columns] == [
        ("Name", "string", 0),
        ("C", "string", 1),
        ("D", "date", 0),
    ]
    assert printer.columns[1].description == "Custom resource definition column (in JSONPath format): .a"
    assert printer.columns[2].description == "d"


def test_without_columns_there_is_the_age() -> None:
    printer = custom_printer(b"[]")
    assert [c.name for c in printer.columns] == ["Name", "Age"]
    assert printer.cells(OBJ, 100.0) == ["a", "100s"]
