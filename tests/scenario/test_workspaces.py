"""The tree of workspaces by the real kubectl, over shards; and kcp's own `kubectl ws` where there is one.

$KCP_KUBECTL_WS names kcp's plug-in, built from its sources (staging/src/github.com/kcp-dev/cli, cmd/kubectl-ws); a
`kubectl-ws` in $PEERS_DIR will do too.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.clients.tier import Tier
from tests.scenario.conftest import Kubectl

WORKSPACE = """
apiVersion: tenancy.kcp.io/v1alpha1
kind: Workspace
metadata: {{name: {name}}}
spec: {{type: {{name: {type}, path: {path}}}}}
"""
HEIRS = """
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: heirs}
spec: {inherit: [RBAC, APIs, Authentication], extend: {with: [{name: universal, path: root}]}}
"""
WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
At = Callable[[str], Kubectl]


@pytest.fixture(scope="module")
def at(kubectl: Kubectl, tier: Tier, kubectl_place: str) -> At:
    """kubectl in the workspace at a path below this kubectl's own top."""

    def of(path: str) -> Kubectl:
        server = f"{tier.server}/clusters/{kubectl_place}-root{path}"
        return lambda *arguments, text="", code=0: kubectl("--server", server, *arguments, text=text, code=code)

    return of


def make(there: Kubectl, name: str, type_: str = "universal", path: str = "root") -> None:
    there("create", "-f", "-", text=WORKSPACE.format(name=name, type=type_, path=path))
    there("wait", "workspace", name, "--for=jsonpath={.status.phase}=Ready", "--timeout=30s")


def test_workspaces_on_all_shards(at: At) -> None:
    top = at("")
    make(top, "org")
    org = at(":org")
    for number in range(6):
        make(org, f"team-{number}")
    listed = org("get", "ws").stdout
    assert listed.splitlines()[0].split() == ["NAME", "TYPE", "REGION", "PHASE", "URL", "AGE"]
    assert listed.count("Ready") == 6
    for number in range(6):
        team = at(f":org:team-{number}")
        team("create", "configmap", "c", "--from-literal=a=b")
        assert "cluster" in team("get", "logicalclusters", "-o", "name").stdout
    assert "The WorkspaceType." in at(":org:team-0")("explain", "workspaces.spec.type").stdout
    top("delete", "workspace", "org", "--timeout=60s")
    assert "NotFound" in at(":org:team-3")("get", "configmaps", code=1).stderr
    assert "No resources found" in top("get", "ws").stderr


def test_rights_and_apis_are_inherited_over_shards(at: At) -> None:
    top = at("")
    top("apply", "-f", "-", text=HEIRS)
    top("apply", "-f", "-", text=WIDGETS)
    top("create", "clusterrolebinding", "dev", "--clusterrole=cluster-admin", "--user=dev")
    name = json.loads(top("get", "logicalcluster", "cluster", "-o", "json").stdout)["metadata"]["annotations"][
        "kcp.io/path"
    ]
    for number in range(4):
        make(top, f"heir-{number}", "heirs", name)
    for number in range(4):
        heir = at(f":heir-{number}")
        eventually(lambda heir=heir: heir("--as=dev", "auth", "can-i", "list", "secrets").stdout == "yes\n")
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": 1}}
        heir("create", "-f", "-", text=json.dumps(widget))
        assert "w" in heir("get", "widgets", "-o", "name").stdout
    top("create", "serviceaccount", "bot")
    token = top("create", "token", "bot").stdout.strip()
    for number in range(4):
        user = f"--user=system:kcp:serviceaccount:{name}:default:bot"
        at(f":heir-{number}")("create", "clusterrolebinding", "bot", "--clusterrole=cluster-admin", user)
        assert "example.com/w" in guest(at(f":heir-{number}"), token)
    top("delete", "serviceaccount", "bot")
    for number in range(4):
        heir = at(f":heir-{number}")
        eventually(lambda heir=heir: "Unauthorized" in guest(heir, token, code=1))
    top("delete", "clusterrolebinding", "dev")
    for number in range(4):
        heir = at(f":heir-{number}")
        eventually(lambda heir=heir: "forbidden" in heir("--as=dev", "get", "secrets", code=1).stderr.lower())
        top("delete", "workspace", f"heir-{number}", "--timeout=60s")


def guest(there: Kubectl, token: str, code: int = 0) -> str:
    """What a service account of an ancestor is told."""
    review = there("--token", token, "get", "widgets", "-o", "name", code=code)
    return review.stdout + review.stderr


def eventually(is_so: Callable[[], bool]) -> None:
    """Within the bound on how old inherited rights may be."""
    for _ in range(30):
        try:
            if is_so():
                return
        except AssertionError:
            pass
        time.sleep(0.25)
    assert is_so()


def plugin() -> str:
    found = os.environ.get("KCP_KUBECTL_WS") or shutil.which("kubectl-ws", path=os.environ.get("PEERS_DIR", ""))
    if not found:
        pytest.skip("no kubectl-ws of kcp in $KCP_KUBECTL_WS or $PEERS_DIR")
    return found


def test_kcps_plugin_walks_the_tree(tier: Tier, tmp_path: Path) -> None:
    binary, config = plugin(), tmp_path / "config"
    document = yaml.safe_load(tier.kubeconfig.read_text())
    config.write_text(yaml.safe_dump(document))

    def ws(*arguments: str, code: int = 0) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}
        done = subprocess.run([binary, *arguments], capture_output=True, text=True, env=environment, timeout=90)
        assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    assert "Current workspace is 'root'." in ws(".")
    assert "is ready to use" in ws("create", "plug", "--enter")
    assert "(type root:universal) is ready to use" in ws("create", "in", "--enter")
    assert "'root:plug:in'" in ws(".")
    assert "'root:plug'" in ws("..")
    assert "'root:plug:in'" in ws("-")
    assert "'root' (type root)" in ws(":root")
    tree = ws("tree")
    assert "plug" in tree and "in" in tree
    assert "'root:plug:in' (type root:universal)" in ws("plug:in")
    ws("nope", code=1)
    assert ws("current", "--short").strip() == "root:plug:in"
