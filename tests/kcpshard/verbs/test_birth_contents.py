from kcpshard.definitions.builtin import builtin_resources
from kcpshard.verbs.birth_contents import BirthContents
from tests.contracts.full_cluster import full_cluster


async def test_what_a_full_cluster_is_born_with() -> None:
    async with full_cluster() as client:
        service = await client.get("/api/v1/namespaces/default/services/kubernetes")
        assert (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]) == ("10.96.0.1", 443)
        address = await client.get("/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1")
        assert address["spec"]["parentRef"]["name"] == "kubernetes"
        names = (await client.do("GET", "/apis/scheduling.k8s.io/v1/priorityclasses")).names
        assert names == ["system-cluster-critical", "system-node-critical"]
        flows = "/apis/flowcontrol.apiserver.k8s.io/v1"
        assert len((await client.do("GET", f"{flows}/flowschemas")).names) == 11
        level = await client.get(f"{flows}/prioritylevelconfigurations/exempt")
        assert level["metadata"]["generation"] == 1
        flow = await client.get(f"{flows}/flowschemas/probes")
        assert flow["status"]["conditions"][0]["lastTransitionTime"] == flow["metadata"]["creationTimestamp"]
        assert "kube-node-lease" in (await client.do("GET", "/api/v1/namespaces")).names


async def test_it_is_one_batch() -> None:
    async with full_cluster() as client:
        groups: list[list[int]] = []
        client.shard.store.on_commit(lambda commits: groups.append([len(c.changes) for c in commits]))
        client.cluster = "other"
        await client.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        assert groups == [[7, 1]]


def test_endpoints_are_where_the_fronts_are() -> None:
    found = {b.obj["kind"]: b.obj for b in BirthContents(builtin_resources("full"), "[fd00::1]:7443").births}
    assert found["Endpoints"]["subsets"][0]["addresses"] == [{"ip": "fd00::1"}]
    assert (found["EndpointSlice"]["addressType"], found["EndpointSlice"]["ports"][0]["port"]) == ("IPv6", 7443)
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == 7443


def test_the_minimal_set_has_none_of_it() -> None:
    nothing = BirthContents()
    assert (nothing.births, nothing.namespaces, nothing.kept) == ([], (), {})
