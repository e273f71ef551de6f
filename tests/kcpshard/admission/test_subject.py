from kcpshard.admission.attributes import CREATE, UPDATE, Attributes
from kcpshard.admission.subject import Subject, kind_of
from kcpshard.definitions.contract import Resource
from tests.contracts.api_client import ADMIN, CONFIGMAPS, ApiClient, configmap


def subject(client: ApiClient, resource: Resource, operation: str = CREATE, name: str = "a", **more: object) -> Subject:
    cluster = client.shard.store.find_cluster(client.cluster)
    assert cluster is not None
    namespace = "default" if resource.namespaced else ""
    obj = {"metadata": {"name": name, "generateName": "g-"}}
    attributes = Attributes(
        operation, client.shard.store, cluster, resource, "", namespace, name, obj, None, ADMIN.encode(), False
    )
    return Subject(attributes._replace(**more), client.shard.admission, cluster)  # type: ignore[arg-type]


def type_of(client: ApiClient, plural: str, group: str = "", version: str = "v1") -> Resource:
    found = client.shard.catalog.find(None, group, version, plural)
    assert found is not None
    return found


async def test_a_namespace_is_in_itself_but_has_no_namespace_object(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "namespaces"), UPDATE, "default")
    assert found.namespace == "default" and found.namespace_object() is None
    within = subject(full, type_of(full, "configmaps")).namespace_object()
    assert within is not None and within["metadata"]["name"] == "default" and "managedFields" not in within["metadata"]


async def test_a_generated_name_is_not_told(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "configmaps"), is_generated=True)
    assert "name" not in found.request(found.resource)
    told = subject(full, type_of(full, "configmaps"))
    assert told.request(told.resource)["name"] == "a"
    assert told.refused("no").message == 'configmaps "a" is forbidden: no'


async def test_equivalents_are_the_same_objects_elsewhere(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    found = subject(full, type_of(full, "events"))
    assert [r.api_version for r in found.equivalents] == ["events.k8s.io/v1"]
    converted = found.at({"apiVersion": "v1", "kind": "Event", "message": "x"}, found.equivalents[0])
    assert converted is not None and converted["note"] == "x"


def test_the_kind_of_a_subresource_is_its_own(full: ApiClient) -> None:
    assert kind_of(type_of(full, "namespaces"), "status") == ("", "v1", "Namespace")
