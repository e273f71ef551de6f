"""kubectl's logs, exec, attach, port-forward and cp against pods that a real physical cluster runs, seen in a logical
cluster: `make delegation`, with the programs of $PEERS_DIR. KWOK's kubelets serve the pods: a log from a file, commands
run on this machine (whose standard input never ends: that is KWOK's doing), a port that leads to a server here. Over
WebSockets, then over SPDY. Exits 1 at the first difference.
"""

import argparse
import contextlib
import http.server
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.clients.demo import DEPLOYMENT, Demo, cluster
from tests.clients.peers import free_port, program
from tests.clients.physical_clusters import PhysicalCluster

WAIT_S = 120.0
SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
LINES = [f"line {number}" for number in range(1, 201)]


class Page(http.server.BaseHTTPRequestHandler):
    """What a pod's port shows: half a megabyte."""

    content = b"from the pod " * 40_000

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *arguments: object) -> None: ...


def written(line: str) -> str:
    """As a container runtime writes it."""
    return f"2026-01-01T00:00:00.000000000Z stdout F {line}\n"


def kubelets(directory: Path, port: int, page: int) -> list[str]:
    """KWOK's flags, with what its pods do in a file."""
    (directory / "log.txt").write_text("".join(map(written, LINES)))
    head = "kwok.x-k8s.io/v1alpha1"
    log = str(directory / "log.txt")
    documents = [
        ("ClusterLogs", {"logs": [{"logsFile": log, "follow": True}]}),
        ("ClusterAttach", {"attaches": [{"logsFile": log}]}),
        ("ClusterExec", {"execs": [{"local": {"workDir": str(directory)}}]}),
        ("ClusterPortForward", {"forwards": [{"target": {"address": "127.0.0.1", "port": page}}]}),
    ]
    text = yaml.safe_dump_all(
        [{"apiVersion": head, "kind": kind, "metadata": {"name": "all"}, "spec": spec} for kind, spec in documents]
    )
    (directory / "kubelets.yaml").write_text(text)
    config = directory / "kubelets.yaml"
    return ["--node-ip=127.0.0.1", f"--node-port={port}", f"--server-address=127.0.0.1:{port}", f"--config={config}"]


class Session:
    def __init__(self, demo: Demo, environment: dict[str, str]) -> None:
        self.demo, self.environment = demo, {**os.environ, **environment}
        self.pod = ""

    def command(self, *arguments: str) -> list[str]:
        return [program("kubectl"), "--kubeconfig", str(self.demo.kubeconfig), *arguments]

    def run(self, *arguments: str, stdin: bytes = b"") -> tuple[int, bytes]:
        done = subprocess.run(
            self.command(*arguments), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_S,
            check=False, env=self.environment,
        )  # fmt: skip
        shown = done.stdout if len(done.stdout) < 400 else done.stdout[:400] + b"..."
        print(f"$ kubectl {' '.join(arguments)}\n{shown.decode(errors='replace')}", flush=True)
        return done.returncode, done.stdout

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        print(f"$ kubectl {' '.join(arguments)} &", flush=True)
        process = subprocess.Popen(
            self.command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def check(is_so: bool, what: str) -> None:
    if not is_so:
        raise SystemExit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)


