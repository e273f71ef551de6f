from tests.kcpshard.definitions.submission import create, resource, update

NAMESPACES = resource("namespaces")


def test_a_new_namespace_is_active_and_finalized() -> None:
    found, faults = create(NAMESPACES, "n", status={"phase": "Terminating"}, spec={"finalizers": ["a/b"]})
    assert faults == []
    assert found["status"] == {"phase": "Active"} and found["spec"] == {"finalizers": ["a/b", "kubernetes"]}
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


def test_each_part_has_its_way() -> None:
    old, _ = create(NAMESPACES)
    assert update(NAMESPACES, old, spec={}, status={"phase": "Terminating"})[0]["spec"] == old["spec"]
    assert update(NAMESPACES, old, "finalize", spec={"finalizers": []})[0]["spec"] == {}
    assert update(NAMESPACES, old, "finalize", spec={"finalizers": ["bad"]})[1] == ["spec.finalizers[0]"]
    assert update(NAMESPACES, old, "status", status={"phase": "Terminating"})[1] == ["status.Phase"]
    going = old | {"metadata": {"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z"}}
    assert update(NAMESPACES, going, "status", status={"phase": "Terminating"})[1] == []
    assert update(NAMESPACES, going, "status", status={"phase": "Active"})[1] == ["status.Phase"]
