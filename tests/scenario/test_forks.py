"""A change tried out in a fork and promoted, and time turned back: with the real kubectl."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.tier import Tier
from tests.scenario.test_backup import Kubectl, kcp

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def three_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    made = Tier(tmp_path_factory.mktemp("forks") / "kcp", "--shards", "3", "--fronts", "1")
    made.start()
    yield made
    assert made.stop() == 0, made.log()
    assert not made.has_traceback(), made.log()


def test_tried_in_a_fork_and_promoted(kubectl_binary: str, kubectl_place: str, three_shards: Tier) -> None:
    prod = Kubectl(kubectl_binary, three_shards.kubeconfig, f"{kubectl_place}-prod")
    prod("create", "configmap", "a", "--from-literal=k=1")
    prod("create", "configmap", "b", "--from-literal=k=1")
    prod("create", "serviceaccount", "robot")
    token = prod("create", "token", "robot").strip()
    config = ["--kubeconfig", str(three_shards.kubeconfig)]
    kcp("fork", f"{kubectl_place}-prod", f"{kubectl_place}-try", *config)
    fork = Kubectl(kubectl_binary, three_shards.kubeconfig, f"{kubectl_place}-try")
    shown = [json.loads(each("get", "cm,sa,clusterroles", "-A", "-o", "json"))["items"] for each in (prod, fork)]
    names = [{(obj["kind"], obj["metadata"]["name"]) for obj in items} for items in shown]
    assert names[1] - names[0] == {("ConfigMap", "kcp-fork")} and names[0] <= names[1]
    # Who is somebody there is nobody here, whatever the account's name and uid.
    fork("get", "serviceaccount", "robot")
    command = [kubectl_binary, "--kubeconfig", fork.kubeconfig, "--token", token, "get", "cm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and ("Unauthorized" in done.stderr or "logged in" in done.stderr), done.stderr
    prod("--token", token, "auth", "whoami")
    fork("patch", "configmap", "a", "--type=merge", "-p", '{"data": {"k": "2"}}')
    fork("create", "configmap", "c", "--from-literal=k=3")
    prod("label", "configmap", "b", "seen=1")
    with pytest.raises(subprocess.CalledProcessError) as differs:
        kcp("diff", f"{kubectl_place}-prod", f"{kubectl_place}-try", "-n", "default", *config)
    assert '~ configmaps/a in namespace default\n      data.k: "1" → "2"' in differs.value.stdout
    kcp("promote", f"{kubectl_place}-try", *config)
    assert prod("get", "cm", "a", "-o", "jsonpath={.data.k}") == "2"
    assert prod("get", "cm", "b", "-o", "jsonpath={.metadata.labels.seen}") == "1"
    assert prod("get", "cm", "c", "-o", "jsonpath={.data.k}") == "3"


def test_forks_on_any_shard_go_apart_and_outlive_their_origin(kubectl_binary: str, three_shards: Tier) -> None:
    root = Kubectl(kubectl_binary, three_shards.kubeconfig, "root")
    workspace = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": "prod"}}
    root("create", "-f", "-", given=json.dumps(workspace))
    root("wait", "workspace/prod", "--for=jsonpath={.status.phase}=Ready", "--timeout=50s")
    prod = Kubectl(kubectl_binary, three_shards.kubeconfig, "root:prod")
    for number in range(5):
        prod("create", "configmap", f"m{number}", "--from-literal=k=1")
    config = ["--kubeconfig", str(three_shards.kubeconfig)]
    paths = [f"root:try{number}" for number in range(4)]
    for path in paths:  # of slots of all shards, most likely
        kcp("fork", "root:prod", path, *config)
    forks = [Kubectl(kubectl_binary, three_shards.kubeconfig, path) for path in paths]
    forks[0]("patch", "configmap", "m0", "--type=merge", "-p", '{"data": {"k": "2"}}')
    for number, path in enumerate([*paths[:3], "root:prod"]):
        kcp("move", path, "--to", f"shard-{number % 3 + 1}", "--root-directory", str(three_shards.root))
    prod("delete", "configmap", "m4")
    prod("patch", "configmap", "m3", "--type=merge", "-p", '{"data": {"k": "3"}}')
    kcp("promote", paths[0], *config)
    assert prod("get", "cm", "m0", "-o", "jsonpath={.data.k}") == "2"
    root("delete", "workspace", "prod", "--timeout=50s")
    shown = [json.loads(fork("get", "cm", "-n", "default", "-o", "json"))["items"] for fork in forks]
    values = [{i["metadata"]["name"]: i["data"].get("k") for i in items if "k" in i["data"]} for items in shown]
    asked = {f"m{number}": "1" for number in range(5)}
    assert values == [asked | {"m0": "2"}, asked, asked, asked]


def test_time_is_turned_back(kubectl_binary: str, kubectl_place: str, three_shards: Tier, tmp_path: Path) -> None:
    """As new writes: what watches sees changes, and revisions only grow."""
    kubectl = Kubectl(kubectl_binary, three_shards.kubeconfig, f"{kubectl_place}-past")
    kubectl("create", "namespace", "shop")
    kubectl("create", "configmap", "a", "--from-literal=k=1", "-n", "shop")
    kubectl("create", "secret", "generic", "s", "--from-literal=k=1")
    then = kubectl("get", "cm", "a", "-n", "shop", "-o", "jsonpath={.metadata.resourceVersion}")
    then = max(then, kubectl("get", "secret", "s", "-o", "jsonpath={.metadata.resourceVersion}"))
    watched = (tmp_path / "watched").open("w+")
    command = [kubectl_binary, "--kubeconfig", kubectl.kubeconfig, "get", "cm", "-n", "shop", "-w", "-o", "name"]
    watch = subprocess.Popen(command, stdout=watched, text=True)
    try:
        end = time.monotonic() + 60
        while "configmap/a\n" not in (tmp_path / "watched").read_text() and time.monotonic() < end:
            time.sleep(0.05)  # it has to see the first state
        kubectl("patch", "configmap", "a", "-n", "shop", "--type=merge", "-p", '{"data": {"k": "2"}}')
        kubectl("create", "configmap", "new", "-n", "shop")
        kubectl("delete", "secret", "s")
        config = ["--kubeconfig", kubectl.kubeconfig]
        assert json.loads(kcp("get", "cm/a", "-n", "shop", "--at", then, "-o", "json", *config))["data"] == {"k": "1"}
        kcp("restore", "--all", "-n", "shop", "--to", then, *config)
        assert kubectl("get", "cm", "a", "-n", "shop", "-o", "jsonpath={.data.k}") == "1"
        assert "new" in kubectl("get", "cm", "-n", "shop", "-o", "name")
        kcp("restore", "--everything", "--to", then, "--prune", *config)
        assert "new" not in kubectl("get", "cm", "-n", "shop", "-o", "name")
        assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.k}") == "MQ=="
        now = kubectl("get", "secret", "s", "-o", "jsonpath={.metadata.resourceVersion}")
        assert int(now) > int(then)
        history = kcp("history", "cm/a", "-n", "shop", *config)
        assert history.count("Update") == 2 and 'data.k: "2" → "1"' in history
    finally:
        watch.terminate()
        watch.wait(30)
        watched.close()
    assert (tmp_path / "watched").read_text().count("configmap/a\n") >= 3, "there at first, changed, changed back"


def test_shards_that_die_while_they_fork_and_back_up(
    kubectl_binary: str, kubectl_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step ends the shard now and then; what was answered is there, what was not is whole or nothing."""
    steps = ("forks.birth", "forks.giving", "checkpoint.made", "writer.before_sync")
    chances = ("0.5", "0.5", "0.5", "0.02")
    points = ",".join(f"{step}=kill%{chance}" for step, chance in zip(steps, chances, strict=True))
    tier = Tier(tmp_path / "kcp", "--shards", "1", "--fronts", "1")
    tier.start()
    prod = Kubectl(kubectl_binary, tier.kubeconfig, "prod")
    for number in range(5):
        prod("create", "configmap", f"m{number}", "--from-literal=k=1")
    assert tier.stop() == 0
    monkeypatch.setenv("KCP_FAILPOINTS", points)
    tier.start()
    config = ["--kubeconfig", str(tier.kubeconfig)]
    backup = ["backup", "create", "--root-directory", str(tier.root), "--place", str(tmp_path / "store")]
    forks = []
    try:
        for number in range(4):
            if _until_it_works("fork", "prod", f"f{number}", *config):
                forks.append(f"f{number}")
        assert _until_it_works(*backup)
    finally:
        tier.kill()
    monkeypatch.delenv("KCP_FAILPOINTS")
    found = kcp("shard", "verify", str(tier.root / "shard-1" / "data"))
    assert "no violations" in found
    tier.start()
    try:
        assert len(forks) >= 3, "a fork that was not answered may be there; the next attempt says that it exists"
        for name in forks:
            shown = json.loads(
                Kubectl(kubectl_binary, tier.kubeconfig, name)("get", "cm", "-n", "default", "-o", "json")
            )
            names = {item["metadata"]["name"] for item in shown["items"]} - {"kube-root-ca.crt"}
            assert names == {f"m{number}" for number in range(5)}, name
        assert "no faults" in kcp("backup", "verify", "--deep", "--place", str(tmp_path / "store"))
    finally:
        assert tier.stop() == 0


def _until_it_works(*arguments: str) -> bool:
    """False: an attempt that was not answered has made it."""
    for _ in range(30):
        try:
            kcp(*arguments)
            return True
        except subprocess.CalledProcessError as failed:
            if "already exists" in failed.stderr:
                return True
            time.sleep(0.3)
    return False
