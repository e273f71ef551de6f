"""Decisions about nodes follow writes at once, through the verbs."""

from collections.abc import AsyncIterator

import pytest

from kcpshard.api.requests import Identity
from kcpshard.storage.contract import NotDurable
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import PODS, full_cluster, pod

SECRETS = "/api/v1/namespaces/default/secrets"
VOLUME = [{"name": "v", "secret": {"secretName": "s"}}]


@pytest.fixture
async def admin() -> AsyncIterator[ApiClient]:
    async with full_cluster() as client:
        await client.create(SECRETS, {"metadata": {"name": "s"}})
        yield client


def node(admin: ApiClient, name: str = "n") -> ApiClient:
    cluster = admin.shard.store.find_cluster("root")
    assert cluster is not None
    identity = Identity(f"system:node:{name}", "", ("system:nodes", "system:authenticated"), scope=cluster.id)
    return ApiClient(admin.shard, identity=identity)


async def test_a_node_reads_what_its_pods_need_while_they_are_there(admin: ApiClient) -> None:
    kubelet, other = node(admin), node(admin, "m")
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 403
    await admin.create(PODS, pod("p", nodeName="n", volumes=VOLUME))
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 200
    assert (await other.do("GET", f"{SECRETS}/s")).code == 403
    assert (await kubelet.do("GET", f"{PODS}?fieldSelector=spec.nodeName%3Dn")).names == ["p"]
    assert (await kubelet.do("GET", PODS)).code == 403
    await admin.do("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 403


async def test_a_graph_far_behind_is_read_anew_in_slices(admin: ApiClient) -> None:
    kubelet = node(admin)
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 403
    for number in range(300):
        await admin.create(PODS, pod(f"p{number:03}", nodeName="m"))
    await admin.create(PODS, pod("z", nodeName="n", volumes=VOLUME))
    with pytest.raises(NotDurable):
        dispatch(admin.shard, kubelet.request("GET", f"{SECRETS}/s"))
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 200


async def test_a_node_of_the_installation_is_nobody_where_no_binding_names_it(admin: ApiClient) -> None:
    """Whoever may make pods says on which node they run: that must give no rights to somebody from elsewhere."""
    await admin.create(PODS, pod("p", nodeName="n", volumes=VOLUME))
    kubelet = node(admin)
    kubelet.identity = kubelet.identity._replace(scope=0)
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 403
    subject = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:nodes"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:discovery"}
    body = {"metadata": {"name": "nodes"}, "roleRef": role, "subjects": [subject]}
    await admin.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)
    assert (await kubelet.do("GET", f"{SECRETS}/s")).code == 200


async def test_rights_of_a_node_cannot_be_listed(admin: ApiClient) -> None:
    url = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status = (await node(admin).do("POST", url, {"spec": {"namespace": "default"}})).json["status"]
    assert status["incomplete"] is True
    assert status["evaluationError"] == "node authorizer does not support user rule resolution"
