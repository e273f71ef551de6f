from typing import Any

import pytest

from kcpshard.definitions.crd_schemas import schema_faults
from tests.contracts.custom_types import SCHEMA, crd, version

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
BAD = {"type": "object", "properties": {"a": {}}}


def fields(*paths: str) -> dict[str, Any]:
    return {"selectableFields": [{"jsonPath": path} for path in paths]}


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([version()], [], id="nothing wrong"),
        pytest.param(
            [version(schema=BAD), version("v2", False, BAD)],
            ["spec.validation.openAPIV3Schema.properties[a].type"],
            id="what all versions share is reported once",
        ),
        pytest.param(
            [version(schema=OPEN), version("v2", False, BAD)],
            ["spec.versions[1].schema.openAPIV3Schema.properties[a].type"],
            id="or where it is",
        ),
        pytest.param([version(**fields(".spec.color", ".spec.size"))], [], id="selectable fields"),
        pytest.param(
            [version(**fields(".spec", ".spec.no", ".metadata.name", "spec.color"))],
            [f"spec.selectableFields[{n}].jsonPath" for n in range(4)],
            id="no selectable fields",
        ),
        pytest.param([version(**fields(*[".spec.color"] * 9))], ["spec.selectableFields"], id="too many of them"),
    ],
)
def test_faults(versions: list[Any], expected: list[str]) -> None:
    assert [fault.field for fault in schema_faults(crd(*versions))] == expected
    assert SCHEMA["type"] == "object"
