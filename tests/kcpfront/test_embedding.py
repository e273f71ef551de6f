import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

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
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
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
