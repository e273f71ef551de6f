from typing import Any

import pytest

from kcpshard.api.requests import Identity
from kcpshard.storage.forks import MOST_FORKS
from kcpshard.verbs.outcome import NotOwned, PlacementRefused
from tests.contracts.api_client import ApiClient, Reply

URL = "/apis/changes.kcp.io/v1alpha1/forks"
MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "rbac.authorization.k8s.io"


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}}


async def fork(client: ApiClient, path: Any, query: str = "") -> Reply:
    body = {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Fork", "spec": {"path": path}}
    return await client.do("POST", URL + query, body)


async def born(client: ApiClient) -> ApiClient:
    """The origin is `root`; what is returned speaks to its fork `try`."""
    await client.do("POST", MAPS, config_map("a"))
    reply = await fork(client, "try")
    assert reply.code == 201 and reply.json["status"] == {"origin": "root"}, reply.json
    return ApiClient(client.shard, "try", client.identity)


async def test_a_fork_shows_what_the_origin_had(client: ApiClient) -> None:
    looked: list[str] = []
    client.shard.look_through = lambda cluster: looked.append(cluster.path)
    there = await born(client)
    assert (await there.get(f"{MAPS}/a")) == (await client.get(f"{MAPS}/a")) and looked == ["try"]
    facts = (await there.get("/api/v1/namespaces/kube-system/configmaps/kcp-fork"))["data"]
    store = client.shard.store
    origin, made = store.find_cluster("root"), store.find_cluster("try")
    assert origin is not None and made is not None
    assert facts["origin"] == "root" and facts["originId"] == str(origin.id)
    assert origin.id < int(facts["at"]) < made.id and store.origin_of(made) == origin.id
    await client.patch(f"{MAPS}/a", {"data": {"k": "2"}})
    await there.do("DELETE", f"{MAPS}/a")
    assert (await client.get(f"{MAPS}/a"))["data"] == {"k": "2"}
    assert (await there.do("GET", f"{MAPS}/a")).code == 404
    assert (await client.do("GET", "/api/v1/namespaces/kube-system/configmaps/kcp-fork")).code == 404


async def test_custom_types_and_rights_go_along(client: ApiClient) -> None:
    binding = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "jane"}],
    }  # fmt: skip
    await client.do("POST", f"/apis/{RBAC}/v1/clusterrolebindings", binding)
    await born(client)
    jane = ApiClient(client.shard, "try", Identity("jane", "", ("system:authenticated",)))
    assert (await jane.do("GET", f"{MAPS}/a")).code == 200
    assert (await jane.do("DELETE", f"{MAPS}/a")).code == 403


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("", 422, "Required value"),
        (7, 422, "no path"),
        ("A!", 422, "no path"),
        ("root:try", 422, "is a workspace"),
        ("root", 409, "already exists"),
    ],
)
async def test_paths_that_cannot_be(client: ApiClient, path: Any, code: int, text: str) -> None:
    await client.do("POST", MAPS, config_map("a"))
    reply = await fork(client, path)
    assert reply.code == code and text in reply.message


async def test_what_is_not_there_and_what_is_no_fork(client: ApiClient) -> None:
    assert (await fork(client, "try")).code == 404
    await client.do("POST", MAPS, config_map("a"))
    assert (await client.do("POST", URL, {"kind": "Fork"})).code == 400
    assert (await client.do("POST", URL, b"{")).code == 400


async def test_a_dry_run_makes_nothing(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("a"))
    assert (await fork(client, "try", "?dryRun=All")).code == 201
    assert client.shard.store.pending_cluster("try") is None


async def test_two_rights_are_needed(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("a"))
    creators = ("system:authenticated", "system:kcp:logical-cluster-creators")
    jane = ApiClient(client.shard, identity=Identity("jane", "", creators))
    assert (await fork(jane, "try")).code == 403
    role = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "forks"},
        "rules": [{"apiGroups": ["changes.kcp.io"], "resources": ["forks"], "verbs": ["create"]}],
    }  # fmt: skip
    binding = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "forks"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "forks"},
        "subjects": [{"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}],
    }  # fmt: skip
    await client.do("POST", f"/apis/{RBAC}/v1/clusterroles", role)
    await client.do("POST", f"/apis/{RBAC}/v1/clusterrolebindings", binding)
    joe = ApiClient(client.shard, identity=Identity("joe", "", ("system:authenticated",)))
    assert (await fork(joe, "try")).code == 403
    assert (await fork(jane, "try")).code == 201
    # She may not have made it only to look at: it is hers.
    hers = ApiClient(client.shard, "try", jane.identity)
    assert (await hers.do("DELETE", f"{MAPS}/a")).code == 200


async def test_a_repeat_gets_the_first_answer(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("a"))
    body = {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Fork", "spec": {"path": "try"}}
    request = client.request("POST", URL, body)
    first = await client.send(request)
    request.repeat = True
    assert (await client.send(request)).json == first.json and first.code == 201


async def test_another_shards_path_is_had_first(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("a"))

    elsewhere = {"try", "taken"}

    class Ownership:
        def check(self, path: str) -> None:
            if path in elsewhere:
                raise NotOwned(2)

    async def place(path: str, beside: str) -> None:
        if path == "taken":
            raise PlacementRefused("there is a logical cluster taken")
        assert beside == "root"
        elsewhere.discard(path)

    client.shard.ownership = Ownership()
    reply = await fork(client, "try")
    assert reply.code == 422 and "belong to different shards" in reply.message, "nobody to ask"
    client.shard.place = place
    assert (await fork(client, "try")).code == 201
    reply = await fork(client, "taken")
    assert reply.code == 422 and "root cannot be forked to taken: there is a logical cluster taken" in reply.message


async def test_there_is_a_most(client: ApiClient) -> None:
    await client.do("POST", MAPS, config_map("a"))
    for number in range(MOST_FORKS):
        assert (await fork(client, f"f{number}")).code == 201
    reply = await fork(client, "more")
    assert reply.code == 422 and f"{MOST_FORKS} forks already" in reply.message
