"""Real physical clusters on this machine, of one's own: etcd, kube-apiserver, controller-manager, scheduler and KWOK's
simulated kubelets, from $PEERS_DIR ($PEERS_DIR/VERSION/bin for another Kubernetes version). They can be paused, killed,
returned and upgraded, and cut off: whoever goes through `Way` loses them while they go on by themselves.
"""

import asyncio
import datetime
import os
import secrets
import signal
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.clients.peers import free_port

PEERS = Path(os.environ.get("PEERS_DIR") or Path.home() / ".cache/kcp-peers")
READY_S = 240.0
NODES = 2


def directory_of(version: str) -> Path:
    """ "" is whatever stands in $PEERS_DIR itself."""
    found = PEERS / version / "bin" if version else PEERS / "bin"
    return found if found.is_dir() else PEERS


class PhysicalCluster:
    """`start` in a directory of its own; `kubeconfig` goes straight to it."""

    def __init__(self, name: str, directory: Path, version: str = "") -> None:
        self.name, self.directory, self.version = name, directory, version
        self.port, self._etcd, self._peer = free_port(), free_port(), free_port()
        self._token = secrets.token_hex(16)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.kwok_flags: Sequence[str] = ()  # further ones, before `start`
        directory.mkdir(parents=True)
        self._write_keys()

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        private, public = self.directory / "sa.key", self.directory / "sa.pub"
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        tokens = self.directory / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self._token},admin,admin,"system:masters"\n')

    # --- its processes

    def start(self) -> None:
        self._start_etcd()
        self._start_server()
        self._start_others()
        for number in range(NODES):
            self._ensure_node(f"node-{number}")

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        flags = [f"--data-dir={self.directory / 'etcd'}", f"--listen-client-urls={client}", "--log-level=error"]
        flags += [f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}", "--unsafe-no-fsync"]
        flags += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
        self._run("etcd", PEERS / "bin" / "etcd" if (PEERS / "bin" / "etcd").exists() else PEERS / "etcd", flags)

    def _start_server(self) -> None:
        certificates = self.directory / "pki"
        flags = [f"--etcd-servers=http://127.0.0.1:{self._etcd}", "--bind-address=127.0.0.1"]
        flags += [f"--secure-port={self.port}", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]
        flags += [f"--cert-dir={certificates}", f"--token-auth-file={self.directory / 'tokens.csv'}"]
        flags += ["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16"]
        flags += [f"--service-account-key-file={self.directory / 'sa.pub'}"]
        flags += [f"--service-account-signing-key-file={self.directory / 'sa.key'}"]
        flags += ["--service-account-issuer=https://kubernetes.default.svc"]
        self._run("kube-apiserver", directory_of(self.version) / "kube-apiserver", flags)
        self._wait(lambda: self.ask("/readyz?exclude=etcd", raw=True) == b"ok")
        self._write_kubeconfig(self.kubeconfig, self.port)

    def _start_others(self) -> None:
        access = [f"--kubeconfig={self.kubeconfig}"]
        own = [f"--{kind}-kubeconfig={self.kubeconfig}" for kind in ("authentication", "authorization")]
        own += ["--bind-address=127.0.0.1", "--leader-elect=false"]
        programs = directory_of(self.version)
        key = f"--service-account-private-key-file={self.directory / 'sa.key'}"
        flags = [*access, *own, f"--secure-port={free_port()}", key, "--kube-api-qps=100", "--kube-api-burst=200"]
        self._run("kube-controller-manager", programs / "kube-controller-manager", flags)
        self._run("kube-scheduler", programs / "kube-scheduler", [*access, *own, f"--secure-port={free_port()}"])
        stages = [f"--config={path}" for path in sorted((PEERS / "stages").glob("*.yaml"))]
        assert stages, f"no stages of KWOK in {PEERS}"
        kwok = PEERS / "bin" / "kwok" if (PEERS / "bin" / "kwok").exists() else PEERS / "kwok"
        self._run(
            "kwok",
            kwok,
            [*access, "--manage-all-nodes=true", "--node-lease-duration-seconds=40", *stages, *self.kwok_flags],
        )

    def _run(self, name: str, program: Path, flags: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen([program, *flags], stdout=log, stderr=log, cwd=self.directory)

    def _ensure_node(self, name: str) -> None:
        amounts = {"cpu": "32", "memory": "256Gi", "pods": "1000"}
        metadata = {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name},
        }
        status = {"allocatable": amounts, "capacity": amounts}
        self._wait(lambda: bool(self.ask("/api/v1/nodes", {"metadata": metadata, "status": status})))

    # --- what may happen to it

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._running.values():
            process.wait()

    def restart(self) -> None:
        """After `kill`."""
        self._start_etcd()
        self._start_server()
        self._start_others()

    def upgrade(self, version: str) -> None:
        """Its server and controllers of another version, over the same data; away for as long as that takes."""
        self.version = version
        for name in ("kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver"):
            self._running[name].terminate()
            try:
                self._running[name].wait(20)
            except subprocess.TimeoutExpired:
                self._running[name].kill()
                self._running[name].wait()
        self._start_server()
        self._start_others()

    def stop(self) -> None:
        self._signal(signal.SIGCONT)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(number)

    # --- asking it

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "admin.kubeconfig"

    def _write_kubeconfig(self, path: Path, port: int) -> None:
        authority = (self.directory / "pki" / "apiserver.crt").read_bytes()
        path.touch(mode=0o600)
        path.write_text(self.kubeconfig_text(port, authority))

    def kubeconfig_text(self, port: int, authority: bytes | None = None) -> str:
        import base64

        found = authority or (self.directory / "pki" / "apiserver.crt").read_bytes()
        server = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": base64.b64encode(found).decode()}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": {"token": self._token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        return yaml.safe_dump(document)

    def ask(self, path: str, body: Any = None, raw: bool = False, timeout_s: float = 5.0) -> Any:
        """Raises OSError for whatever is no answer."""
        trust = ssl.create_default_context(cafile=str(self.directory / "pki" / "apiserver.crt"))
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, context=trust, timeout=timeout_s) as answer:
            text = answer.read()
        return text if raw else orjson.loads(text)

    def _wait(self, what: Any) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                if what():
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"{self.name} is not ready after {READY_S:g} s: {self.directory}/*.log")


class Way:
    """A port through which a cluster is reached; `cut`, and nothing goes through, in either direction, and nothing is
    said about it: what is open stays open and silent, as it does when a network breaks."""

    def __init__(self, port: int) -> None:
        self.target, self.port = port, free_port()
        self._is_open = threading.Event()
        self._is_open.set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"way-{self.port}")
        self._thread.start()
        self._ready.wait(10)

    def cut(self) -> None:
        self._is_open.clear()

    def mend(self) -> None:
        self._is_open.set()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._is_open.is_set():
            await asyncio.sleep(0.2)
        try:
            there, onwards = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._carry(reader, onwards))
            tasks.create_task(self._carry(there, writer))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                while not self._is_open.is_set():
                    await asyncio.sleep(0.2)
                target.write(piece)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S")
