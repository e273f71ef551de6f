import http.client
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

import kcpfront
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


def ask(cluster: EmbeddedCluster, path: str, body: object = None, method: str = "") -> Any:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(cluster.url + path, data, headers, method=method or None)
    context = ssl.create_default_context(cafile=str(cluster.authority_file))
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return json.load(answer)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_fresh_logical_cluster_has_its_namespaces(server: EmbeddedServer) -> None:
    found = ask(server.create_cluster(), "/api/v1/namespaces")
    assert {item["metadata"]["name"] for item in found["items"]} >= {"default", "kube-public", "kube-system"}


def test_logical_clusters_do_not_see_each_other(server: EmbeddedServer) -> None:
    mine, theirs = server.create_cluster(), server.create_cluster()
    assert mine.path != theirs.path
    ask(mine, CONFIG_MAPS, config_map("mine"))
    names = [item["metadata"]["name"] for item in ask(theirs, CONFIG_MAPS)["items"]]
    assert "mine" not in names
    assert ask(mine, f"{CONFIG_MAPS}/mine")["metadata"]["name"] == "mine"


def test_a_watch_goes_on_while_others_write(server: EmbeddedServer) -> None:
    cluster = server.create_cluster()
    revision = ask(cluster, CONFIG_MAPS)["metadata"]["resourceVersion"]
    headers = {"Authorization": f"Bearer {cluster.token}"}
    url = f"{cluster.url}{CONFIG_MAPS}?watch=1&resourceVersion={revision}&timeoutSeconds=20"
    context = ssl.create_default_context(cafile=str(cluster.authority_file))
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=context, timeout=20) as events:
        ask(cluster, CONFIG_MAPS, config_map("seen"))
        event = json.loads(events.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "seen")


def test_two_servers_of_one_process_do_not_mix_up_their_requests(server: EmbeddedServer) -> None:
    """Threads that read at the same time; each server knows its own token only."""

    def get_often(cluster: EmbeddedCluster) -> set[int]:
        context = ssl.create_default_context(cadata=cluster.authority)
        connection = http.client.HTTPSConnection(urlsplit(cluster.url).netloc, context=context)
        codes = set()
        for _ in range(300):
            path = f"/clusters/{cluster.path}/api/v1/namespaces/default"
            connection.request("GET", path, headers={"Authorization": f"Bearer {cluster.token}"})
            answer = connection.getresponse()
            answer.read()
            codes.add(answer.status)
        connection.close()
        return codes

    with kcpfront.embedded() as other, ThreadPoolExecutor(4) as threads:
        clusters = [server.create_cluster(), other.create_cluster()] * 2
        assert set().union(*threads.map(get_often, clusters)) == {200}


def test_the_kubeconfig_is_private_and_names_its_logical_cluster(server: EmbeddedServer) -> None:
    cluster = server.create_cluster("tenant")
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert f"{server.url}/clusters/tenant" in cluster.kubeconfig.read_text()
    assert server.cluster("tenant") is cluster


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    with kcpfront.embedded() as server:
        directory = server.kubeconfig.parent
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()
    assert not {thread.name for thread in set(threading.enumerate()) - before} & {"kcp-embedded"}
    with pytest.raises(AssertionError, match="does not run"):
        server.cluster("other")


def test_what_keeps_it_from_starting_is_raised(server: EmbeddedServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(BaseExceptionGroup) as raised, kcpfront.embedded(port=port):
        pass
    assert "cannot listen" in repr(raised.value.exceptions)


def test_other_attributes_are_missing() -> None:
    with pytest.raises(AttributeError):
        _ = kcpfront.nothing


def _answer(cluster: EmbeddedCluster, path: str, **headers: str) -> tuple[int, Any, str]:
    sent = {"Authorization": f"Bearer {cluster.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    context = ssl.create_default_context(cafile=str(cluster.authority_file))
    request = urllib.request.Request(cluster.url + path, headers=sent)
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def test_priority_and_fairness_are_told_and_obeyed() -> None:
    flowcontrol = "/apis/flowcontrol.apiserver.k8s.io/v1"
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "noisy"}}],
        "resourceRules": [everything],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    limited: dict[str, Any] = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}
    level = {"metadata": {"name": "quiet"}, "spec": {"type": "Limited", "limited": limited}}
    spec = {"priorityLevelConfiguration": {"name": "quiet"}, "matchingPrecedence": 50, "rules": [rule]}
    with kcpfront.embedded("full") as server:
        cluster = server.create_cluster()
        made = ask(cluster, f"{flowcontrol}/prioritylevelconfigurations", level)
        flow = ask(cluster, f"{flowcontrol}/flowschemas", {"metadata": {"name": "noisy"}, "spec": spec})
        expected = (flow["metadata"]["uid"], made["metadata"]["uid"])
        for path in ("/", "/version", "/api/v1/namespaces", "/api/v1/namespaces/default", "/apis", "/nothing"):
            names = [_flow(cluster, path, user) for user in ("noisy", "calm", "")]
            assert names[0] == expected, path
            assert expected not in names[1:], path
            assert all(all(pair) for pair in names[1:] if path not in ("/version", "/nothing")), path
        figures = _answer(cluster, "/metrics")[2]
        assert '\napiserver_flowcontrol_nominal_limit_seats{priority_level="quiet"} 5.0\n' in figures
        made["spec"]["limited"].update(nominalConcurrencyShares=0, borrowingLimitPercent=0)
        ask(cluster, f"{flowcontrol}/prioritylevelconfigurations/quiet", made, "PUT")
        code, headers, text = _answer(cluster, "/api/v1/namespaces", Impersonate_User="noisy")
        assert (code, headers["Retry-After"], text) == (429, "1", "Too many requests, please try again later.\n")
        assert _answer(cluster, "/api/v1/namespaces")[0] == 200


def _flow(cluster: EmbeddedCluster, path: str, user: str) -> tuple[Any, Any]:
    _, headers, _ = _answer(cluster, path, **({"Impersonate_User": user} if user else {}))
    return headers["X-Kubernetes-PF-FlowSchema-UID"], headers["X-Kubernetes-PF-PriorityLevel-UID"]