def until(what: Callable[[], bool], text: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {text}")
        time.sleep(0.5)


def find_pod(session: Session) -> str:
    """Of the deployment, as it is seen upstream."""

    def look() -> bool:
        found = subprocess.run(
            session.command("get", "pods", "-o", "jsonpath={.items[?(@.status.phase=='Running')].metadata.name}"),
            capture_output=True, text=True, timeout=WAIT_S, check=False, env=session.environment,
        )  # fmt: skip
        names = found.stdout.split()
        session.pod = names[0] if found.returncode == 0 and names else ""
        return bool(session.pod)

    until(look, "the pods of the deployment are not seen upstream")
    return session.pod


def show_pods(session: Session, east: PhysicalCluster) -> None:
    """Write the pods upstream in the agent's place."""
    code, said = session.run("get", "cluster", "east", "-o", "jsonpath={.metadata.uid}")
    assert code == 0
    labels = {"kcp.dev/cluster": "east", "kcp.dev/syncer": said.decode()}

    def running() -> list[Any]:
        found = east.ask("/api/v1/pods?labelSelector=app%3Dnginx")["items"]
        return [each for each in found if each["status"].get("phase") == "Running"]

    until(lambda: len(running()) == 2, "the pods do not run below")
    for below in running():
        containers = [{"name": each["name"], "image": each["image"]} for each in below["spec"]["containers"]]
        spec = {"containers": containers, "nodeName": below["spec"]["nodeName"]}
        metadata = {"name": below["metadata"]["name"], "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}
        text = yaml.safe_dump(pod).encode()
        session.run("apply", "--server-side", "-f", "-", stdin=text)
        session.run("apply", "--server-side", "--subresource=status", "-f", "-", stdin=text)


def logs(session: Session, log: Path) -> None:
    code, said = session.run("logs", session.pod)
    check(code == 0 and said.decode().split("\n")[: len(LINES)] == LINES, "logs shows the whole log")
    code, said = session.run("logs", session.pod, "--tail=3")
    check(code == 0 and len(said.decode().splitlines()) == 3, "logs --tail")
    with session.running("logs", "-f", session.pod) as following:
        assert following.stdout is not None
        for _ in LINES:
            following.stdout.readline()
        _append(log, "line added")
        check(_line(following, b"line added"), "logs -f shows what is added")
    code, said = session.run("logs", session.pod, "-c", "none")
    check(code != 0 and b"container none is not valid" in said, "a container that is not there is named")


def _line(process: "subprocess.Popen[bytes]", wanted: bytes, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Whether it comes within the time; `meanwhile` is done every second."""
    found = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if wanted in line:
                found.set()
                return

    threading.Thread(target=read, daemon=True).start()
    for _ in range(int(WAIT_S)):
        if found.wait(1):
            return True
        meanwhile()
    return False


def commands(session: Session, directory: Path) -> None:
    code, said = session.run("exec", session.pod, "--", "echo", "hello", "pod")
    check((code, said) == (0, b"hello pod\n"), "exec gives the command's output")
    code, said = session.run("exec", session.pod, "--", "sh", "-c", "exit 7")
    check(code != 0 and b"exit status 7" in said, "a command that fails is told as KWOK tells it")
    big = os.urandom(2_000_000)
    code, said = session.run("exec", "-i", session.pod, "--", "head", "-c", str(len(big)), stdin=big)
    check(code == 0 and said == big, "exec -i carries two megabytes there and back")
    (directory / "given").write_bytes(big)
    code, _ = session.run("cp", f"{session.pod}:{directory / 'given'}", str(directory / "taken"))
    check(code == 0 and (directory / "taken").read_bytes() == big, "cp from the pod")
    with session.running("attach", session.pod) as attached:
        seen = _line(attached, b"said while attached", lambda: _append(directory / "log.txt", "said while attached"))
        check(seen, "attach shows what the container writes")


def _append(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(written(line))


def forwarding(session: Session) -> None:
    port = free_port()
    with session.running("port-forward", session.pod, f"{port}:80") as forwarding:
        check(_line(forwarding, b"Forwarding from"), "port-forward listens")
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                check(answer.read() == Page.content, "port-forward carries a page")


def rights(session: Session) -> None:
    """A service account that may read pods and their logs, and no more."""
    session.run("create", "serviceaccount", "reader")
    session.run("create", "role", "reader", "--verb=get", "--resource=pods,pods/log")
    session.run("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    code, token = session.run("create", "token", "reader")
    assert code == 0
    reader = ("--token", token.decode().strip(), "--user", "nobody")
    code, said = _as(session, reader, "logs", session.pod, "--tail=1")
    check(code == 0, "who may read logs reads them")
    code, said = _as(session, reader, "exec", session.pod, "--", "true")
    check(code != 0 and b'cannot create resource "pods/exec"' in said, "who may not exec is told so")


def _as(session: Session, who: Sequence[str], *arguments: str) -> tuple[int, bytes]:
    """With a token instead of the administrator's, which must not be in the kubeconfig beside it."""
    document = yaml.safe_load(session.demo.kubeconfig.read_text())
    for user in document["users"]:
        user["user"] = {"token": who[1]}
    path = session.demo.directory / "reader.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [program("kubectl"), "--kubeconfig", str(path), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=WAIT_S, check=False, env=session.environment,
    )  # fmt: skip
    print(f"$ kubectl {' '.join(arguments)}  # as reader\n{done.stdout.decode()}", flush=True)
    return done.returncode, done.stdout


def silence(session: Session, east: PhysicalCluster) -> None:
    east.pause()
    began = time.monotonic()
    code, said = session.run("logs", session.pod, "--tail=1")
    took_s = time.monotonic() - began
    told = re.search(rb"the cluster east[^\n]*", said)
    check(code != 0 and told is not None, f"a paused cluster is told of, after {took_s:.0f} s")
    east.resume()
    until(lambda: session.run("logs", session.pod, "--tail=1")[0] == 0, "the cluster is back, its logs are not")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="of kcp (default: a free one)")
    arguments.add_argument("--show-pods", action="store_true", help="upstream, in the place of the agent")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kcp-delegation-", dir="/tmp") as place, contextlib.ExitStack() as stack:
        directory = Path(place)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        east = PhysicalCluster("east", directory / "east")
        east.kwok_flags = kubelets(directory, free_port(), server.server_address[1])
        stack.callback(east.stop)
        east.start()
        demo = Demo(directory, chosen.port or free_port())
        kcp = demo.start("--auto-publish-apis")
        stack.callback(kcp.wait, 30)
        stack.callback(kcp.terminate)
        demo.run("apply", "-f", "config")
        demo.shows("apply", "-f", "-", stdin=cluster("east", east.kubeconfig, "pods"), that=lambda s: "created" in s)
        placed = DEPLOYMENT.replace("{name: my-deployment}", "{name: web, labels: {kcp.dev/cluster: east}}")
        demo.shows(
            "apply", "-f", "-", stdin=placed.replace("replicas: 15", "replicas: 2"), that=lambda s: "web created" in s
        )
        demo.shows("get", "pods", that=lambda s: "doesn't have" not in s)
        if chosen.show_pods:
            show_pods(Session(demo, {}), east)
        for name, environment in (("WebSockets", {}), ("SPDY", SPDY)):
            print(f"\n# {name}\n", flush=True)
            session = Session(demo, environment)
            find_pod(session)
            logs(session, directory / "log.txt")
            commands(session, directory)
            forwarding(session)
        rights(session)
        silence(session, east)
        print("all as it should be", flush=True)


if __name__ == "__main__":
    main()
