import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import ApiFailure, ClusterAccess, connect
from kcp.importing import Report, Told, summary, write_entries
from kcp.portable_file import Entry
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer

MAPS = "/api/v1/namespaces/{}/configmaps"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.dev"},
    "spec": {
        "group": "example.dev",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
WIDGETS = "/apis/example.dev/v1/namespaces/shop/widgets"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


def access_to(cluster: EmbeddedCluster) -> ClusterAccess:
    return connect(str(cluster.kubeconfig), None, None)


def config_map(name: str, **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": {"k": "v"}}


def fill(access: ClusterAccess) -> None:
    access.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "shop"}})
    access.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=CRD)
    widget: dict[str, Any] = {
        "apiVersion": "example.dev/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"s": 1},
    }
    while True:
        try:
            made = access.request("POST", WIDGETS, body=widget)
            break
        except ApiFailure as failure:
            if failure.code != 404:
                raise
    access.request("PUT", f"{WIDGETS}/w/status", body={**made, "status": {"ready": True}})
    owner = {"apiVersion": "example.dev/v1", "kind": "Widget", "name": "w", "uid": made["metadata"]["uid"]}
    owned = config_map("owned", ownerReferences=[owner])
    access.request("POST", MAPS.format("shop"), body=owned)
    for number in range(600):  # more than a page
        access.request("POST", MAPS.format("shop"), body=config_map(f"m{number}"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "dg=="}}
    access.request("POST", "/api/v1/namespaces/default/secrets", body=secret)


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--kubeconfig", str(cluster.kubeconfig)])


def meaning(access: ClusterAccess, path: str) -> dict[str, Any]:
    found = {}
    for obj in access.items(path):
        given = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences")
        metadata = {name: value for name, value in obj["metadata"].items() if name not in given}
        found[f"{metadata.get('namespace')}/{metadata['name']}"] = {**obj, "metadata": metadata}
    return {name: obj for name, obj in found.items() if not name.endswith("/kube-root-ca.crt")}


def test_a_logical_cluster_from_a_file(server: EmbeddedServer, tmp_path: Path) -> None:
    source = server.create_cluster()
    here = access_to(source)
    fill(here)
    file = tmp_path / "a.kcp"
    done = run(source, "export", "-o", str(file))
    assert done.exit_code == 0, done.output
    done = run(source, "import", str(file), "--as", "copied")
    assert done.exit_code == 0, done.output
    there = connect(str(source.kubeconfig), None, "copied")
    for path in ("/api/v1/configmaps", "/api/v1/secrets", "/api/v1/namespaces", "/api/v1/serviceaccounts",
                 "/apis/example.dev/v1/widgets", "/apis/rbac.authorization.k8s.io/v1/clusterroles"):  # fmt: skip
        assert meaning(there, path) == meaning(here, path), path
    assert there.request("GET", f"{WIDGETS}/w")["status"] == {"ready": True}
    owner = there.request("GET", f"{MAPS.format('shop')}/owned")["metadata"]["ownerReferences"][0]
    assert owner["uid"] == there.request("GET", f"{WIDGETS}/w")["metadata"]["uid"]
    # Once more: nothing is left to do, and what has been changed is changed back.
    there.request("DELETE", f"{MAPS.format('shop')}/m1")
    changed = there.request("GET", f"{MAPS.format('shop')}/m2")
    there.request("PUT", f"{MAPS.format('shop')}/m2", body={**changed, "data": {}})
    again = run(source, "import", str(file), "--as", "copied")
    assert "1 created, 1 updated" in again.output, again.output


def test_another_cluster_as_it_is(server: EmbeddedServer, tmp_path: Path) -> None:
    source, target = server.create_cluster(), server.create_cluster()
    access_to(source).request("POST", MAPS.format("default"), body=config_map("a"))
    given = ["import", "--from-kubeconfig", str(source.kubeconfig), "--as", target.path]
    done = run(target, *given)
    assert done.exit_code == 0, done.output
    assert access_to(target).get(f"{MAPS.format('default')}/a") is not None
    assert run(target, "import", "--as", "x").exit_code == 1
    refused = run(target, "import", "x.kcp", "--as", "no:such:place")
    assert refused.exit_code == 1 and "there is no file" in refused.output


def test_what_is_refused_is_told_and_the_rest_goes_on(server: EmbeddedServer) -> None:
    access = access_to(server.create_cluster())
    entries = [
        Entry("configmaps", "v1", "ConfigMap", True, False, config_map("a", namespace="default", uid="1")),
        Entry("configmaps", "v1", "ConfigMap", True, False, config_map("b", namespace="nowhere", uid="2")),
        Entry("gadgets.x.y", "x.y/v1", "Gadget", False, False, {"metadata": {"name": "g"}}),
        Entry("configmaps", "v1", "ConfigMap", True, False, config_map("kube-root-ca.crt", namespace="default")),
    ]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "z", "uid": "none"}
    lost = config_map("c", namespace="default", ownerReferences=[owner])
    entries.append(Entry("configmaps", "v1", "ConfigMap", True, False, lost))
    circle = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "d", "uid": "4"}]
    entries.append(
        Entry(
            "configmaps",
            "v1",
            "ConfigMap",
            True,
            False,
            config_map("d", namespace="default", uid="4", ownerReferences=circle),
        )
    )
    report = write_entries(access, entries)
    assert report.counts() == (3, 0, 0, 2)
    assert {each.shown for each in report.refused} == {"configmaps/b in namespace nowhere", "gadgets.x.y/g"}
    assert [each.shown for each in report.left] == ["configmaps/kube-root-ca.crt in namespace default"]
    assert "ConfigMap z did not come along" in summary(report)
    assert "left out: 1: every namespace has its own" in summary(report)


def test_long_reports_are_cut() -> None:
    report = Report()
    report.refused = [Told(f"x/{n}", "no") for n in range(60)]
    text = summary(report)
    assert "60 refused" in text and "and 10 more" in text and json.dumps(text)
