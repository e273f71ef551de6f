"""A Service of one real physical cluster, imported in another: `make services`, with the programs of $PEERS_DIR. Exits
1 at the first difference."""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.clients.demo import DEPLOYMENT, Demo, cluster
from tests.clients.peers import free_port
from tests.clients.physical_clusters import PhysicalCluster

WAIT_S = 120.0
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {kcp.dev/cluster: east}}
spec: {selector: {app: nginx}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
EXPORT = """
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceExport
metadata: {name: web}
"""
_IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
_SOURCE = "multicluster.kubernetes.io/source-cluster"


def until(what: Callable[[], Any], text: str) -> Any:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError, KeyError):
            if found := what():
                print(f"ok: {text}", flush=True)
                return found
        time.sleep(0.5)
    raise SystemExit(f"FAILED: {text}")


def addresses(of: PhysicalCluster, label: str) -> set[str]:
    slices = of.ask(f"/apis/discovery.k8s.io/v1/endpointslices?labelSelector={label}")["items"]
    return {address for each in slices for one in each["endpoints"] or () for address in one["addresses"]}


def imports(of: PhysicalCluster) -> list[Any]:
    found: list[Any] = of.ask(_IMPORTS)["items"]
    return found


def placed(name: str, where: str, replicas: int) -> str:
    text = DEPLOYMENT.replace("{name: my-deployment}", f"{{name: {name}, labels: {{kcp.dev/cluster: {where}}}}}")
    return text.replace("replicas: 15", f"replicas: {replicas}")


def session(demo: Demo, east: PhysicalCluster, west: PhysicalCluster) -> None:
    demo.run("apply", "-f", "config")
    for each in (east, west):
        text = cluster(each.name, each.kubeconfig, "services")
        demo.shows("apply", "-f", "-", stdin=text, that=lambda s: "created" in s)
    made = placed("web", "east", 3), placed("client", "west", 1).replace("app: nginx", "app: client"), SERVICE
    for text in made:
        demo.shows("apply", "-f", "-", stdin=text, that=lambda s: " created" in s)
    below = until(
        lambda: len(found := addresses(east, "kubernetes.io/service-name%3Dweb")) == 3 and found,
        "the Service runs in east",
    )
    demo.shows("apply", "-f", "-", stdin=EXPORT, that=lambda s: "created" in s)
    found = until(lambda: imports(west)[0], "west has a ServiceImport")
    derived = until(
        lambda: west.ask("/api/v1/services?labelSelector=services.kcp.dev/export%3Dweb")["items"][0], "… a Service"
    )
    assert found["spec"]["ips"] == [derived["spec"]["clusterIP"]], found
    name = derived["metadata"]["name"]
    until(
        lambda: addresses(west, f"kubernetes.io/service-name%3D{name}") == below, "… with the addresses of east's pods"
    )
    demo.shows("get", "serviceexport", "web", that=lambda s: "True" in s and "False" in s)
    demo.shows("get", "serviceimport", "web", "-o", "yaml", that=lambda s: "cluster: east" in s)
    demo.run("scale", "deployment", "web", "--replicas=5")
    until(lambda: len(addresses(west, f"{_SOURCE}%3Deast")) == 5, "a change in east is seen in west")
    demo.run("delete", "serviceexport", "web")
    until(lambda: not imports(west) and not addresses(west, _SOURCE) and not imports(east), "it goes with its export")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="of kcp (default: a free one)")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kcp-services-", dir="/tmp") as place, contextlib.ExitStack() as stack:
        directory = Path(place)
        clusters = []
        for name in ("east", "west"):
            clusters.append(PhysicalCluster(name, directory / name))
            stack.callback(clusters[-1].stop)
            clusters[-1].start()
        demo = Demo(directory, chosen.port or free_port())
        kcp = demo.start("--auto-publish-apis")
        stack.callback(kcp.wait, 30)
        stack.callback(kcp.terminate)
        session(demo, *clusters)
        print("all as it should be", flush=True)


if __name__ == "__main__":
    main()
