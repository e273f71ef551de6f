"""kube-controller-manager, kube-scheduler and KWOK's kubelets, all unmodified, at work in one logical cluster.

A Deployment becomes available, a CronJob runs, a namespace goes with all it owns. Meanwhile a neighbour, another
logical cluster of the same shard, must notice nothing: no object, no watch event, no cliff in what its requests take.

    PEERS_DIR=… python -m tests.clients.controllers      (`make controllers`)
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.peers import controller_manager, program, scheduler_and_kubelets
from tests.clients.tier import Tenant, running_tier, tenant

NODES = """\
apiVersion: v1
kind: Node
metadata: {name: node-%d, labels: {kubernetes.io/hostname: node-%d}, annotations: {kwok.x-k8s.io/node: fake}}
status: {allocatable: {cpu: "32", memory: 256Gi, pods: "1000"}, capacity: {cpu: "32", memory: 256Gi, pods: "1000"}}
"""
WATCHED = ("/api/v1/configmaps", "/api/v1/pods", "/api/v1/events", "/api/v1/namespaces", "/api/v1/serviceaccounts",
           "/apis/apps/v1/replicasets", "/apis/coordination.k8s.io/v1/leases", "/api/v1/nodes")  # fmt: skip
# How much longer a neighbour's median request may take while the controllers work. They use processors too: this is
# about queueing behind them, which would cost a multiple.
CLIFF, CLIFF_SECONDS = 5, 0.03


class Neighbour:
    """Watches much and asks steadily; keeps what came and how long each request took."""

    def __init__(self, of: Tenant) -> None:
        self._of = of
        self.events: list[dict[str, Any]] = []
        self.seconds: list[float] = []
        self._stopped = threading.Event()

    def watch(self, path: str) -> None:
        version = self._of.ask(path)["metadata"]["resourceVersion"]
        while not self._stopped.is_set():
            for line in self._of.stream(f"{path}?watch=1&timeoutSeconds=3&resourceVersion={version}"):
                self.events.append(json.loads(line))

    def ask(self) -> None:
        while not self._stopped.wait(0.1):
            began = time.perf_counter()
            self._of.ask("/api/v1/namespaces/default/configmaps/steady")
            self.seconds.append(time.perf_counter() - began)

    @contextmanager
    def living(self) -> Iterator[None]:
        work = [threading.Thread(target=self.ask)]
        work += [threading.Thread(target=self.watch, args=(path,)) for path in WATCHED]
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in work:
                thread.join()

    def everything(self) -> list[Any]:
        return [self._of.ask(path)["items"] for path in WATCHED]


def main() -> int:
    for needed in ("kubectl", "kube-controller-manager", "kube-scheduler", "kwok"):
        program(needed)
    with tempfile.TemporaryDirectory(prefix="kcp-controllers-") as name, running_tier("--shards", "1") as tier:
        other = tenant(tier, "neighbour")
        other.ask("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "steady"}})
        neighbour = Neighbour(other)
        before = neighbour.everything()
        with neighbour.living():
            time.sleep(5)
            calm, neighbour.seconds = neighbour.seconds, []
            attach(tenant(tier, "controlled"), Path(name))
        return judge(neighbour, calm, before)


def attach(cluster: Tenant, directory: Path) -> None:
    log = directory / "controller-manager.log"
    with controller_manager(cluster, log), scheduler_and_kubelets(cluster, directory):
        kubectl = Kubectl(cluster)
        for number in (1, 2):
            kubectl("apply", "-f", "-", text=NODES % (number, number))
        kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")
        say("nodes are ready")
        run_workloads(kubectl)


def run_workloads(kubectl: "Kubectl") -> None:
    kubectl("create", "namespace", "work")
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=5", "-n", "work")
    kubectl("expose", "deployment", "web", "--port=80", "-n", "work")
    kubectl("create", "cronjob", "tick", "--image=tick:1", "--schedule=* * * * *", "-n", "work", "--", "true")
    kubectl("wait", "deployment/web", "-n", "work", "--for=condition=Available", "--timeout=60s")
    addresses = "{.items[0].endpoints[*].addresses[0]}"
    for _ in range(100):
        slices = kubectl("get", "endpointslices", "-n", "work", "-o", f"jsonpath={addresses}")
        if len(slices.split()) == 5:
            break
        time.sleep(0.2)
    else:
        raise AssertionError(f"endpoints of the Service: {slices}")
    say("a Deployment is available, its Service has endpoints")
    kubectl("scale", "deployment/web", "--replicas=2", "-n", "work")
    kubectl("set", "image", "deployment/web", "web=web:2", "-n", "work")
    kubectl("rollout", "status", "deployment/web", "-n", "work", "--timeout=60s")
    assert "web:2" in kubectl("get", "pods", "-n", "work", "-l", "app=web", "-o", "wide", "-o", "yaml")
    kubectl("rollout", "undo", "deployment/web", "-n", "work")
    kubectl("rollout", "status", "deployment/web", "-n", "work", "--timeout=60s")
    say("it is scaled, rolled out and rolled back")
    kubectl("wait", "cronjob/tick", "-n", "work", "--for=jsonpath={.status.lastSuccessfulTime}", "--timeout=150s")
    say("a CronJob has run")
    kubectl("delete", "deployment", "web", "-n", "work", "--cascade=foreground", "--timeout=60s")
    left = kubectl("get", "replicasets,pods", "-n", "work", "-l", "app=web", "-o", "name")
    assert left == "", f"a Deployment left {left}"
    kubectl("delete", "namespace", "work", "--timeout=90s")
    assert kubectl("get", "pods,jobs,services", "-A", "-o", "name") in ("", "service/kubernetes\n")
    say("the namespace has gone with all it owned")


def judge(neighbour: Neighbour, calm: list[float], before: list[Any]) -> int:
    faults = []
    if neighbour.events:
        faults.append(f"the neighbour saw {len(neighbour.events)} events, the first {neighbour.events[0]}")
    if neighbour.everything() != before:
        faults.append("the neighbour's objects have changed")
    usual, busy = statistics.median(calm), statistics.median(neighbour.seconds)
    say(f"the neighbour's median get took {usual * 1000:.1f} ms before, {busy * 1000:.1f} ms beside the controllers")
    if busy > usual * CLIFF + CLIFF_SECONDS:
        faults.append("the neighbour waits for the controllers")
    for fault in faults:
        print("FAILED", fault)
    return 1 if faults else 0


class Kubectl:
    def __init__(self, of: Tenant) -> None:
        self._command = [program("kubectl"), f"--kubeconfig={of.kubeconfig}"]

    def __call__(self, *arguments: str, text: str = "") -> str:
        ran = subprocess.run([*self._command, *arguments], input=text, capture_output=True, text=True, timeout=200)
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}\n{ran.stdout}{ran.stderr}"
        return ran.stdout


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
