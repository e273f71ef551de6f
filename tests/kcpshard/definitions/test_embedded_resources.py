from typing import Any

import pytest

from kcpshard.definitions.embedded_resources import read_embedded
from kcpshard.definitions.fields import WrongType
from kcpshard.schema.structural import Structural

EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
SCHEMA = Structural({"type": "object", "properties": {"list": {"type": "array", "items": EMBEDDED}}})


def test_metadata_takes_the_form_of_object_meta() -> None:
    obj: dict[str, Any] = {"list": [{"kind": "A", "metadata": {"name": None, "zz": 1}, "zz": 1}, {"metadata": None}]}
    assert read_embedded(obj, SCHEMA) == ["list[0].metadata.zz"]
    assert obj == {"list": [{"kind": "A", "metadata": {}, "zz": 1}, {"metadata": {}}]}


@pytest.mark.parametrize(
    ("embedded", "text"),
    [
        ({"apiVersion": None}, "list[0].apiVersion: Invalid value: null: must be a string"),
        ({"metadata": []}, "list[0].metadata: Invalid value: []: must be an object"),
        ({"metadata": {"name": 1}}, 'list[0].metadata: Invalid value: {"name":1}: json: cannot unmarshal number'),
    ],
)
def test_wrong_types(embedded: Any, text: str) -> None:
    with pytest.raises(WrongType) as found:
        read_embedded({"list": [embedded]}, SCHEMA)
    assert str(found.value).startswith(text)
