"""A server under test: where it is, how to talk to it, and which processes it is made of."""

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml

PEERS = Path(
    os.environ.get("PEERS_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kcp-peers"
)
PEER_SCRIPTS = Path(os.environ.get("PEER_SCRIPTS") or Path(__file__).resolve().parents[2] / "shared" / "peers")


@dataclass
class Target:
    """Something that serves Kubernetes' REST API.

    `logical_clusters`: tenants are logical clusters, `/clusters/<name>`; otherwise they are namespaces of one cluster.
    `pids` finds the server's processes, store included.
    """

    name: str
    host: str
    port: int
    token: str
    authority: str  # PEM
    logical_clusters: bool
    roots: list[int] = field(default_factory=list)

    def pids(self) -> list[int]:
        found = []
        for root in self.roots:
            process = psutil.Process(root)
            found += [root, *(c.pid for c in process.children(recursive=True))]
        return found

    def tenant(self, number: int) -> tuple[str, str]:
        """URL prefix and namespace of a tenant."""
        if self.logical_clusters:
            return f"/clusters/bench-{number}", "default"
        return "", f"bench-{number}"

    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority)
        context.check_hostname = False
        return context

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One request for set-up and looking around; not for measuring."""
        data = json.dumps(body).encode() if body is not None else None
        url = f"https://{self.host}:{self.port}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, context=self.ssl_context(), timeout=60) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def from_kubeconfig(name: str, path: Path, logical_clusters: bool, roots: list[int]) -> Target:
    config = yaml.safe_load(path.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
    url = urlsplit(cluster["server"])
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Target(name, url.hostname or "", url.port or 443, user["token"], authority, logical_clusters, roots)


class KcpInstance:
    """A fresh `kcp start` in a temporary directory."""

    def __init__(self, port: int, shards: int, fronts: int, directory: Path | None = None, *extra: str) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="kcp-bench-")) / "kcp"
        self.log_path = self.directory.with_suffix(".log")
        command = [sys.executable, "-m", "kcp", "start", "--root-directory", str(self.directory)]
        command += ["--listen", f"127.0.0.1:{port}", "--shards", str(shards), "--fronts", str(fronts), *extra]
        self.log = self.log_path.open("ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        self.target: Target | None = None

    def wait_ready(self, timeout_s: float = 60) -> Target:
        deadline = time.monotonic() + timeout_s
        kubeconfig = self.directory / "admin.kubeconfig"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(self.log_path.read_text())
            if kubeconfig.exists():
                try:
                    target = from_kubeconfig("kcp", kubeconfig, True, [self.process.pid])
                    if target.request("GET", "/readyz")[0] == 200:
                        self.target = target
                        return target
                except OSError:
                    pass
            time.sleep(0.02)
        raise TimeoutError("kcp did not become ready")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class KubeInstance:
    """A fresh kube-apiserver with etcd, without controllers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.directory = Path(tempfile.mkdtemp(prefix="kube-bench-"))
        self._processes: list[psutil.Process] = []

    def wait_ready(self) -> Target:
        environment = {**os.environ, "CONTROLLERS": "0"}
        # The script leaves the servers running and their output in files.
        with (self.directory / "up.log").open("wb") as log:
            subprocess.run(
                [PEER_SCRIPTS / "cluster", "up", self.directory, str(self.port)],
                env=environment,
                check=True,
                stdout=log,
                stderr=log,
            )
        roots = [int(p.read_text()) for p in sorted(self.directory.glob("*.pid"))]
        self._processes = [psutil.Process(pid) for pid in roots]
        return from_kubeconfig("kube-apiserver", self.directory / "admin.kubeconfig", False, roots)

    def stop(self) -> None:
        subprocess.run([PEER_SCRIPTS / "cluster", "down", self.directory], check=False)
        # kube-apiserver takes longer to end than the script waits.
        for process in psutil.wait_procs(self._processes, 20)[1]:
            process.kill()
