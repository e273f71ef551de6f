"""An installation that makes its own backups, lost and restored: with the real kubectl, object by object."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kcp.cluster_access import connect
from tests.clients.tier import Tier

pytestmark = pytest.mark.process

_TYPES = ("configmaps", "secrets", "namespaces", "serviceaccounts", "widgets.example.dev")
_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.dev}
spec:
  group: example.dev
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
_WIDGET = '{"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "w"}}'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


def kcp(*arguments: str, **options: Any) -> str:
    command = [sys.executable, "-P", "-m", "kcp", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **options).stdout


class Kubectl:
    def __init__(self, binary: str, kubeconfig: Path, cluster: str) -> None:
        self._binary, self._kubeconfig = binary, kubeconfig.with_name(f"{cluster}.kubeconfig")
        text = kubeconfig.read_text().replace("/clusters/root", f"/clusters/{cluster}")
        self._kubeconfig.write_text(text)

    @property
    def kubeconfig(self) -> str:
        return str(self._kubeconfig)

    def __call__(self, *arguments: str, given: str = "") -> str:
        command = [self._binary, "--kubeconfig", self.kubeconfig, *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def everything(self) -> dict[str, Any]:
        found = {}
        for kind in _TYPES:
            for obj in json.loads(self("get", kind, "-A", "-o", "json"))["items"]:
                found[f"{kind}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"] = obj
        return found


def test_lost_and_restored(kubectl_binary: str, kubectl_place: str, place: Path) -> None:
    place = place / kubectl_place
    store, first, second = place / "store", place / "kcp", place / "restored"
    place.mkdir()
    tier = Tier(first, "--shards", "2", "--fronts", "1", "--backup-to", str(store), "--backup-every", "2s",
                "--backup-keep", "100")  # fmt: skip
    tier.start()
    clusters = [Kubectl(kubectl_binary, tier.kubeconfig, f"tenant-{n}") for n in range(4)]
    for number, kubectl in enumerate(clusters):
        kubectl("apply", "-f", "-", given=_CRD)
        kubectl("wait", "--for=condition=Established", "crd/widgets.example.dev", "--timeout=30s")
        kubectl("create", "namespace", "shop")
        kubectl("create", "configmap", "a", f"--from-literal=n={number}", "-n", "shop")
        kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
        kubectl(
            "apply", "-f", "-", given='{"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "w"}}'
        )
    versions = [kubectl("get", "configmap", "a", "-n", "shop", "-o", "jsonpath={.metadata.resourceVersion}")
                for kubectl in clusters]  # fmt: skip
    kcp("backup", "create", "--root-directory", str(first), "--place", str(store))
    before = [kubectl.everything() for kubectl in clusters]
    wanted = kcp("backup", "list", "--place", str(store), "-o", "json")
    newest = json.loads(wanted)[0]["set"]
    deadline = time.monotonic() + 60
    while len(json.loads(kcp("backup", "list", "--place", str(store), "-o", "json"))) < 2:
        assert time.monotonic() < deadline, "no backups are made by the schedule"
        time.sleep(0.5)
    # The set must not be one that the schedule deletes meanwhile.
    kept = place / "kept"
    shutil.copytree(store, kept)
    clusters[0]("delete", "namespace", "shop", "--wait=false")
    tier.kill()
    shutil.rmtree(first)
    assert "no faults" in kcp("backup", "verify", newest, "--deep", "--place", str(kept))
    kcp("backup", "restore", newest, "--place", str(kept), "--root-directory", str(second))
    tier = Tier(second, "--fronts", "1")
    tier.start()
    try:
        clusters = [Kubectl(kubectl_binary, tier.kubeconfig, f"tenant-{n}") for n in range(4)]
        for kubectl, objects, version in zip(clusters, before, versions, strict=True):
            assert kubectl.everything() == objects
            watch = f"/api/v1/namespaces/shop/configmaps?watch=1&timeoutSeconds=20&resourceVersion={version}"
            resumed = connect(kubectl.kubeconfig, None, None).request("GET", watch)
            assert resumed["object"]["code"] == 410
            kubectl("create", "configmap", "new")
            assert int(kubectl("get", "cm", "new", "-o", "jsonpath={.metadata.resourceVersion}")) > int(version)
    finally:
        assert tier.stop() == 0
    assert not tier.has_traceback(), tier.log()


def test_a_directory_is_applied_as_a_whole(kubectl_binary: str, tier: Tier, kubectl_place: str, tmp_path: Path) -> None:
    kubectl = Kubectl(kubectl_binary, tier.kubeconfig, f"{kubectl_place}-atomic")
    (tmp_path / "b.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {k: v}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: v}\n"
    )
    (tmp_path / "c.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    given = ["apply", "--atomic", "-f", str(tmp_path), "--kubeconfig", kubectl.kubeconfig]
    assert kcp(*given).splitlines() == ["namespace/shop created", "configmap/a created", "secret/s created"]
    # kubectl finds nothing to change, as it is the same field manager.
    assert "unchanged" in kcp(*given)
    kubectl("apply", "--server-side", "-f", str(tmp_path))
    (tmp_path / "d.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {k: 1}\n")
    (tmp_path / "b.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {k: new}\n"
    )
    with pytest.raises(subprocess.CalledProcessError) as refused:
        kcp(*given)
    assert "nothing was applied" in refused.value.stderr and "d.yaml" in refused.value.stderr
    assert kubectl("get", "cm", "a", "-n", "shop", "-o", "jsonpath={.data.k}") == "v"
