from typing import Any

from kcpshard.definitions.crd_documents import FIELD, condition, header_fields, read_header, summary
from tests.contracts.custom_types import crd, version


def stored(*versions: Any, **accepted: Any) -> dict[str, Any]:
    found = crd(*versions)
    conditions = [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "False"}]
    return {**found, "status": {"conditions": conditions, "acceptedNames": {"plural": "widgets", **accepted}}}


def test_a_header_says_what_the_document_says() -> None:
    obj = stored(version(subresources={"status": {}}), version("v2", False, deprecated=True), shortNames=["w"])
    assert read_header(header_fields(obj)) == summary(obj)
    found = summary(obj)
    assert (found.established, found.accepted, found.terminating, found.storage) == (True, False, False, "v1")
    assert [v.warning for v in found.versions] == ["", "example.com/v2 Widget is deprecated"]
    assert (condition(obj, "Established"), condition(obj, "Terminating")) == ("True", "")


def test_a_header_in_another_form_is_not_read() -> None:
    assert read_header({}) is None
    assert read_header({FIELD: "[0]"}) is None


def test_digests_are_equal_where_the_same_is_served() -> None:
    one, other = stored(version()), stored(version())
    other["metadata"] = {**other["metadata"], "uid": "x", "resourceVersion": "7"}
    assert summary(one).digest == summary(other).digest
    assert summary(one).digest != summary(stored(version(), shortNames=["w"])).digest
    assert summary(one).digest != summary(stored(version(schema={"type": "object"}))).digest
