"""The prototype's two demos against two real clusters, unattended: `make demo ARGS="EAST.kubeconfig WEST.kubeconfig"`.

Every step is a kubectl command whose outcome is compared with the state that the prototype's recordings show; where its
old cluster is wanted, the two serve different versions of a custom type. Prints the transcript; exits 1 at the first
difference.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
KUBECTL = os.environ.get("KUBECTL", "kubectl")
WAIT_S = 120.0


class Demo:
    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self.kubeconfig = directory / "kcp" / "admin.kubeconfig"

    def start(self, *more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "kcp", "start", "--root-directory", str(self.directory / "kcp")]
        command += ["--listen", f"127.0.0.1:{self.port}", "--resources-to-sync", "deployments.apps", *more]
        log = (self.directory / "kcp.log").open("w")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        assert process.stdout is not None
        assert "kcp is ready" in process.stdout.readline(), (self.directory / "kcp.log").read_text()
        return process

    def run(self, *arguments: str, stdin: str = "", kubeconfig: Path | None = None, quiet: bool = False) -> str:
        """Both outputs, as a terminal shows them."""
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", str(kubeconfig or self.kubeconfig), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_S,
            check=False,
            cwd=ROOT,
        )
        if not quiet:
            print(f"$ kubectl {' '.join(arguments)}\n{done.stdout}", flush=True)
        return done.stdout

    def shows(self, *arguments: str, that: Callable[[str], bool], stdin: str = "") -> None:
        """Run until it shows what it should; that is printed."""
        deadline = time.monotonic() + WAIT_S
        while True:
            said = self.run(*arguments, stdin=stdin, quiet=True)
            if that(said):
                break
            if time.monotonic() > deadline:
                print(f"$ kubectl {' '.join(arguments)}\n{said}", flush=True)
                raise SystemExit("FAILED: that is not what the recording shows")
            time.sleep(0.5)
        print(f"$ kubectl {' '.join(arguments)}\n{said}", flush=True)


def cluster(name: str, kubeconfig: Path, *resources: str) -> str:
    spec: dict[str, Any] = {"kubeconfig": kubeconfig.read_text(), "resources": ["deployments.apps", *resources]}
    head = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": spec})


def widgets(*fields: str) -> str:
    """A custom type whose older version has fewer fields."""
    properties = {field: {"type": "string"} for field in fields}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {"group": "demo.example.dev", "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": "widgets.demo.example.dev"}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    return yaml.safe_dump({**head, "spec": spec})


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-deployment}
spec:
  replicas: 15
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: nginx, image: nginx}]}
"""
ROWS = ("my-deployment", "my-deployment--us-east1", "my-deployment--us-west1")


def cells(said: str, first: str) -> list[str]:
    """Of the row that begins so."""
    return next((line.split() for line in said.splitlines() if line.split()[:1] == [first]), [])


def split_is(said: str) -> bool:
    found = {row: [*cells(said, row), "", ""][1] for row in ROWS}
    return found[ROWS[0]] == "15/15" and {found[ROWS[1]], found[ROWS[2]]} == {"8/8", "7/7"}


def many_clusters(demo: Demo, east: Path, west: Path) -> None:
    demo.shows("get", "pods", that=lambda s: 'the server doesn\'t have a resource type "pods"' in s)
    demo.run("apply", "-f", "config")
    demo.shows("--context", "user", "get", "clusters", that=lambda s: "doesn't have a resource type" in s)
    demo.shows("apply", "-f", "-", stdin=cluster("us-east1", east), that=lambda s: "created" in s)
    demo.shows("get", "clusters", "-o", "wide", that=lambda s: cells(s, "us-east1") == ["us-east1", "us-east1"])
    demo.shows(
        "get", "apiresourceimports", "-o", "wide",
        that=lambda s: cells(s, "deployments.us-east1.v1.apps")[1:]
        == ["us-east1", "UpdateUnpublished", "apps/v1", "deployments", "True"],
    )  # fmt: skip
    demo.shows(
        "get", "negotiatedapiresources", "-o", "wide",
        that=lambda s: cells(s, "deployments.v1.apps")[1:] == ["apps/v1", "deployments"],
    )  # fmt: skip
    publish(demo, "deployments.v1.apps")
    demo.shows(
        "get", "negotiatedapiresources", "-o", "wide",
        that=lambda s: cells(s, "deployments.v1.apps")[1:] == ["true", "apps/v1", "deployments", "True", "False"],
    )  # fmt: skip
    demo.shows("apply", "-f", "-", stdin=cluster("us-west1", west), that=lambda s: "created" in s)
    demo.run("wait", "cluster/us-east1", "cluster/us-west1", "--for", "condition=Ready", "--timeout=60s")
    demo.shows("api-resources", "--api-group=apps", that=lambda s: "Deployment" in s and "deploy" in s)
    demo.run("create", "namespace", "demo")
    demo.shows("apply", "-n", "demo", "-f", "-", stdin=DEPLOYMENT, that=lambda s: "my-deployment" in s)
    demo.shows("get", "deployments", "-n", "demo", that=lambda s: all(cells(s, row) for row in ROWS))
    demo.run("wait", "deployments", "--all", "-n", "demo", "--for=condition=Available", "--timeout=60s")
    demo.shows("get", "deployments", "-n", "demo", that=split_is)
    demo.shows("get", "pods", that=lambda s: 'the server doesn\'t have a resource type "pods"' in s)


