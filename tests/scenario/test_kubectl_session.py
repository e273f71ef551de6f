"""What a person does with the real kubectl, over two fronts and three shards."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.clients.tier import Tier
from tests.scenario.conftest import Kubectl

pytestmark = pytest.mark.process

MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata:
  name: session
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: session
  labels: {app: shop}
data:
  colour: blue
  size: "3"
---
apiVersion: v1
kind: Secret
metadata:
  name: password
  namespace: session
stringData:
  word: hunter2
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: reader
  namespace: session
rules:
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: leader
  namespace: session
spec:
  holderIdentity: me
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "all.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture(scope="module")
def applied(kubectl: Kubectl, manifest: Path) -> str:
    """What the first apply said."""
    return kubectl("apply", "-f", str(manifest)).stdout


def test_apply_creates_then_finds_nothing_to_do_then_changes(
    kubectl: Kubectl, manifest: Path, applied: str, tmp_path: Path
) -> None:
    assert applied.splitlines() == [
        "namespace/session created",
        "configmap/settings created",
        "secret/password created",
        "role.rbac.authorization.k8s.io/reader created",
        "lease.coordination.k8s.io/leader created",
    ]
    again = kubectl("apply", "-f", str(manifest)).stdout.splitlines()
    # kubectl compares stringData, which is never stored.
    assert [line for line in again if not line.endswith("unchanged")] == ["secret/password configured"]
    changed = tmp_path / "changed.yaml"
    changed.write_text(MANIFEST.replace("  colour: blue\n", "  shape: round\n"))
    assert "configmap/settings configured" in kubectl("apply", "-f", str(changed)).stdout
    data = json.loads(kubectl("get", "configmap", "settings", "-n", "session", "-o", "json").stdout)["data"]
    assert data == {"shape": "round", "size": "3"}
    kubectl("apply", "-f", str(manifest))


@pytest.mark.usefixtures("applied")
def test_get_in_every_form(kubectl: Kubectl) -> None:
    table = kubectl("get", "configmaps", "-n", "session", "-l", "app=shop").stdout.splitlines()
    assert table[0].split() == ["NAME", "DATA", "AGE"]
    assert [line.split()[:2] for line in table[1:]] == [["settings", "2"]]
    wide = kubectl("get", "leases,roles", "-n", "session", "-o", "wide").stdout
    assert "lease.coordination.k8s.io/leader" in wide
    assert "role.rbac.authorization.k8s.io/reader" in wide
    assert kubectl("get", "secrets", "-n", "session", "-o", "name").stdout == "secret/password\n"
    found = yaml.safe_load(kubectl("get", "configmap", "settings", "-n", "session", "-o", "yaml").stdout)
    assert (found["kind"], found["metadata"]["namespace"]) == ("ConfigMap", "session")
    secret = json.loads(kubectl("get", "secret", "password", "-n", "session", "-o", "json").stdout)
    assert secret["data"] == {"word": "aHVudGVyMg=="}
    path = "{.items[*].metadata.name}"
    assert kubectl("get", "configmaps", "-A", "-l", "app=shop", "-o", f"jsonpath={path}").stdout == "settings"
    missing = kubectl("get", "configmap", "none", "-n", "session", code=1)
    assert missing.stderr == 'Error from server (NotFound): configmaps "none" not found\n'


@pytest.mark.usefixtures("applied")
def test_explain(kubectl: Kubectl) -> None:
    text = kubectl("explain", "configmap.data").stdout
    assert "KIND:       ConfigMap" in text
    assert "Data contains the configuration data" in text
    assert "holderIdentity" in kubectl("explain", "lease.spec").stdout


def test_api_resources_and_versions(kubectl: Kubectl) -> None:
    names = {line.split()[0] for line in kubectl("api-resources").stdout.splitlines()[1:]}
    assert {"configmaps", "namespaces", "secrets", "roles", "leases", "customresourcedefinitions"} <= names
    namespaced = kubectl("api-resources", "--namespaced=false", "-o", "name").stdout.split()
    assert "namespaces" in namespaced
    assert "configmaps" not in namespaced
    assert "v1" in kubectl("api-versions").stdout.split()
    assert "serverVersion" in json.loads(kubectl("version", "-o", "json").stdout)


@pytest.mark.usefixtures("applied")
def test_patch_label_annotate(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "patched", "-n", "session")
    target = ("configmap", "patched", "-n", "session")
    kubectl("patch", *target, "-p", '{"data":{"a":"1"}}')
    kubectl("patch", *target, "-p", '{"data":{"b":"2"}}')
    kubectl("patch", *target, "--type=merge", "-p", '{"data":{"a":null,"c":"3"}}')
    kubectl("patch", *target, "--type=json", "-p", '[{"op":"replace","path":"/data/c","value":"4"}]')
    kubectl("label", *target, "tier=back", "zone=a")
    kubectl("label", *target, "zone-")
    assert "already has a value" in kubectl("label", *target, "tier=front", code=1).stderr
    kubectl("label", *target, "tier=front", "--overwrite")
    kubectl("annotate", *target, "note=kept")
    found = json.loads(kubectl("get", *target, "-o", "json").stdout)
    assert found["data"] == {"b": "2", "c": "4"}
    assert found["metadata"]["labels"] == {"tier": "front"}
    assert found["metadata"]["annotations"] == {"note": "kept"}
    kubectl("delete", *target)


@pytest.mark.usefixtures("applied")
def test_diff_tells_what_an_apply_would_change(kubectl: Kubectl, manifest: Path, tmp_path: Path) -> None:
    text = MANIFEST.split("---\n")[1]
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(text)
    other.write_text(text.replace("blue", "green"))
    kubectl("apply", "-f", str(same))
    assert kubectl("diff", "-f", str(same)).stdout == ""
    told = kubectl("diff", "-f", str(other), code=1).stdout
    assert "-  colour: blue" in told
    assert "+  colour: green" in told
    kept = json.loads(kubectl("get", "configmap", "settings", "-n", "session", "-o", "json").stdout)
    assert kept["data"]["colour"] == "blue"


def test_a_list_in_chunks_is_the_whole_list(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "chunks")
    items = "---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: item-{n:03}, namespace: chunks}}\n" for n in range(25)
    )
    kubectl("create", "-f", "-", text=items)
    whole = kubectl("get", "configmaps", "-n", "chunks", "-o", "name", "--chunk-size=0").stdout
    assert len(whole.splitlines()) == 26  # and kube-root-ca.crt
    assert kubectl("get", "configmaps", "-n", "chunks", "-o", "name", "--chunk-size=7").stdout == whole


@pytest.mark.usefixtures("applied")
def test_watching_shows_changes_as_they_happen(
    kubectl: Kubectl, kubectl_binary: str, kubeconfig: Path, tmp_path: Path
) -> None:
    command = [kubectl_binary, "get", "configmaps", "-n", "session", "-l", "watched", "-w"]
    command += ["--output-watch-events", "--no-headers"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}
    kubectl("create", "configmap", "w", "-n", "session")
    kubectl("label", "configmap", "w", "-n", "session", "watched=1")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout
        seen = [watching.stdout.readline().split()[:2]]
        kubectl("label", "configmap", "w", "-n", "session", "watched=2", "--overwrite")
        seen.append(watching.stdout.readline().split()[:2])
        kubectl("label", "configmap", "w", "-n", "session", "watched-")
        seen.append(watching.stdout.readline().split()[:2])
        watching.terminate()
    assert seen == [["ADDED", "w"], ["MODIFIED", "w"], ["DELETED", "w"]]


@pytest.mark.usefixtures("applied")
def test_wait_for_a_value_and_for_an_end(kubectl: Kubectl) -> None:
    kubectl("wait", "namespace", "session", "--for=jsonpath={.status.phase}=Active", "--timeout=10s")
    kubectl("create", "namespace", "short")
    kubectl("create", "configmap", "inside", "-n", "short")
    kubectl("delete", "namespace", "short", "--wait=false")
    kubectl("wait", "namespace", "short", "--for=delete", "--timeout=20s")
    kubectl("get", "namespace", "short", code=1)


def test_logical_clusters_do_not_see_each_other(kubectl: Kubectl, kubectl_place: str, tier: Tier) -> None:
    kubectl("create", "configmap", "mine", "--context", "admin")
    names = kubectl("get", "configmaps", "--context", "user", "-o", "name").stdout
    assert "configmap/mine" not in names
    kubectl("get", "configmap", "mine", "--context", "admin")
    server = f"{tier.server}/clusters/somebody-{kubectl_place}"
    kubectl("--server", server, "create", "configmap", "first")
    namespaces = kubectl("--server", server, "get", "namespaces", "-o", "name").stdout.split()
    assert namespaces == ["namespace/default", "namespace/kube-public", "namespace/kube-system"]


@pytest.mark.usefixtures("applied")
def test_delete(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("create", "configmap", "gone", "-n", "session")
    assert kubectl("delete", "configmap", "gone", "-n", "session").stdout.startswith('configmap "gone" deleted')
    kubectl("create", "configmap", "gone-1", "-n", "session")
    kubectl("label", "configmap", "gone-1", "-n", "session", "sweep=yes")
    kubectl("delete", "configmaps", "-n", "session", "-l", "sweep=yes")
    assert "gone" not in kubectl("get", "configmaps", "-n", "session", "-o", "name").stdout
