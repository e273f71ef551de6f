from kcpshard.definitions.api_schemas import definition_of, ending, schema_faults
from kcpshard.definitions.crd_documents import summary
from tests.contracts.shared_apis import schema

STORED = {**schema(), "metadata": {"name": "v1.widgets.example.com", "uid": "u1"}}


def test_a_schema_is_a_definition_that_is_established() -> None:
    found = summary(definition_of(STORED, "widgets"))
    assert (found.name, found.established, found.accepted, found.terminating) == (
        "widgets.example.com",
        True,
        True,
        False,
    )
    assert found.storage == "v1" and found.versions[0].status


def test_one_that_ends_serves_and_takes_nothing_new() -> None:
    document = definition_of(STORED, "widgets")
    gone = ending(document)
    assert summary(gone).terminating and summary(gone).established
    assert ending(gone) == gone == definition_of(STORED, "widgets", is_ending=True)


def test_equal_contents_are_equal_whoever_binds_them() -> None:
    assert summary(definition_of(STORED, "a")) == summary(definition_of(STORED, "b"))


def test_what_cannot_be_served() -> None:
    assert schema_faults(STORED) == []
    assert "exactly one version" in schema_faults({"spec": {"versions": []}})[0]
    broken = {"spec": {"versions": [{"name": "v1", "storage": True, "schema": {"properties": {}}}]}}
    assert "spec.versions[0].schema" in schema_faults(broken)[0]
    assert "Required value" in schema_faults({"spec": {"versions": [{"name": "v1", "storage": True}]}})[0]
