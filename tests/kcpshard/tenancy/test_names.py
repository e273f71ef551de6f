from kcpshard.tenancy import names
from kcpshard.tenancy.names import TypeReference


def test_references() -> None:
    assert names.parse_reference("root:org:a") == TypeReference("root:org", "a")
    assert str(TypeReference("root:org", "a")) == "root:org:a" and str(TypeReference("", "a")) == "a"
    assert names.read_reference({"name": "a"}) == TypeReference("", "a")


def test_ancestors_nearest_first() -> None:
    assert names.ancestors("root:a:b") == ["root:a", "root"]
    assert names.ancestors("root") == [] and names.parent("root") == ""
