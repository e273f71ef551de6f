from typing import Any

from kcpshard.authorization.node_graph import ATTACHMENTS, PODS, SLICES, NodeGraph


def pod(node: str = "n", name: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeName": node, **spec}}


def secret_volume(name: str) -> list[dict[str, Any]]:
    return [{"name": "v", "secret": {"secretName": name}}]


def test_what_a_pod_refers_to_belongs_to_its_node_while_it_is_there() -> None:
    graph = NodeGraph()
    graph.put(PODS, "a", "p", pod(volumes=secret_volume("s"), serviceAccountName="sa"))
    graph.put(PODS, "a", "q", pod("m", "q", volumes=secret_volume("s")))
    assert graph.is_related("n", "secrets", "a", "s") and graph.is_related("m", "secrets", "a", "s")
    assert graph.is_related("n", "serviceaccounts", "a", "sa")
    assert not graph.is_related("n", "secrets", "b", "s") and not graph.is_related("n", "configmaps", "a", "s")
    assert graph.is_related("n", PODS, "a", "p") and not graph.is_related("n", PODS, "a", "q")
    graph.put(PODS, "a", "p", None)
    assert not graph.is_related("n", "secrets", "a", "s") and graph.is_related("m", "secrets", "a", "s")


def test_a_pod_without_a_node_gives_nothing_and_a_changed_one_anew() -> None:
    graph = NodeGraph()
    graph.put(PODS, "a", "p", pod("", volumes=secret_volume("s")))
    assert not graph.is_related("", "secrets", "a", "s")
    graph.put(PODS, "a", "p", pod(volumes=secret_volume("s")))
    graph.put(PODS, "a", "p", pod(volumes=secret_volume("t")))
    assert graph.is_related("n", "secrets", "a", "t") and not graph.is_related("n", "secrets", "a", "s")


def test_a_mirror_pod_gives_its_node_itself_only() -> None:
    graph = NodeGraph()
    mirror = pod(volumes=secret_volume("s"))
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    graph.put(PODS, "a", "p", mirror)
    assert graph.is_related("n", PODS, "a", "p") and not graph.is_related("n", "secrets", "a", "s")


def test_a_volume_and_its_secrets_belong_where_its_claim_is_used() -> None:
    graph = NodeGraph()
    secret = {"name": "s", "namespace": "store"}
    volume = {
        "spec": {
            "claimRef": {"namespace": "a", "name": "p-v"},
            "csi": {"driver": "d", "nodeStageSecretRef": secret, "controllerPublishSecretRef": {"name": "no"}},
        }
    }
    graph.put("persistentvolumes", "", "pv", volume)
    assert not graph.is_related("n", "persistentvolumes", "", "pv")
    graph.put(PODS, "a", "p", pod(volumes=[{"name": "v", "ephemeral": {}}]))
    assert graph.is_related("n", "persistentvolumeclaims", "a", "p-v")
    assert graph.is_related("n", "persistentvolumes", "", "pv") and graph.is_related("n", "secrets", "store", "s")
    assert not graph.is_related("n", "secrets", "", "no")
    graph.put("persistentvolumes", "", "pv", {"spec": {}})
    assert not graph.is_related("n", "secrets", "store", "s")


def test_claims_of_a_template_are_known_from_the_status() -> None:
    graph = NodeGraph()
    made = pod(resourceClaims=[{"name": "r", "resourceClaimTemplateName": "t"}])
    graph.put(PODS, "a", "p", made)
    assert not graph.is_related("n", "resourceclaims.resource.k8s.io", "a", "made")
    made["status"] = {"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "made"}]}
    graph.put(PODS, "a", "p", made)
    assert graph.is_related("n", "resourceclaims.resource.k8s.io", "a", "made")


def test_what_names_its_node_itself() -> None:
    graph = NodeGraph()
    for kind in (ATTACHMENTS, SLICES):
        graph.put(kind, "", "x", {"spec": {"nodeName": "n"}})
        assert graph.is_related("n", kind, "", "x") and not graph.is_related("m", kind, "", "x")
        graph.put(kind, "", "x", None)
        assert not graph.is_related("n", kind, "", "x")
