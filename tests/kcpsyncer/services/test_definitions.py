"""The definitions are structural schemas that a server takes, and nothing of the API's example is lost in them."""

from kcpsyncer.services.definitions import EXPORTS, definitions


def test_both_types_have_a_status_of_their_own() -> None:
    found = {each["metadata"]["name"]: each["spec"] for each in definitions()}
    assert set(found) == {EXPORTS, "serviceimports.multicluster.x-k8s.io"}
    for spec in found.values():
        (version,) = spec["versions"]
        assert (spec["scope"], version["name"], version["subresources"]) == ("Namespaced", "v1alpha1", {"status": {}})
