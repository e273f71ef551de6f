"""helm with a chart that has a custom kind and hooks: install, upgrade, rollback, failures, uninstall.

    python -m tests.clients.helm.session      (`make helm`)

helm is that of PEERS_DIR or the PATH; where there is none, it is built through Go's module proxy. No kubelet runs here,
so a thread finishes the hooks' Jobs as one would.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.clients.peers import find_program
from tests.clients.tier import Tenant, running_tier, tenant

MODULE = "helm.sh/helm/v3/cmd/helm@v3.21.4"
CHART = str(Path(__file__).parent / "chart")
JOBS = "/apis/batch/v1/namespaces/shop/jobs"
WIDGETS = "/apis/helm.example.com/v1/namespaces/shop/widgets"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="kcp-helm-") as directory, running_tier() as tier:
        cluster, other = tenant(tier, "helm"), tenant(tier, "neighbour")
        before = everything(other)
        helm = Helm(find_program("helm") or built(Path(directory)), cluster, Path(directory))
        cluster.ask("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        with finished_jobs(cluster):
            install(helm, cluster)
            upgrade(helm, cluster)
            rollback(helm, cluster)
            refuse(helm, cluster)
            uninstall(helm, cluster)
        assert everything(other) == before, "another logical cluster has changed"
    print("ok")
    return 0


class Helm:
    def __init__(self, binary: str, of: Tenant, home: Path) -> None:
        self._binary = binary
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(of.kubeconfig),
            "HOME": str(home),
            "HELM_NAMESPACE": "shop",
        }

    def __call__(self, *arguments: str, code: int = 0) -> str:
        ran = subprocess.run(
            [self._binary, *arguments], env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == code, f"helm {' '.join(arguments)}\n{ran.stdout}{ran.stderr}"
        print("ok helm", *arguments[:2], flush=True)
        return ran.stdout if code == 0 else ran.stderr


def built(directory: Path) -> str:
    environment = {**os.environ, "GOBIN": str(directory), "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    subprocess.run(["go", "install", MODULE], env=environment, check=True)
    return str(directory / "helm")


def install(helm: Helm, cluster: Tenant) -> None:
    helm("install", "web", CHART)
    assert "kind: Widget" in helm("install", "other", CHART, "--dry-run=server")
    assert is_gone(cluster, "/api/v1/namespaces/shop/configmaps/other-settings"), "a dry run made something"
    namespace = cluster.ask("/api/v1/namespaces/shop")
    settings = data(cluster)
    assert settings == {"greeting": "hello", "revision": "1", "namespace": namespace["metadata"]["uid"]}
    assert cluster.ask(f"{WIDGETS}/web")["spec"] == {"size": 3, "colour": "blue"}
    assert {job["metadata"]["name"] for job in cluster.ask(JOBS)["items"]} == {"web-pre-install", "web-post-install"}
    (release,) = json.loads(helm("list", "-o", "json"))
    assert (release["name"], release["revision"], release["status"]) == ("web", "1", "deployed")
    helm("install", "web", CHART, code=1)


def upgrade(helm: Helm, cluster: Tenant) -> None:
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    deployment = cluster.ask(path)
    deployment["metadata"]["annotations"]["by"] = "hand"
    cluster.ask(path, deployment, "PUT")
    helm("upgrade", "web", CHART, "--set", "greeting=goodbye,replicas=5,size=4,extra.more=yes")
    assert {**data(cluster), "namespace": ""} == {
        "greeting": "goodbye",
        "revision": "2",
        "namespace": "",
        "more": "yes",
    }
    deployment = cluster.ask(path)
    assert (deployment["spec"]["replicas"], deployment["metadata"]["annotations"]["by"]) == (5, "hand")
    assert cluster.ask(f"{WIDGETS}/web")["spec"]["size"] == 4
    assert cluster.ask(f"{JOBS}/web-pre-upgrade")["status"]["succeeded"] == 1
    assert "goodbye" in helm("get", "manifest", "web")
    helm("upgrade", "--install", "web", CHART, "--reuse-values", "--set", "greeting=again")
    assert data(cluster)["more"] == "yes"


def rollback(helm: Helm, cluster: Tenant) -> None:
    helm("rollback", "web", "1")
    assert {**data(cluster), "namespace": ""} == {"greeting": "hello", "revision": "1", "namespace": ""}
    assert cluster.ask(f"{WIDGETS}/web")["spec"]["size"] == 3
    assert [h["description"] for h in json.loads(helm("history", "web", "-o", "json"))] == [
        "Install complete", "Upgrade complete", "Upgrade complete", "Rollback to 1"
    ]  # fmt: skip
    assert json.loads(helm("status", "web", "-o", "json"))["info"]["status"] == "deployed"


def refuse(helm: Helm, cluster: Tenant) -> None:
    """What the server does not accept makes a failed release, and an atomic upgrade goes back by itself."""
    told = helm("upgrade", "web", CHART, "--set", "size=11", "--atomic", "--timeout", "20s", code=1)
    assert "should be less than or equal to 10" in told, told
    assert cluster.ask(f"{WIDGETS}/web")["spec"]["size"] == 3
    assert data(cluster)["greeting"] == "hello"


def uninstall(helm: Helm, cluster: Tenant) -> None:
    helm("uninstall", "web")
    assert json.loads(helm("list", "-a", "-o", "json")) == []
    for path in (
        f"{WIDGETS}/web",
        "/api/v1/namespaces/shop/services/web",
        "/apis/apps/v1/namespaces/shop/deployments/web",
    ):
        assert is_gone(cluster, path), path
    assert cluster.ask("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.helm.example.com")
    helm("install", "web", CHART)
    helm("uninstall", "web", "--cascade", "foreground")


def data(cluster: Tenant) -> Any:
    return cluster.ask("/api/v1/namespaces/shop/configmaps/web-settings")["data"]


def is_gone(cluster: Tenant, path: str) -> bool:
    try:
        cluster.ask(path)
    except HTTPError as error:
        return error.code == 404
    return False


class finished_jobs:
    """Jobs finish as soon as they are seen."""

    def __init__(self, of: Tenant) -> None:
        self._of, self._stopped = of, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            for job in self._of.ask(JOBS)["items"]:
                if not job.get("status", {}).get("conditions"):
                    self._finish(job)

    def _finish(self, job: Any) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("SuccessCriteriaMet", "Complete")
        ]
        job["status"] = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
        try:
            self._of.ask(f"{JOBS}/{job['metadata']['name']}/status", job, "PUT")
        except HTTPError as error:
            if error.code not in (404, 409):  # helm was faster
                raise


def everything(of: Tenant) -> Any:
    return [of.ask(f"/api/v1/{plural}")["items"] for plural in ("namespaces", "configmaps", "secrets", "events")]


if __name__ == "__main__":
    sys.exit(main())