def publish(demo: Demo, name: str) -> None:
    demo.run("patch", "negotiatedapiresources", name, "--type", "merge", "-p", '{"spec":{"publish":true}}')


def served(demo: Demo, name: str, resources: str) -> None:
    demo.run("patch", "cluster", name, "--type", "merge", "-p", f'{{"spec":{{"resources":{resources}}}}}')


def negotiation(demo: Demo, east: Path, west: Path) -> None:
    for kubeconfig, fields in ((east, ("a", "b")), (west, ("a",))):
        demo.run("apply", "-f", "-", stdin=widgets(*fields), kubeconfig=kubeconfig, quiet=True)
    both = '["deployments.apps","widgets.demo.example.dev"]'
    newer, older = "widgets.us-east1.v1.demo.example.dev", "widgets.us-west1.v1.demo.example.dev"
    served(demo, "us-east1", both)
    demo.shows("get", "apiresourceimports", newer, "-o", "wide", that=lambda s: cells(s, newer)[-1:] == ["True"])
    publish(demo, "widgets.v1.demo.example.dev")
    schema = ("get", "crd", "widgets.demo.example.dev", "-o", "jsonpath={.spec.versions[0].schema.openAPIV3Schema}")
    demo.shows(*schema, that=lambda s: '"b"' in s)
    served(demo, "us-west1", both)
    state = ("get", "apiresourceimports", older, "-o", "wide")
    demo.shows(*state, that=lambda s: cells(s, older)[-1:] == ["False"])
    message = 'jsonpath={.status.conditions[?(@.type=="Compatible")].message}'
    demo.shows(
        "get", "apiresourceimports", older, "-o", message,
        that=lambda s: "Widget.properties[spec].properties: properties have been removed" in s and "[b]" in s,
    )  # fmt: skip
    strategy = '{"spec":{"schemaUpdateStrategy":"UpdatePublished"}}'
    demo.run("patch", "apiresourceimports", older, "--type", "merge", "-p", strategy)
    demo.shows(*state, that=lambda s: cells(s, older)[-2:] == ["True", "True"])
    demo.shows(*schema, that=lambda s: '"b"' not in s and '"a"' in s)
    served(demo, "us-west1", '["deployments.apps"]')
    demo.shows(*schema, that=lambda s: '"b"' in s)
    demo.run("delete", "cluster", "us-west1")
    demo.shows("get", "deployments", "-n", "demo", that=lambda s: cells(s, ROWS[1])[1:2] == ["15/15"])
    demo.run("delete", "deployment", "my-deployment", "-n", "demo")
    demo.run("delete", "cluster", "us-east1")
    demo.shows("get", "apiresourceimports,negotiatedapiresources", that=lambda s: "No resources found" in s)
    demo.shows("api-resources", "--api-group=apps", that=lambda s: "Deployment" not in s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("east", type=Path)
    parser.add_argument("west", type=Path)
    parser.add_argument("--port", type=int, default=6443)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kcp-demo-") as directory:
        demo = Demo(Path(directory), given.port)
        process = demo.start()
        try:
            demo.run("config", "use-context", "admin")
            many_clusters(demo, given.east, given.west)
            negotiation(demo, given.east, given.west)
        finally:
            process.terminate()
            process.wait(30)
    print("both demos show what was recorded")


if __name__ == "__main__":
    main()
