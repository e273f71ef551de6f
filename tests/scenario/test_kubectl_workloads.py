"""What a person does with the real kubectl where all of Kubernetes' kinds are served: every verb that needs no node."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tier import Tier
from tests.scenario.conftest import Kubectl

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    made = Tier(tmp_path_factory.mktemp("full") / "kcp", "--shards", "2", "--fronts", "2", "--api-set", "full")
    made.start()
    yield made
    assert made.stop() == 0, made.log()
    assert not made.has_traceback(), made.log()


@pytest.fixture(scope="module")
def work(kubectl: Kubectl) -> str:
    """A namespace with a Deployment and its Service."""
    kubectl("create", "namespace", "work")
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2", "-n", "work")
    kubectl("expose", "deployment", "web", "--port=80", "-n", "work")
    return "work"


def shown(kubectl: Kubectl, *target: str) -> Any:
    return json.loads(kubectl("get", *target, "-o", "json").stdout)


@pytest.mark.parametrize(
    "command",
    [
        "configmap a --from-literal=a=b",
        "secret generic a --from-literal=a=b",
        "secret docker-registry r --docker-username=u --docker-password=p",
        "serviceaccount a",
        "role a --verb=get --resource=pods",
        "rolebinding a --role=a --serviceaccount=made:a",
        "clusterrole a --verb=get --resource=pods",
        "clusterrolebinding a --clusterrole=a --user=a",
        "quota a --hard=pods=5 --scopes=BestEffort",
        "service clusterip a --tcp=80:8080",
        "service nodeport b --tcp=80:8080",
        "service loadbalancer c --tcp=80:8080",
        "service externalname d --external-name=a.example.com",
        "deployment a --image=a --replicas=0",
        "job a --image=a -- true",
        "cronjob a --image=a --schedule=*/5 * * * * -- true",
        "job b --from=cronjob/a",
        "ingress a --rule=a.example.com/b=c:80,tls=d --class=nginx",
        "poddisruptionbudget a --selector=a=b --min-available=50%",
        "priorityclass a --value=10 --description=d",
    ],
)
def test_create_makes_every_kind_it_knows(kubectl: Kubectl, command: str) -> None:
    kubectl("create", "namespace", "made", "--dry-run=client")
    if not kubectl("get", "namespace", "made", "--ignore-not-found", "-o", "name").stdout:
        kubectl("create", "namespace", "made")
    words = command.split(" -- ")[0].replace("*/5 * * * *", "*/5_*_*_*_*").split()
    words = [word.replace("_", " ") for word in words]
    rest = ["--", *command.split(" -- ")[1].split()] if " -- " in command else []
    assert (
        kubectl("create", "-n", "made", *words, "--dry-run=server", *rest).stdout.rstrip().endswith("(server dry run)")
    )
    assert kubectl("create", "-n", "made", *words, *rest).stdout.rstrip().endswith("created")


def test_set_and_rollout(kubectl: Kubectl, work: str) -> None:
    target = ("deployment/web", "-n", work)
    kubectl("set", "image", *target, "web=web:2")
    kubectl("set", "env", *target, "A=b")
    kubectl("set", "resources", *target, "--limits=cpu=200m,memory=64Mi")
    kubectl("set", "serviceaccount", *target, "default")
    kubectl("set", "selector", "service/web", "-n", work, "app=web,tier=front")
    kubectl("rollout", "pause", *target)
    kubectl("rollout", "resume", *target)
    kubectl("rollout", "restart", *target)
    spec = shown(kubectl, *target)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("web:2", [{"name": "A", "value": "b"}])
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "64Mi"}
    assert "kubectl.kubernetes.io/restartedAt" in spec["template"]["metadata"]["annotations"]
    assert shown(kubectl, "service/web", "-n", work)["spec"]["selector"] == {"app": "web", "tier": "front"}


def test_scale_and_autoscale(kubectl: Kubectl, work: str) -> None:
    kubectl("scale", "deployment/web", "--replicas=5", "--current-replicas=2", "-n", work)
    assert "Expected replicas to be 2" in kubectl(
        "scale", "deployment/web", "--replicas=1", "--current-replicas=2", "-n", work, code=1
    ).stderr  # fmt: skip
    assert shown(kubectl, "deployment/web", "--subresource=scale", "-n", work)["spec"] == {"replicas": 5}
    kubectl("autoscale", "deployment", "web", "--min=2", "--max=9", "-n", work)
    assert shown(kubectl, "hpa/web", "-n", work)["spec"]["maxReplicas"] == 9
    kubectl("delete", "hpa", "web", "-n", work)
    kubectl(
        "patch", "deployment/web", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":5}}', "-n", work
    )
    assert shown(kubectl, "deployment/web", "-n", work)["status"]["replicas"] == 5


def test_pruning_by_label_and_by_applyset(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "namespace", "prune")
    both, one = tmp_path / "both.yaml", tmp_path / "one.yaml"
    objects = [
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: prune, labels: {{app: shop}}}}\n"
        for name in ("kept", "dropped")
    ]
    both.write_text("---\n".join(objects))
    one.write_text(objects[0])
    prune = ("--prune", "-l", "app=shop", "--prune-allowlist=core/v1/ConfigMap", "-n", "prune")
    kubectl("apply", "-f", str(both), *prune)
    assert "configmap/dropped pruned" in kubectl("apply", "-f", str(one), *prune).stdout
    names = kubectl("get", "configmaps", "-n", "prune", "-l", "app=shop", "-o", "name").stdout
    assert names == "configmap/kept\n"


def test_applysets(kubectl_binary: str, kubeconfig: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "namespace", "sets")
    both, one = tmp_path / "both.yaml", tmp_path / "one.yaml"
    objects = [f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n" for name in ("kept", "dropped")]
    both.write_text("---\n".join(objects))
    one.write_text(objects[0])
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig),
        "KUBECTL_APPLYSET": "true",
    }
    for path in (both, one):
        command = [kubectl_binary, "apply", "-n", "sets", "-f", str(path), "--prune", "--applyset=shop"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    names = kubectl("get", "configmaps", "-n", "sets", "-l", "applyset.kubernetes.io/part-of", "-o", "name").stdout
    assert names == "configmap/kept\n"


def test_server_side_apply_has_owners(kubectl: Kubectl, work: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: owned, namespace: {work}}}\ndata: {{colour: %s}}\n"
    apply = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in kubectl(*apply, text=text % "blue").stdout
    refused = kubectl(*apply, "--field-manager=other", text=text % "red", code=1).stderr
    assert 'conflict with "kubectl"' in refused and ".data.colour" in refused
    kubectl(*apply, "--field-manager=other", "--force-conflicts", text=text % "red")
    managers = shown(kubectl, "configmap/owned", "-n", work, "--show-managed-fields")["metadata"]["managedFields"]
    assert {m["manager"] for m in managers if "f:data" in m["fieldsV1"]} == {"other"}
    diff = kubectl("diff", "--server-side", "--field-manager=other", "-f", "-", text=text % "green", code=1).stdout
    assert "+  colour: green" in diff
    # A client-side apply turns into a server-side one without a conflict.
    client = text.replace("owned", "turned") % "blue"
    kubectl("apply", "-f", "-", text=client)
    kubectl(*apply, text=client.replace("blue", "green"))


def test_faults_of_a_manifest_are_named(kubectl: Kubectl, work: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: odd, namespace: {work}}}\ndatta: {{a: b}}\n"
    assert 'unknown field "datta"' in kubectl("apply", "-f", "-", text=text, code=1).stderr
    assert 'unknown field "datta"' in kubectl("apply", "--validate=warn", "-f", "-", text=text).stderr
    bad = kubectl("create", "service", "clusterip", "A_b", "--tcp=80", "-n", work, code=1).stderr
    assert 'Service "A_b" is invalid' in bad and "metadata.name" in bad


def test_old_kinds_warn(kubectl: Kubectl, work: str) -> None:
    told = kubectl("get", "endpoints", "-n", work).stderr
    assert "Warning: v1 Endpoints is deprecated in v1.33+" in told


def test_who_may_do_what(kubectl: Kubectl, work: str) -> None:
    robot = f"--as=system:serviceaccount:{work}:default"
    assert kubectl("auth", "can-i", "list", "pods", robot, "-n", work, code=1).stdout == "no\n"
    forbidden = kubectl("get", "pods", robot, "-n", work, code=1).stderr
    assert f'User "system:serviceaccount:{work}:default" cannot list resource "pods"' in forbidden
    kubectl("create", "rolebinding", "viewer", "--clusterrole=view", f"--serviceaccount={work}:default", "-n", work)
    kubectl("auth", "can-i", "list", "pods", robot, "-n", work)
    kubectl("get", "pods", robot, "-n", work)
    assert "pods" in kubectl("auth", "can-i", "--list", robot, "-n", work).stdout
    assert f"system:serviceaccount:{work}:default" in kubectl("auth", "whoami", robot).stdout
    token = kubectl("create", "token", "default", "-n", work).stdout.strip()
    assert len(token.split(".")) == 3


def test_a_node_is_kept_free(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text="apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n")
    kubectl("taint", "node", "n1", "dedicated=a:NoSchedule")
    kubectl("cordon", "n1")
    spec = shown(kubectl, "node/n1")["spec"]
    assert spec["unschedulable"] is True and {t["key"] for t in spec["taints"]} >= {"dedicated"}
    kubectl("drain", "n1")
    kubectl("uncordon", "n1")
    kubectl("taint", "node", "n1", "dedicated-")
    assert "unschedulable" not in shown(kubectl, "node/n1")["spec"]
    kubectl("delete", "node", "n1")


def test_a_pod_from_run_to_delete(kubectl: Kubectl, work: str) -> None:
    kubectl("run", "one", "--image=one:1", "--restart=Never", "-n", work, "--labels=a=b")
    kubectl("wait", "pod/one", "--for=jsonpath={.status.phase}=Pending", "-n", work, "--timeout=10s")
    kubectl("debug", "one", "--image=debug:1", "-c", "debugger", "-n", work)
    assert shown(kubectl, "pod/one", "-n", work)["spec"]["ephemeralContainers"][0]["name"] == "debugger"
    text = json.dumps(shown(kubectl, "pod/one", "-n", work)).replace("one:1", "one:2")
    kubectl("replace", "-f", "-", text=text)
    assert shown(kubectl, "pod/one", "-n", work)["spec"]["containers"][0]["image"] == "one:2"
    assert kubectl("logs", "one", "-c", "one", "-n", work).stdout == ""  # it runs nowhere
    assert "does not have a host assigned" in kubectl("exec", "one", "-c", "one", "-n", work, "--", "ls", code=1).stderr
    kubectl("delete", "pods", "-l", "a=b", "-n", work, "--now")
    assert kubectl("get", "pods", "-n", work, "-o", "name").stdout == ""


def test_events(kubectl: Kubectl, work: str) -> None:
    uid = shown(kubectl, "deployment/web", "-n", work)["metadata"]["uid"]
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": work}, "reason": "Scaled",
        "type": "Normal", "message": "to five", "source": {"component": "t"}, "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": work, "name": "web", "uid": uid},
    }  # fmt: skip
    kubectl("create", "-f", "-", text=json.dumps(event))
    assert "to five" in kubectl("events", "-n", work, "--for=deployment/web").stdout
    assert "to five" in kubectl("get", "events", "-n", work, "--field-selector=reason=Scaled").stdout
    assert "to five" in kubectl("describe", "deployment", "web", "-n", work).stdout


def test_describe_knows_what_is_there(kubectl: Kubectl, work: str) -> None:
    for kind in ("deployment/web", "service/web", f"namespace/{work}", "serviceaccount/default", "priorityclass"):
        assert "Name:" in kubectl("describe", kind, "-n", work).stdout
    assert "FIELD: containers" in kubectl("explain", "pod.spec.containers", "--recursive").stdout


def test_an_editor_changes_an_object(
    kubectl_binary: str, kubeconfig: Path, kubectl: Kubectl, work: str, tmp_path: Path
) -> None:
    kubectl("create", "configmap", "edited", "--from-literal=a=before", "-n", work)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/before/after/ "$1"\n')
    editor.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig), "EDITOR": str(editor)}
    command = [kubectl_binary, "edit", "configmap", "edited", "-n", work]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert shown(kubectl, "configmap/edited", "-n", work)["data"] == {"a": "after"}


def test_kustomize(kubectl: Kubectl, work: str, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: {work}\nnamePrefix: k-\nconfigMapGenerator:\n- {{name: made, literals: [a=b]}}\n"
    )
    told = kubectl("apply", "-k", str(tmp_path)).stdout
    assert told.startswith("configmap/k-made-") and told.endswith("created\n")
    kubectl("delete", "-k", str(tmp_path))


def test_owned_objects_go_as_asked(kubectl: Kubectl, work: str) -> None:
    for name, cascade, stays in (("a", "background", False), ("b", "foreground", False), ("c", "orphan", True)):
        kubectl("create", "configmap", f"owner-{name}", "-n", work)
        uid = shown(kubectl, f"configmap/owner-{name}", "-n", work)["metadata"]["uid"]
        owner = f"{{apiVersion: v1, kind: ConfigMap, name: owner-{name}, uid: {uid}, blockOwnerDeletion: true}}"
        meta = f"{{name: owned-{name}, namespace: {work}, ownerReferences: [{owner}]}}"
        kubectl("create", "-f", "-", text=f"apiVersion: v1\nkind: ConfigMap\nmetadata: {meta}\n")
        kubectl("delete", "configmap", f"owner-{name}", "-n", work, f"--cascade={cascade}")
        if stays:
            assert "ownerReferences" not in shown(kubectl, f"configmap/owned-{name}", "-n", work)["metadata"]
        else:
            kubectl("wait", f"configmap/owned-{name}", "-n", work, "--for=delete", "--timeout=10s")


def test_a_namespace_goes_with_everything(kubectl: Kubectl, work: str) -> None:
    kubectl("delete", "namespace", work, "--timeout=30s")
    assert kubectl("get", "deployments,services,configmaps", "-n", work, "-o", "name").stdout == ""
