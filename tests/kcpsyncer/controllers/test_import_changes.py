from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.controllers.import_changes import import_changes

CLUSTER = {"metadata": {"name": "east", "uid": "u1"}}
SCHEMA = {"type": "object"}


def api(plural: str = "pods", kind: str = "Pod", **changes: object) -> PulledApi:
    made = PulledApi("", "v1", plural, kind.lower(), kind, f"{kind}List", "Namespaced", (), (), ("status",), SCHEMA)
    return made._replace(**changes)


def test_a_new_api_is_imported() -> None:
    changes = import_changes([api()], CLUSTER, [])
    (made,) = changes.create
    assert (
        made["metadata"]["name"] == "pods.east.v1.core" and made["spec"]["schemaUpdateStrategy"] == "UpdateUnpublished"
    )
    assert made["metadata"]["annotations"] == {"apiresource.kcp.dev/apiVersion": "v1"}
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["apiVersion"], owner["uid"]) == ("cluster.example.dev/v1alpha1", "u1")  # D-15
    assert not changes.update and not changes.delete


def test_what_is_right_is_left_alone() -> None:
    (made,) = import_changes([api()], CLUSTER, []).create
    made["spec"]["schemaUpdateStrategy"] = "UpdatePublished"
    made["metadata"]["labels"] = {"mine": "yes"}
    assert import_changes([api()], CLUSTER, [made]) == ((), (), ())


def test_an_upgrade_changes_more_than_the_schema() -> None:
    """D-13, D-14"""
    (made,) = import_changes([api()], CLUSTER, []).create
    made["spec"]["schemaUpdateStrategy"] = "UpdatePublished"
    newer = api(schema={"type": "object", "properties": {}}, subresources=(), short_names=("po",))
    (changed,) = import_changes([newer], CLUSTER, [made]).update
    assert changed["spec"]["shortNames"] == ["po"] and "subResources" not in changed["spec"]
    assert changed["spec"]["schemaUpdateStrategy"] == "UpdatePublished"


def test_what_is_no_longer_served_goes() -> None:
    """D-14"""
    (made,) = import_changes([api()], CLUSTER, []).create
    assert import_changes([], CLUSTER, [made]).delete == (made,)


def test_a_cluster_registered_anew_takes_over_its_imports() -> None:
    (made,) = import_changes([api()], CLUSTER, []).create
    (changed,) = import_changes([api()], {"metadata": {"name": "east", "uid": "u2"}}, [made]).update
    assert changed["metadata"]["ownerReferences"][0]["uid"] == "u2"
