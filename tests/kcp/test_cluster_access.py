from collections.abc import Iterator

import pytest

import kcpfront
from kcp.cluster_access import ApiFailure, ClusterAccess, connect, discovered, split_name
from kcp.output import Refused
from kcpfront.embedding import EmbeddedServer


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


@pytest.fixture
def access(server: EmbeddedServer) -> ClusterAccess:
    return connect(str(server.create_cluster().kubeconfig), None, None)


@pytest.mark.parametrize("text", ["configmaps", "configmap", "ConfigMap", "cm"])
def test_types_by_any_of_their_names(access: ClusterAccess, text: str) -> None:
    assert access.find_type(text).full_name == "configmaps"


def test_a_type_by_its_group(access: ClusterAccess) -> None:
    assert access.find_type("crds").path("", "a.b") == "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b"
    assert access.find_type("leases.coordination").path("n") == "/apis/coordination.k8s.io/v1/namespaces/n/leases"
    with pytest.raises(Refused, match="doesn't have a resource type"):
        access.find_type("leases.example.dev")


def test_lists_come_page_by_page(access: ClusterAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kcp.cluster_access.PAGE", 2)
    names = {item["metadata"]["name"] for item in access.items("/api/v1/namespaces")}
    assert names >= {"default", "kube-public", "kube-system"}


def test_a_status_is_a_sentence(access: ClusterAccess) -> None:
    path = "/api/v1/namespaces/default/configmaps/a"
    assert access.get(path) is None
    with pytest.raises(ApiFailure, match=r"NotFound.*configmaps \"a\" not found") as raised:
        access.request("GET", path)
    assert raised.value.code == 404


def test_another_logical_cluster_of_the_same_server(server: EmbeddedServer) -> None:
    found = connect(str(server.kubeconfig), None, "root:team")
    assert found.server == f"{server.url}/clusters/root:team"


def test_what_cannot_be_reached(server: EmbeddedServer) -> None:
    found = connect(str(server.kubeconfig), None, None)
    found.server = "https://127.0.0.1:1"
    with pytest.raises(Refused, match="cannot reach"):
        found.request("GET", "/api")
    with pytest.raises(Refused, match="kubeconfig"):
        connect("/nowhere/kubeconfig", None, None)


@pytest.mark.parametrize("text", ["web", "deploy/", "/web", ""])
def test_names_need_a_type(text: str) -> None:
    with pytest.raises(Refused, match="TYPE/NAME"):
        split_name(text)
    assert split_name("deploy/web") == ("deploy", "web")


def test_the_first_version_of_each_type_counts() -> None:
    resources = [{"resource": "widgets", "scope": "Namespaced", "responseKind": {"kind": "Widget"}, "verbs": ["get"]}]
    versions = [{"version": "v2", "resources": resources}, {"version": "v1", "resources": resources}]
    found = list(discovered({"items": [{"metadata": {"name": "example.dev"}, "versions": versions}]}))
    assert [(each.api_version, each.namespaced) for each in found] == [("example.dev/v2", True)]
