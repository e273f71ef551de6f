from tests.contracts.full_cluster import PODS, full_cluster, pod


def binding(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "annotations": {"by": "x"}}, "target": {"kind": "Node", "name": "n"}}


async def test_a_pod_is_bound_once_to_a_node_whose_place_it_tells() -> None:
    async with full_cluster() as client:
        labels = {"topology.kubernetes.io/zone": "z", "other": "x"}
        await client.create("/api/v1/nodes", {"metadata": {"name": "n", "labels": labels}})
        await client.create(PODS, pod("a"))
        assert (await client.create(f"{PODS}/a/binding", binding("a")))["status"] == "Success"
        bound = await client.get(f"{PODS}/a")
        assert bound["spec"]["nodeName"] == "n"
        assert bound["metadata"]["labels"] == {"app": "a", "topology.kubernetes.io/zone": "z"}
        assert bound["metadata"]["annotations"] == {"by": "x"}
        assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
        again = await client.do("POST", f"{PODS}/a/binding", binding("a"))
        assert (again.code, again.json["reason"]) == (409, "Conflict")


async def test_a_dry_run_binds_nothing_and_the_older_form_does_the_same() -> None:
    async with full_cluster() as client:
        await client.create(PODS, pod("a"))
        await client.create(f"{PODS}/a/binding?dryRun=All", binding("a"))
        assert "nodeName" not in (await client.get(f"{PODS}/a"))["spec"]
        await client.create("/api/v1/namespaces/default/bindings", binding("a"))
        assert (await client.get(f"{PODS}/a"))["spec"]["nodeName"] == "n"
