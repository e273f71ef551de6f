from kcpshard.authorization.bootstrap import bootstrap_objects
from tests.contracts.api_client import CONFIGMAPS, MERGE, ApiClient, configmap

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


def test_every_object_of_a_new_server_is_there() -> None:
    found = {
        (each.group_resource.partition(".")[0], each.namespace, each.name): each.document
        for each in bootstrap_objects()
    }
    assert len(found) == 135
    assert found["clusterroles", "", "cluster-admin"]["rules"][0]["verbs"] == ["*"]
    assert ("rolebindings", "kube-system", "system:controller:token-cleaner") in found


def test_aggregated_roles_are_filled_in() -> None:
    rules = {
        each.name: each.document["rules"] for each in bootstrap_objects() if each.document["kind"] == "ClusterRole"
    }
    assert len(rules["admin"]) > len(rules["edit"]) > len(rules["view"]) > 5
    assert all(rule in rules["admin"] for rule in rules["edit"])


async def test_they_are_read_and_written_like_any_object(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    listed = (await client.do("GET", ROLES)).json["items"]
    assert len(listed) == 71 and all(item["metadata"]["uid"] for item in listed)
    first = (await client.do("GET", ROLES + "?limit=10")).json
    assert first["metadata"]["remainingItemCount"] == 61
    view = (await client.do("GET", ROLES + "/view")).json
    assert view == next(item for item in listed if item["metadata"]["name"] == "view")
    patched = await client.do("PATCH", ROLES + "/view", {"metadata": {"labels": {"x": "y"}}}, MERGE)
    assert patched.code == 200 and patched.json["metadata"]["uid"] == view["metadata"]["uid"]
    assert (await client.do("PUT", ROLES + "/view", view)).code == 409, "its resourceVersion is old by now"
    assert len((await client.do("GET", ROLES)).json["items"]) == 71
    assert (await client.do("POST", ROLES, {"metadata": {"name": "edit"}, "rules": []})).code == 409
    assert (await client.do("DELETE", ROLES + "/edit")).code == 200
    assert (await client.do("GET", ROLES + "/edit")).code == 404
    assert (await client.do("POST", ROLES, {"metadata": {"name": "edit"}, "rules": []})).code == 201


async def test_a_binding_removed_grants_nothing(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    url = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    question = {"spec": {"groups": ["system:authenticated"], "nonResourceAttributes": {"path": "/api", "verb": "get"}}}
    assert (await client.do("POST", url, question)).json["status"]["allowed"]
    await client.do("DELETE", ROLES.replace("roles", "rolebindings") + "/system:discovery")
    assert not (await client.do("POST", url, question)).json["status"]["allowed"]
